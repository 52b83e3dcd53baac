//! A segment as the tracker sees it.

use super::{half::Marks, time::Ticks};
use crate::{
    cursor::View,
    flags::TcpFlags,
    segment::Segment,
    seq::SeqNum,
    verdict::Verdict,
    wire::{
        options::{self, Octets},
        tcp::{self, TcpHeader},
    },
};

/// What one segment says, when, and on whose word.
///
/// No addresses: to whom it belongs is the table's business. Part of the ABI of the kernel's own
/// functions, so there is no padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Seen {
    /// SEG.SEQ
    pub seq: SeqNum,
    /// SEG.ACK
    pub ack: SeqNum,
    /// Payload in octets.
    pub payload_len: u32,
    /// Highest octet that is acknowledged, selectively or not: SEG.ACK without SACK (RFC 2018).
    pub sacked: SeqNum,
    /// When it was seen.
    pub now: Ticks,
    /// SEG.WND, not scaled.
    pub window: u16,
    /// The flags; a set that is legal.
    pub flags: TcpFlags,
    /// Of a SYN, the window scale that it offers, or [`Seen::NO_SCALE`].
    pub scale: u8,
    /// On whose word it was seen.
    pub voice: Voice,
    /// What becomes of it should it be a SYN that opens a connection: the verdict's cell, or 0 if
    /// nothing is against that. [`Seen::opening`] sets it.
    pub opening: u16,
}

/// On whose word a segment was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Voice(u8);

const LEARNING: u8 = 4;

impl Voice {
    /// Anybody's: it has to fit.
    pub const FOREIGN: Self = Self(0);
    /// This host's: its own stack, or what lies behind it. It is never objected to; where it does not
    /// fit, it is the tracker that is wrong.
    pub const LOCAL: Self = Self(1);
    /// Anybody's, where the other direction is never seen: nothing that hangs on the other direction
    /// can be held against it.
    pub const LONE: Self = Self(2);

    /// Anybody's, and judged before: it goes through this host, and is only followed. It is never
    /// objected to, and where it does not fit it changes nothing.
    pub const FORWARDED: Self = Self(8);

    /// The same voice while connections are learned that were there before: even a SYN may be an old
    /// one of them.
    #[inline(always)]
    #[must_use]
    pub const fn learning(self) -> Self {
        Self(self.0 | LEARNING)
    }

    /// Its number, as it crosses to the kernel.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The voice with this number, as it crosses to the kernel.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        Self(number)
    }
}

/// What a legal set of flags makes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// SYN without ACK.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// RST, with or without ACK.
    Rst,
    /// Everything else, all of it with ACK: data, FIN, or nothing more.
    Ack,
}

impl Seen {
    /// A SYN without the window scale option.
    pub const NO_SCALE: u8 = u8::MAX;

    /// Memory for a segment.
    pub const NOTHING: Self = Self {
        seq: SeqNum(0),
        ack: SeqNum(0),
        payload_len: 0,
        sacked: SeqNum(0),
        now: Ticks(0),
        window: 0,
        flags: TcpFlags::NULL,
        scale: Self::NO_SCALE,
        voice: Voice::FOREIGN,
        opening: 0,
    };

    /// The segment at a moment, without its options.
    #[inline(always)]
    #[must_use]
    pub const fn new(segment: &Segment, now: Ticks, voice: Voice) -> Self {
        Self {
            seq: segment.seq,
            ack: segment.ack,
            payload_len: segment.payload_len,
            sacked: segment.ack,
            now,
            window: segment.window,
            flags: segment.flags,
            scale: Self::NO_SCALE,
            voice,
            opening: 0,
        }
    }

    /// A segment without SYN and without options that are wanted, at a moment.
    #[inline(always)]
    #[must_use]
    pub fn plain<V: View<{ tcp::HEADER_LEN }>>(
        tcp: TcpHeader<V>,
        payload_len: u32,
        now: Ticks,
        voice: Voice,
    ) -> Self {
        Self {
            seq: tcp.seq(),
            ack: tcp.ack(),
            payload_len,
            sacked: tcp.ack(),
            now,
            window: tcp.window(),
            flags: tcp.flags(),
            scale: Self::NO_SCALE,
            voice,
            opening: 0,
        }
    }

    /// The verdict on a SYN that opens a connection is this one. If it drops, no connection is opened.
    #[inline(always)]
    #[must_use]
    pub const fn opening(mut self, verdict: Verdict) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "fewer than 256 cells")]
        let cell = verdict.cell() as u16;
        self.opening = cell;
        self
    }

    /// What becomes of it if it opens a connection.
    #[inline(always)]
    pub(super) fn may_open(&self) -> Verdict {
        Verdict::from_cell(self.opening.into()).unwrap_or(Verdict::ACCEPT)
    }

    /// What kind of segment it is.
    #[inline(always)]
    #[must_use]
    pub const fn class(&self) -> Class {
        if self.flags.contains(TcpFlags::RST) {
            Class::Rst
        } else if !self.flags.contains(TcpFlags::SYN) {
            Class::Ack
        } else if self.flags.contains(TcpFlags::ACK) {
            Class::SynAck
        } else {
            Class::Syn
        }
    }

    /// The sequence number behind it, where SYN and FIN count one each.
    #[inline(always)]
    #[must_use]
    pub const fn end(&self) -> SeqNum {
        let syn = self.flags.contains(TcpFlags::SYN) as u32;
        self.seq
            .plus(self.payload_len.wrapping_add(syn))
            .plus(self.fin())
    }

    #[inline(always)]
    const fn fin(&self) -> u32 {
        self.flags.contains(TcpFlags::FIN) as u32
    }

    /// Whether it comes from this host or from behind it.
    #[inline(always)]
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.voice.0 & Voice::LOCAL.0 != 0
    }

    /// What is known of a direction by who speaks for it. Without a branch, which would be one more
    /// way for the verifier.
    #[inline(always)]
    pub(super) const fn speaker(&self) -> Marks {
        const SHIFT: u32 = Marks::LOCAL.bits().trailing_zeros();
        Marks::from_bits((self.voice.0 as u32 & Voice::LOCAL.0 as u32) << SHIFT)
    }

    /// Whether the other direction of its connection is never seen.
    #[inline(always)]
    #[must_use]
    pub const fn is_lone(&self) -> bool {
        self.voice.0 & Voice::LONE.0 != 0
    }

    /// Whether connections are being learned that were there before.
    #[inline(always)]
    #[must_use]
    pub const fn is_learned(&self) -> bool {
        self.voice.0 & LEARNING != 0
    }

    /// Whether it goes through this host and was judged before.
    #[inline(always)]
    #[must_use]
    pub const fn is_forwarded(&self) -> bool {
        self.voice.0 & Voice::FORWARDED.0 != 0
    }

    /// Whether it is believed where it does not fit.
    #[inline(always)]
    #[must_use]
    pub const fn is_believed(&self) -> bool {
        self.voice.0 & (Voice::LOCAL.0 | Voice::LONE.0) != 0
    }

    /// With what the options say, of those that [`crate::parse`] points out.
    #[inline(always)]
    #[must_use]
    pub fn with_options(mut self, octets: &impl Octets) -> Self {
        if self.flags.contains(TcpFlags::SYN) {
            self.scale = options::window_scale(octets).unwrap_or(Self::NO_SCALE);
        } else {
            self.sacked = options::sacked(octets, self.ack);
        }
        self
    }
}

const _: () = assert!(size_of::<Seen>() == 28);
