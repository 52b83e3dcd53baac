//! Connections that the receiver opens, each to another far end: its own segments leave by its stack, and
//! those of the far end arrive by the wire, so whoever follows connections there sees all three.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    ops::Range,
    os::fd::{AsRawFd as _, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use tcpguard_common::{craft::TcpFrame, flags::TcpFlags};
use xtask::lab::packet::PacketSocket;

use crate::lab::{
    meter::Meter,
    place::{Place, SENDING, SERVER},
};

/// Ports of far end and receiver.
const PORTS: (u16, u16) = (443, 40_000);
/// What far end and receiver begin with.
const ISNS: (u32, u32) = (50_000_000, 1_000_000);
/// Where the IP packet begins in a frame.
const IP: usize = 14;
/// Frames under way at once: no more than any driver has room for.
const BURST: u32 = 128;
/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A segment from one of the far ends, in the middle of its connection.
pub(crate) fn arriving(number: u32) -> TcpFrame {
    TcpFrame {
        ports: PORTS,
        seq: ISNS.0 + 1,
        ack: ISNS.1 + 1,
        ..TcpFrame::between(far_end(number).into(), SERVER.into()).with_flags(TcpFlags::ACK)
    }
}

/// As `talking` of the baseline makes it of a number.
fn far_end(number: u32) -> Ipv4Addr {
    (0x0a00_0000 | number).into()
}

/// Opens the connections with these numbers.
pub(crate) fn establish(place: &Place, meter: &mut Meter, numbers: Range<u32>) -> Result<()> {
    let answer = |segment: TcpFrame| TcpFrame {
        source: segment.destination,
        destination: segment.source,
        ports: (segment.ports.1, segment.ports.0),
        seq: ISNS.1,
        ..segment
    };
    let stack = Stack::of(place)?;
    for number in numbers.clone() {
        let syn = answer(arriving(number)).with_flags(TcpFlags::SYN);
        stack.send(number, &TcpFrame { ack: 0, ..syn })?;
    }
    arrive(place, meter, numbers.clone(), |number| TcpFrame {
        seq: ISNS.0,
        ..arriving(number).with_flags(TcpFlags::SYN.with(TcpFlags::ACK))
    })?;
    for number in numbers {
        let last = answer(arriving(number));
        let (seq, ack) = (ISNS.1 + 1, ISNS.0 + 1);
        stack.send(number, &TcpFrame { seq, ack, ..last })?;
    }
    Ok(())
}

/// Sends the frames of all connections over the wire, no faster than they are taken off it.
fn arrive(
    place: &Place,
    meter: &mut Meter,
    numbers: Range<u32>,
    frame: impl Fn(u32) -> TcpFrame,
) -> Result<()> {
    let macs = place.macs()?;
    let wire = PacketSocket::sending(&place.sender, SENDING)?;
    let before = meter.taken()?;
    let mut sent = 0;
    for number in numbers {
        let frame = TcpFrame {
            macs,
            ..frame(number)
        };
        wire.send(&frame.build())?;
        sent += 1;
        if sent % BURST == 0 {
            wait(meter, before + u64::from(sent))?;
        }
    }
    wait(meter, before + u64::from(sent))
}

/// Until so many frames were ever taken off the receiver's interface.
fn wait(meter: &mut Meter, frames: u64) -> Result<()> {
    let start = Instant::now();
    while meter.taken()? < frames {
        ensure!(
            start.elapsed() < PATIENCE,
            "segments of handshakes are lost on the way"
        );
        thread::yield_now();
    }
    Ok(())
}

/// The receiver's stack, told what to send.
struct Stack(OwnedFd);

impl Stack {
    fn of(place: &Place) -> Result<Self> {
        let raw = || {
            socket(
                AddressFamily::Inet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::Raw,
            )
        };
        let socket = place.receiver.within(raw)?;
        Ok(Self(socket.context("failed to open a raw socket")?))
    }

    /// Sends a segment to the far end of this number.
    fn send(&self, number: u32, segment: &TcpFrame) -> Result<()> {
        let to = SockaddrIn::from(SocketAddrV4::new(far_end(number), 0));
        let frame = segment.build();
        sendto(self.0.as_raw_fd(), &frame[IP..], &to, MsgFlags::empty())
            .context("failed to send a segment of a handshake")?;
        Ok(())
    }
}
