//! Floods: what their frames are, and who they claim to be from.

use std::net::{Ipv4Addr, Ipv6Addr};

use tcpguard_common::{
    craft::{Extension, TcpFrame},
    flags::TcpFlags,
};
use xtask::lab::site::Family;

use super::place::server;

/// What a frame is a flood of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flood {
    /// No flag at all.
    Null,
    /// A Christmas tree.
    Xmas,
    /// Open and close at once.
    SynFin,
    /// Segments in the middle of connections that are not there.
    Ack,
    /// Resets of connections that are not there.
    Rst,
    /// Ends of connections that are not there.
    Fin,
    /// Answers to what nobody asked for, as servers give them whose clients' addresses were forged.
    SynAck,
    /// First fragments of segments in the middle of connections that are not there.
    FirstFragment,
    /// Fragments that would overwrite the flags of the first.
    TinyFragment,
    /// Fragments in which no header is.
    LaterFragment,
    /// Openings that nobody goes on with.
    Syn,
}

/// Who a flood claims to be from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// Of each frame another address of the network that floods come from, and another port.
    Everywhere,
    /// The same with four addresses.
    Few,
    /// One address and one port: each frame is the same.
    One,
}

impl Origin {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Few => "4 sources",
            Self::One => "1 tuple",
        }
    }

    /// What makes a frame of the last one.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Everywhere => "flooding",
            Self::Few => "flooding_few",
            Self::One => "repeating",
        }
    }
}

impl Flood {
    pub(crate) const ALL: [Self; 11] = [
        Self::Null,
        Self::Xmas,
        Self::SynFin,
        Self::Ack,
        Self::Rst,
        Self::Fin,
        Self::SynAck,
        Self::FirstFragment,
        Self::TinyFragment,
        Self::LaterFragment,
        Self::Syn,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Null => "illegal flags (NULL)",
            Self::Xmas => "illegal flags (XMAS)",
            Self::SynFin => "illegal flags (SYN+FIN)",
            Self::Ack => "ACK of no connection",
            Self::Rst => "RST of no connection",
            Self::Fin => "FIN of no connection",
            Self::SynAck => "SYN+ACK of no connection",
            Self::FirstFragment => "first fragments",
            Self::TinyFragment => "tiny fragments",
            Self::LaterFragment => "later fragments",
            Self::Syn => "SYN",
        }
    }

    /// Whether a segment of it can be known for one: a SYN may be a good one, and of a later fragment nobody knows
    /// what it belongs to.
    pub(crate) const fn is_illegal(self) -> bool {
        !matches!(self, Self::Syn | Self::LaterFragment)
    }

    pub(crate) const fn is_fragment(self) -> bool {
        matches!(
            self,
            Self::FirstFragment | Self::TinyFragment | Self::LaterFragment
        )
    }

    /// What its frames are made of, over IPv4.
    pub(crate) fn frame(self) -> TcpFrame {
        self.frame_over(Family::Ipv4)
    }

    /// What its frames are made of. Their source is in a network that nothing else is in: the program changes
    /// a part of it.
    pub(crate) fn frame_over(self, family: Family) -> TcpFrame {
        let fragment = match self {
            Self::FirstFragment => Some((0, true)),
            Self::TinyFragment => Some((1, true)),
            Self::LaterFragment => Some((100, true)),
            Self::Null
            | Self::Xmas
            | Self::SynFin
            | Self::Ack
            | Self::Rst
            | Self::Fin
            | Self::SynAck
            | Self::Syn => None,
        };
        let source = match family {
            Family::Ipv4 => FLOODER.into(),
            Family::Ipv6 => FLOODER6.into(),
        };
        let frame = TcpFrame::between(source, server(family));
        let extension = fragment.map(|(offset, more)| Extension::Fragment(offset, more));
        TcpFrame {
            ports: (40_000, 80),
            ipv4_fragment: fragment.unwrap_or_default(),
            extensions: extension.into_iter().collect(),
            // A fragment that others follow has a multiple of eight octets.
            payload: vec![0; if self.is_fragment() { 4 } else { 0 }],
            ..frame.with_flags(self.flags())
        }
    }

    const fn flags(self) -> TcpFlags {
        match self {
            Self::Null => TcpFlags::NULL,
            Self::Xmas => TcpFlags::FIN.with(TcpFlags::PSH).with(TcpFlags::URG),
            Self::SynFin => TcpFlags::SYN.with(TcpFlags::FIN),
            Self::Rst => TcpFlags::RST,
            Self::Fin => TcpFlags::FIN.with(TcpFlags::ACK),
            Self::SynAck => TcpFlags::SYN.with(TcpFlags::ACK),
            Self::Ack | Self::FirstFragment | Self::TinyFragment | Self::LaterFragment => {
                TcpFlags::ACK
            }
            Self::Syn => TcpFlags::SYN,
        }
    }
}

/// Addresses of the networks that floods come from, which the programs know.
const FLOODER: Ipv4Addr = Ipv4Addr::new(10, 9, 7, 7);
const FLOODER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 9, 7, 0, 0, 0, 7);
