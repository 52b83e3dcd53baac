//! From a segment of a scenario to the octets of a frame.

use std::net::IpAddr;

use tcpguard_common::{craft::TcpFrame, flags::TcpFlags};

/// Which peer sends a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Orig,
    Reply,
}

/// A sequence number as a scenario gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// Counted from the first one of its peer.
    Relative(i64),
    /// As it stands in the header.
    Absolute(u32),
}

/// A TCP option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TcpOption {
    NoOperation,
    Mss(u16),
    WindowScale(u8),
    SackPermitted,
    /// Left and right edge of each block.
    Sack(Vec<(Number, Number)>),
    TimeStamps(u32, u32),
    /// Octets of whatever, be it an option or not.
    Raw(Vec<u8>),
}

/// A segment as a scenario tells it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) by: Peer,
    pub(super) flags: TcpFlags,
    pub(super) seq: Number,
    pub(super) ack: Option<Number>,
    pub(super) payload_len: usize,
    pub(super) window: u16,
    pub(super) options: Vec<TcpOption>,
}

/// What a scenario leaves open: addresses, and where both peers' numbers begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) name: &'static str,
    is_ipv6: bool,
    /// Whether the original side has the higher address.
    is_reversed: bool,
    /// Where the numbers of the original side and of the other one begin.
    isns: [u32; 2],
}

impl World {
    /// Far from any wrap-around.
    pub(crate) const PLAIN: Self = Self::new("IPv4", false, false, [1_000_000, 50_000_000]);

    /// Both families, both orders of addresses, and numbers that wrap within few octets: at zero, and
    /// where the sign changes.
    pub(crate) const ALL: [Self; 8] = [
        Self::PLAIN,
        Self::new("IPv4 reversed", false, true, [1_000_000, 50_000_000]),
        Self::new("IPv6", true, false, [1_000_000, 50_000_000]),
        Self::new("IPv6 reversed", true, true, [1_000_000, 50_000_000]),
        Self::new("IPv4 wrapping", false, false, [u32::MAX - 50, 0x7fff_ffce]),
        Self::new("IPv4 at zero", false, true, [0, u32::MAX]),
        Self::new("IPv6 wrapping", true, true, [0x7fff_ffce, u32::MAX - 50]),
        Self::new("IPv6 at zero", true, false, [u32::MAX, 0]),
    ];

    const fn new(name: &'static str, is_ipv6: bool, is_reversed: bool, isns: [u32; 2]) -> Self {
        Self {
            name,
            is_ipv6,
            is_reversed,
            isns,
        }
    }

    /// This world with the numbers that a scenario asks for; `None` if it speaks of numbers as they
    /// stand, and they begin elsewhere here.
    pub(super) fn with_isns(mut self, isns: Option<[u32; 2]>, is_absolute: bool) -> Option<Self> {
        if let Some(isns) = isns {
            self.isns = isns;
        } else if is_absolute && self.isns != Self::PLAIN.isns {
            return None;
        }
        Some(self)
    }

    fn isn(&self, peer: Peer) -> u32 {
        match peer {
            Peer::Orig => self.isns[0],
            Peer::Reply => self.isns[1],
        }
    }

    /// Addresses and ports, those of the sender first.
    fn between(&self, sender: Peer) -> ([IpAddr; 2], (u16, u16)) {
        let frame = if self.is_ipv6 {
            TcpFrame::ipv6()
        } else {
            TcpFrame::ipv4()
        };
        let (low, high) = (frame.source, frame.destination);
        let [orig, reply] = if self.is_reversed {
            [high, low]
        } else {
            [low, high]
        };
        match sender {
            Peer::Orig => ([orig, reply], (40000, 80)),
            Peer::Reply => ([reply, orig], (80, 40000)),
        }
    }
}

impl Sent {
    /// An Ethernet frame with this segment.
    pub(super) fn frame(&self, world: &World) -> Vec<u8> {
        let ([source, destination], ports) = world.between(self.by);
        TcpFrame {
            ports,
            seq: self.seq.from(world.isn(self.by)),
            ack: self.ack.map_or(0, |ack| ack.from(self.acked_isn(world))),
            flags: self.flags,
            window: self.window,
            options: self.options(world),
            payload: vec![b'x'; self.payload_len],
            ..TcpFrame::between(source, destination)
        }
        .build()
    }

    pub(super) fn is_absolute(&self) -> bool {
        let is = |number: Number| matches!(number, Number::Absolute(_));
        is(self.seq) || self.ack.is_some_and(is)
    }

    fn acked_isn(&self, world: &World) -> u32 {
        world.isn(match self.by {
            Peer::Orig => Peer::Reply,
            Peer::Reply => Peer::Orig,
        })
    }

    fn options(&self, world: &World) -> Vec<u8> {
        let acked = self.acked_isn(world);
        let mut octets: Vec<u8> = self
            .options
            .iter()
            .flat_map(|option| option.octets(acked))
            .collect();
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets
    }
}

impl Number {
    fn from(self, first: u32) -> u32 {
        match self {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "sequence numbers wrap"
            )]
            Self::Relative(offset) => first.wrapping_add(offset as u32),
            Self::Absolute(number) => number,
        }
    }
}

impl TcpOption {
    /// As in RFC 9293 section 3.1, RFC 7323 and RFC 2018; edges are counted from `acked`.
    fn octets(&self, acked: u32) -> Vec<u8> {
        match self {
            Self::NoOperation => vec![1],
            Self::Mss(octets) => [&[2, 4], &octets.to_be_bytes()[..]].concat(),
            Self::WindowScale(shift) => vec![3, 3, *shift],
            Self::SackPermitted => vec![4, 2],
            Self::Sack(blocks) => {
                let edges = blocks.iter().flat_map(|(left, right)| [left, right]);
                let edges: Vec<u8> = edges
                    .flat_map(|edge| edge.from(acked).to_be_bytes())
                    .collect();
                [vec![5, 2 + edges.len().to_le_bytes()[0]], edges].concat()
            }
            Self::TimeStamps(value, echo) => {
                [&[8, 10], &value.to_be_bytes()[..], &echo.to_be_bytes()].concat()
            }
            Self::Raw(octets) => octets.clone(),
        }
    }
}
