//! The parser against the kernel's own stack: what that takes for a segment of TCP, the parser finds.
//!
//! Frames of every kind of nesting, some of their octets changed by chance, go to a stack that counts the
//! segments in them; nothing is guarded. Whoever gets a frame past the parser gets it past the guard.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod random;

use std::{collections::BTreeMap, fmt::Write as _, fs, thread, time::Duration};

use random::XorShift;
use tcpguard_common::{
    craft::{Extension, TcpFrame, checksum},
    cursor::SliceCursor,
    judge::judge,
    parse::Link,
    reason::Reason,
    verdict::{Bypass, Verdict},
    wire::ethernet,
};
use xtask::lab::{
    link::{Station, VethOptions, veth},
    namespace::Namespace,
    packet::{Mac, PacketSocket, mac},
};

const NEAR: &str = "near";
const FAR: &str = "far";
/// Until the stack has dealt with what was sent.
const PAUSE: Duration = Duration::from_millis(20);
/// Frames that the queue of a veth pair is sure to hold.
const BURST: usize = 100;

/// Two hosts that know each other, and the way to the second one.
struct Cable {
    _sender: Namespace,
    receiver: Namespace,
    socket: PacketSocket,
    macs: (Mac, Mac),
}

impl Cable {
    fn new() -> Self {
        let (sender, receiver) = (
            Namespace::new("sender").unwrap(),
            Namespace::new("stack").unwrap(),
        );
        veth((&sender, NEAR), (&receiver, FAR), VethOptions::default()).unwrap();
        let (ipv4, ipv6) = (TcpFrame::ipv4(), TcpFrame::ipv6());
        let station = |namespace, interface, addresses| Station {
            namespace,
            interface,
            addresses,
        };
        let near = station(&sender, NEAR, vec![ipv4.source, ipv6.source]);
        let far = station(&receiver, FAR, vec![ipv4.destination, ipv6.destination]);
        near.assign().unwrap();
        far.assign().unwrap();
        far.knows(&near).unwrap();
        let macs = (mac(&receiver, FAR).unwrap(), mac(&sender, NEAR).unwrap());
        let socket = PacketSocket::sending(&sender, NEAR).unwrap();
        Self {
            _sender: sender,
            receiver,
            socket,
            macs,
        }
    }

    /// How many of these frames have a segment of TCP in them, by the stack's own count.
    fn segments(&self, frames: &[Vec<u8>]) -> u64 {
        let before = self.counted();
        for burst in frames.chunks(BURST) {
            for frame in burst {
                self.socket.send(frame).unwrap();
            }
            thread::sleep(PAUSE);
        }
        self.counted() - before
    }

    /// `TcpInSegs`: every segment that came to this host's TCP, whatever is wrong with it then.
    fn counted(&self) -> u64 {
        let read = || fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
        let text = self.receiver.within(read).unwrap();
        let mut lines = text.lines().filter(|line| line.starts_with("Tcp:"));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let at = names.split(' ').position(|name| name == "InSegs").unwrap();
        values.split(' ').nth(at).unwrap().parse().unwrap()
    }

    /// One of these frames in which the stack finds a segment.
    fn culprit<'a>(&self, frames: &'a [Vec<u8>]) -> &'a [u8] {
        let mut left = frames;
        while left.len() > 1 {
            let (one, other) = left.split_at(left.len() / 2);
            left = if self.segments(one) > 0 { one } else { other };
        }
        &left[0]
    }
}

#[test]
fn the_parser_finds_every_segment_that_the_stack_finds() {
    const FRAMES: usize = 40_000;
    let cable = Cable::new();
    let mut random = XorShift(0x2545_f491_4f6c_dd1d);
    let mut frames = BTreeMap::<usize, Vec<Vec<u8>>>::new();
    for _ in 0..FRAMES {
        let frame = any_frame(&mut random, cable.macs);
        let outcome = judge(&mut SliceCursor::new(&frame), Link::Ethernet);
        frames
            .entry(outcome.verdict.cell())
            .or_default()
            .push(frame);
    }
    let mut wrong = String::new();
    for (cell, frames) in &frames {
        let verdict = Verdict::from_cell(*cell).unwrap();
        let found = cable.segments(frames);
        println!("{verdict:?}: {found} of {}", frames.len());
        if is_blind(verdict) && found > 0 {
            let culprit = cable.culprit(frames);
            let _ = writeln!(
                wrong,
                "{verdict:?}: {found} segments, one in {culprit:02x?}"
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Of what is said that it is no segment at all.
fn is_blind(verdict: Verdict) -> bool {
    let bypasses = Bypass::ALL
        .into_iter()
        .filter(|cause| *cause != Bypass::Fragment);
    bypasses
        .map(Verdict::bypass)
        .chain([Verdict::dropped(Reason::BadLength)])
        .any(|blind| blind == verdict)
}

/// A frame of some nesting, with some octets changed.
fn any_frame(random: &mut XorShift, macs: (Mac, Mac)) -> Vec<u8> {
    let tags: Vec<_> = (0..random.below(6) * random.below(2))
        .map(|_| {
            (
                [ethernet::VLAN, ethernet::SERVICE_VLAN][random.below(2)],
                u16::from(random.below(8) == 0),
            )
        })
        .collect();
    let base = [TcpFrame::ipv4(), TcpFrame::ipv6()][random.below(2)].clone();
    let frame = TcpFrame {
        macs,
        ipv4_options: random.below(11) * random.below(2),
        extensions: (0..random.below(12) * random.below(2))
            .map(|place| any_extension(random, place))
            .collect(),
        payload: vec![b'x'; random.below(40)],
        padding: random.below(20),
        ..base.with_tags(&tags)
    };
    let mut octets = frame.build();
    let ip = ethernet::HEADER_LEN + tags.len() * ethernet::TAG_LEN;
    let addresses = if frame.source.is_ipv4() {
        ip + 12..ip + 20
    } else {
        ip + 8..ip + 40
    };
    for _ in 0..random.below(4) {
        let at = 12 + random.below(octets.len() - 12);
        if !addresses.contains(&at) {
            octets[at] = random.next().to_le_bytes()[3];
        }
    }
    if octets[ip] >> 4 == 4 {
        repair_checksum(&mut octets[ip..]);
    }
    octets
}

/// Mostly one that the stack goes on behind: it takes no padding of more than seven octets, and authentication
/// headers and routes only where somebody has asked for them.
fn any_extension(random: &mut XorShift, place: usize) -> Extension {
    match random.below(16) {
        0 => Extension::Authentication(12),
        1 => Extension::Options(43, 8),
        2 => Extension::Options(60, 16),
        3 | 4 => Extension::Fragment(0, false),
        5 | 6 if place == 0 => Extension::Options(0, 8),
        _ => Extension::Options(60, 8),
    }
}

/// Without it the stack would not look any further at an IPv4 header.
fn repair_checksum(packet: &mut [u8]) {
    let len = usize::from(packet[0] & 15) * 4;
    let Some(header) = packet.get_mut(..len.max(20)) else {
        return;
    };
    header[10..12].fill(0);
    let sum = checksum(&[header]);
    header[10..12].copy_from_slice(&sum);
}
