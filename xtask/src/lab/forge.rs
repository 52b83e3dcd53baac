//! Segments of a stranger who claims to be somebody else, or nobody.

use std::{net::SocketAddr, thread, time::Duration};

use anyhow::Result;
use tcpguard_common::{craft::TcpFrame, flags::TcpFlags};

use super::{
    packet::{Mac, PacketSocket, mac},
    path::Host,
    site::{ETH0, Family, Site},
};

/// Frames that veth's native ring and the stack's backlog are sure to hold at once.
const BURST: usize = 64;

/// Sends crafted frames from the stranger of a [`Site`].
#[derive(Debug)]
pub struct Forger {
    socket: PacketSocket,
    macs: (Mac, Mac),
}

impl Forger {
    /// One whose frames get to `target`.
    pub fn new(site: &Site, target: Host) -> Result<Self> {
        Ok(Self {
            socket: PacketSocket::sending(&site.stranger, ETH0)?,
            macs: (site.way_to(target)?, mac(&site.stranger, ETH0)?),
        })
    }

    /// Sends one frame after the other, `pause` after each burst of 64, and says how many.
    pub fn send(&self, frames: impl IntoIterator<Item = TcpFrame>, pause: Duration) -> Result<u64> {
        let mut sent = 0;
        for mut frame in frames {
            if sent > 0 && sent % BURST as u64 == 0 {
                thread::sleep(pause);
            }
            frame.macs = self.macs;
            self.socket.send(&frame.build())?;
            sent += 1;
        }
        Ok(sent)
    }
}

/// Segments with these flags from one end of a connection to the other, at random places in the
/// space of numbers, with so much payload.
pub fn blind(
    (from, to): (SocketAddr, SocketAddr),
    flags: TcpFlags,
    payload: usize,
    dice: &mut Dice,
) -> TcpFrame {
    let mut frame = TcpFrame::between(from.ip(), to.ip()).with_flags(flags);
    frame.ports = (from.port(), to.port());
    frame.seq = dice.throw();
    frame.ack = if flags.contains(TcpFlags::ACK) {
        dice.throw()
    } else {
        0
    };
    frame.payload = vec![b'!'; payload];
    frame
}

/// So many SYNs from addresses of nobody.
pub fn syn_flood(
    family: Family,
    target: SocketAddr,
    count: u16,
    dice: &mut Dice,
) -> impl Iterator<Item = TcpFrame> {
    (0..count).map(move |n| {
        let [high, low, ..] = dice.throw().to_be_bytes();
        let port = u16::from_be_bytes([high, low]).max(1024);
        let from = SocketAddr::new(Site::nobody(family, n), port);
        blind((from, target), TcpFlags::SYN, 0, dice)
    })
}

/// Numbers that look random and are the same at every run.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Other numbers for another seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number: splitmix64, its upper half.
    pub fn throw(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn dice_repeat_themselves_at_every_run_only() {
        let throws = |seed| {
            let mut dice = Dice::new(seed);
            (0..1000).map(|_| dice.throw()).collect::<BTreeSet<_>>()
        };
        assert_eq!(throws(1), throws(1));
        assert_ne!(throws(1), throws(2));
        assert_eq!(throws(1).len(), 1000);
    }

    #[test]
    fn every_syn_of_a_flood_opens_a_connection_of_its_own() {
        for (family, target) in Family::ALL
            .into_iter()
            .zip(["192.0.2.1:80", "[2001:db8::1]:80"])
        {
            let mut dice = Dice::new(1);
            let frames = syn_flood(family, target.parse().unwrap(), 5000, &mut dice);
            let sources: BTreeSet<_> = frames.map(|frame| (frame.source, frame.ports.0)).collect();
            assert_eq!(sources.len(), 5000);
        }
    }
}
