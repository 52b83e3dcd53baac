//! Reloads in number, under load: each frame is judged by one policy, the former or the next.
//!
//! Two policies, each of which drops what the other lets pass, and pairs of frames, one of each kind: of
//! a pair exactly one passes, and which one tells the policy. Only where a reload falls between the two
//! frames of a pair may both pass, or none.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use common::{
    done,
    place::{PORT, brief},
    reading,
};
use serde_json::Value;
use tcpguard_common::{craft::TcpFrame, flags::TcpFlags};
use xtask::lab::{
    line::Line,
    network::{ATTACKING, Network, UPLINK},
    packet::{PacketSocket, mac},
    path::{Host, Path},
    traffic::exchange,
};

/// How many, unless the environment says otherwise.
const RELOADS: usize = 20;
const NUMBER: &str = "TCPGUARD_RELOADS";
/// From one pair to the next.
const PACE: Duration = Duration::from_micros(250);
/// What each policy drops, and the kind of frame that it is.
const POLICIES: [(&str, TcpFlags); 2] = [
    ("flags-null", TcpFlags::NULL),
    (
        "flags-xmas",
        TcpFlags::FIN.with(TcpFlags::PSH).with(TcpFlags::URG),
    ),
];
/// Source port of the pairs.
const PAIRED: u16 = 40_000;

/// Sends pairs until it is told to stop, each frame with its pair's number, and says how many.
fn send(network: &Network, stop: &AtomicBool) -> u32 {
    let socket = PacketSocket::sending(&network.attacker, ATTACKING).unwrap();
    let macs = (
        mac(&network.server, UPLINK).unwrap(),
        mac(&network.attacker, ATTACKING).unwrap(),
    );
    let frame = |flags| {
        let ends = [Host::Attacker, Host::Server].map(|host| Path::Ipv4.address(host));
        let mut frame = TcpFrame::between(ends[0], ends[1]).with_flags(flags);
        frame.macs = macs;
        frame.ports = (PAIRED, 9);
        frame
    };
    let mut frames = POLICIES.map(|(_, flags)| frame(flags));
    let mut pairs = 0;
    let start = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        for frame in &mut frames {
            frame.seq = pairs;
            socket.send(&frame.build()).unwrap();
        }
        pairs += 1;
        thread::sleep((start + PACE * pairs).saturating_duration_since(Instant::now()));
    }
    pairs
}

/// Which frames of each pair came through, in order, until nothing comes any more.
fn listen(socket: &PacketSocket, stop: &AtomicBool) -> Vec<[bool; 2]> {
    let mut buffer = vec![0; 1 << 16];
    let mut passed = Vec::new();
    loop {
        let Some(len) = socket.receive(&mut buffer).unwrap() else {
            if stop.load(Ordering::Relaxed) {
                return passed;
            }
            continue;
        };
        if let Some((pair, kind)) = identify(&buffer[..len]) {
            let wanted = passed.len().max(pair + 1);
            passed.resize(wanted, [false; 2]);
            passed[pair][kind] = true;
        }
    }
}

/// The pair that a frame is of, and its kind.
fn identify(frame: &[u8]) -> Option<(usize, usize)> {
    /// A crafted frame ends with its header: no options, no payload, and veth pads nothing.
    const TCP_HEADER_LEN: usize = 20;
    let header = frame.get(frame.len().checked_sub(TCP_HEADER_LEN)?..)?;
    let is_paired = header[..2] == PAIRED.to_be_bytes();
    let pair = u32::from_be_bytes(header[4..8].try_into().ok()?);
    let flags = TcpFlags::new(u16::from(header[13]));
    let kind = POLICIES.iter().position(|(_, kind)| *kind == flags)?;
    is_paired.then_some((pair as usize, kind))
}

/// How often the policy changed from one pair to a later one, if each was judged by one policy but for
/// those that a change divided.
#[track_caller]
fn changes(passed: &[[bool; 2]]) -> usize {
    let policies: Vec<_> = passed.iter().map(|it| policy(*it)).collect();
    for (pair, _) in policies.iter().enumerate().filter(|(_, it)| it.is_none()) {
        let (before, after) = (pair.checked_sub(1), pair + 1);
        let before = before.and_then(|it| policies[it]);
        let after = policies.get(after).copied().flatten();
        assert!(
            before.is_some() && after.is_some() && before != after,
            "pair {pair} was judged by a mixed policy: {:?}",
            &passed[pair.saturating_sub(2)..passed.len().min(pair + 3)]
        );
    }
    let sure: Vec<_> = policies.into_iter().flatten().collect();
    sure.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// The policy that lets pass what has passed of a pair; `None` if it was two.
fn policy(passed: [bool; 2]) -> Option<usize> {
    match passed {
        [false, true] => Some(0),
        [true, false] => Some(1),
        [false, false] | [true, true] => None,
    }
}

/// That what was dropped and what passed of each kind comes to what was sent.
#[track_caller]
fn assert_all_judged(reading: &Value, pairs: u32, passed: &[[bool; 2]]) {
    for (kind, (reason, _)) in POLICIES.into_iter().enumerate() {
        let counts = &reading["reasons"][reason];
        let came = passed.iter().filter(|it| it[kind]).count() as u64;
        let told = brief(reading);
        assert_eq!(counts["would_drop"], came, "{reason}: {told}");
        let dropped = u64::from(pairs) - came;
        assert_eq!(counts["dropped"], dropped, "{reason}: {told}");
    }
    assert_eq!(reading["adopted"], 0, "forgotten: {}", brief(reading));
    assert_eq!(reading["resync"], 0, "lost track: {}", brief(reading));
}

#[test]
fn no_frame_is_judged_by_a_mixed_policy() {
    let given = env::var(NUMBER).ok().map(|given| given.parse().unwrap());
    let reloads = given.unwrap_or(RELOADS);
    let network = Network::new().unwrap();
    let server = &network.server;
    let line = Line::open(server, Network::service(Path::Ipv4, PORT)).unwrap();
    let guard = ["attach", "--iface", UPLINK, "--max-conns", "4096"];
    done(
        server,
        &[&guard[..], &["--enforce", POLICIES[0].0]].concat(),
    );
    let mut pair = line.connect(&network.client).unwrap();
    let socket = PacketSocket::receiving(server, UPLINK).unwrap();
    let (sent, heard) = (AtomicBool::new(false), AtomicBool::new(false));
    let (pairs, passed) = thread::scope(|scope| {
        let listening = scope.spawn(|| listen(&socket, &heard));
        let sending = scope.spawn(|| send(&network, &sent));
        let reloading = scope.spawn(|| {
            for round in 1..=reloads {
                let (reason, _) = POLICIES[round % 2];
                done(server, &["reload", "--enforce", reason]);
                exchange(&mut pair).unwrap();
            }
        });
        // Whatever comes of that, the others have to end.
        let reloaded = reloading.join();
        sent.store(true, Ordering::Relaxed);
        let pairs = sending.join();
        heard.store(true, Ordering::Relaxed);
        let passed = listening.join();
        reloaded.unwrap();
        (pairs.unwrap(), passed.unwrap())
    });
    assert_eq!(passed.len(), pairs as usize, "the last pair was not heard");
    assert_eq!(changes(&passed), reloads, "in {pairs} pairs");
    assert_all_judged(&reading(server), pairs, &passed);
    let divided = passed.iter().filter(|it| policy(**it).is_none()).count();
    println!("{reloads} reloads, {pairs} pairs, {divided} of them divided by a reload");
    done(server, &["detach"]);
}

/// What the test relies on.
#[test]
fn a_mixed_policy_would_be_seen() {
    let (first, second) = ([false, true], [true, false]);
    let (none, both) = ([false; 2], [true; 2]);
    assert_eq!(changes(&[first, none, second, both, first]), 2);
    for mixed in [
        &[first, none, first][..],
        &[first, none, none, second],
        &[second, both, second],
    ] {
        let judged = std::panic::catch_unwind(|| changes(mixed));
        assert!(judged.is_err(), "{mixed:?}");
    }
}
