//! Scans: segments that no sane stack sends, each of them counted.

use std::{
    ops::RangeInclusive,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use tcpguard_common::{craft::TcpFrame, flags::TcpFlags};

use super::{
    namespace::Namespace,
    packet::{Mac, PacketSocket, mac},
    path::{Host, Path},
    tally::Tally,
};

/// The upper bits of the sequence number of all our segments: how the witness knows them.
const MARK: u32 = 0x7c9_00000;
const MARK_BITS: u32 = 0xfff_00000;

/// A set of flags sent to one port after the other.
#[derive(Clone, Debug)]
pub struct Scan {
    /// What the segments carry.
    pub flags: TcpFlags,
    /// The ports, over and over again.
    pub ports: RangeInclusive<u16>,
}

/// Segments to send: in each round one of every scan on every path.
#[derive(Clone, Debug)]
pub struct Volley<'a> {
    /// What is sent.
    pub scans: &'a [Scan],
    /// Which ways it takes.
    pub paths: &'a [Path],
    /// How often.
    pub rounds: u32,
    /// Time from one round to the next.
    pub pace: Duration,
}

/// Sends crafted frames to the server of a [`Network`](super::network::Network).
#[derive(Debug)]
pub struct Attacker {
    socket: PacketSocket,
    mac: Mac,
    /// Where frames go, by path.
    destinations: Vec<(Path, Mac)>,
}

impl Attacker {
    /// Sends from `interface` to the Ethernet address that serves each path.
    pub fn new(
        namespace: &Namespace,
        interface: &str,
        destinations: Vec<(Path, Mac)>,
    ) -> Result<Self> {
        let socket = PacketSocket::sending(namespace, interface)?;
        Ok(Self {
            socket,
            mac: mac(namespace, interface)?,
            destinations,
        })
    }

    /// The Ethernet address that everything comes from.
    #[must_use]
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Sends it all, or what there is time for until `stop` is set, and says what was sent.
    pub fn send(&self, volley: &Volley<'_>, stop: &AtomicBool) -> Result<Tally> {
        let mut sent = Tally::default();
        let start = Instant::now();
        for round in 0..volley.rounds {
            let due = start + volley.pace * round;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if stop.load(Ordering::Relaxed) {
                break;
            }
            self.round(volley, round, &mut sent)?;
        }
        Ok(sent)
    }

    fn round(&self, volley: &Volley<'_>, round: u32, sent: &mut Tally) -> Result<()> {
        for scan in volley.scans {
            for (path, destination) in &self.destinations {
                if volley.paths.contains(path) {
                    self.socket
                        .send(&self.frame(scan, round, *path, *destination))?;
                    sent.add(scan.flags, *path);
                }
            }
        }
        Ok(())
    }

    fn frame(&self, scan: &Scan, round: u32, path: Path, destination: Mac) -> Vec<u8> {
        let source = path.address(Host::Attacker);
        let mut frame = TcpFrame::between(source, path.address(Host::Server))
            .with_flags(scan.flags)
            .with_tags(path.tagging().tags());
        frame.macs = (destination, self.mac);
        frame.ports = (40000, nth_port(&scan.ports, round));
        frame.seq = mark(scan.flags, path);
        frame.build()
    }
}

fn nth_port(ports: &RangeInclusive<u16>, n: u32) -> u16 {
    let count = u32::from(ports.end() - ports.start()) + 1;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "below the count of some 16-bit numbers"
    )]
    let offset = (n % count) as u16;
    ports.start() + offset
}

/// A sequence number that tells what was sent and on which path.
///
/// So the witness needs to find its way through no header: the number lies at a fixed distance from
/// the end of the frame, whatever stands before it.
fn mark(flags: TcpFlags, path: Path) -> u32 {
    MARK | (path as u32) << 12 | u32::from(flags.bits())
}

/// What the sequence number says, if it is one of ours.
pub(super) fn marked(seq: u32) -> Option<(TcpFlags, Path)> {
    let path = Path::ALL
        .into_iter()
        .find(|path| *path as u32 == seq >> 12 & 0xff)?;
    #[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
    let flags = TcpFlags::new(seq as u16);
    (seq & MARK_BITS == MARK).then_some((flags, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_tells_flags_and_path() {
        for path in Path::ALL {
            for bits in 0..=0x1ff {
                let flags = TcpFlags::new(bits);
                assert_eq!(marked(mark(flags, path)), Some((flags, path)));
            }
        }
        assert_eq!(marked(1000), None);
        assert_eq!(marked(MARK | 0xff << 12), None);
    }

    #[test]
    fn ports_are_scanned_in_a_circle() {
        let ports: Vec<_> = (0..5).map(|n| nth_port(&(79..=81), n)).collect();
        assert_eq!(ports, [79, 80, 81, 79, 80]);
        assert_eq!(nth_port(&(0..=u16::MAX), 65_537), 1);
    }
}
