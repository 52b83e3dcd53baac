//! What one direction of a connection has said.

use super::{seen::Seen, time::Ticks};
use crate::seq::SeqNum;

/// Facts about one direction, one bit each. They are only ever learned from its own segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Marks(u16);

impl Marks {
    /// Nothing is known.
    pub const NONE: Self = Self(0);
    /// It spoke first: the original direction.
    pub const ORIGINAL: Self = Self(0x001);
    /// A segment of it was seen. Without this mark its numbers are what the other direction implies.
    pub const HEARD: Self = Self(0x002);
    /// It sent SYN.
    pub const SYN: Self = Self(0x004);
    /// It acknowledged the other direction's SYN.
    pub const ACKED_SYN: Self = Self(0x008);
    /// It sent FIN: `end` is the FIN's.
    pub const FIN: Self = Self(0x010);
    /// It acknowledged the other direction's FIN.
    pub const ACKED_FIN: Self = Self(0x020);
    /// It sent a reset that closed the connection.
    pub const RST: Self = Self(0x040);
    /// Its SYN offered window scaling.
    pub const SCALED: Self = Self(0x080);
    /// Its numbers are not anchored by a handshake that was seen from its beginning: they prove
    /// nothing against a segment unless both directions agree.
    pub const LOOSE: Self = Self(0x100);
    /// Its numbers were taken from a segment that did not fit, on nobody's word but the segment's.
    pub const CORRECTED: Self = Self(0x400);
    /// It sent FIN while the other direction had not: it is this side that closes the connection.
    pub const CLOSER: Self = Self(0x800);
    /// It comes from this host itself, or from behind it: nobody else can speak for it.
    pub const LOCAL: Self = Self(0x200);

    /// The marks as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// From bits as they lie in memory; higher ones are dropped.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "higher bits are dropped")]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits as u16)
    }

    /// These marks and `other`.
    #[inline(always)]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These marks but `other`.
    #[inline(always)]
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are in both sets.
    #[inline(always)]
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of `other` are set.
    #[inline(always)]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is set.
    #[inline(always)]
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// One direction of a connection, written only by the segments that go that way. Only a segment that
/// makes the entry writes both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Half {
    /// Initial sequence number: the SYN's. Of an adopted direction, one before its first octet.
    pub isn: SeqNum,
    /// Highest sequence end sent; SYN and FIN count one. After a FIN, the FIN's end.
    pub end: SeqNum,
    /// Highest acknowledgment sent: the next octet that it waits for (RCV.NXT).
    pub ack: SeqNum,
    /// Largest window offered, in octets, scaled.
    pub window: u32,
    /// When it was last heard.
    pub seen: Ticks,
    /// What is known of it.
    pub marks: Marks,
    /// Its window scale, 0 to 14 (RFC 7323 section 2.3).
    pub scale: u8,
    /// How often its sequence numbers went around, modulo 256.
    pub wraps: u8,
}

impl Half {
    /// A direction that has said nothing yet.
    pub const SILENT: Self = Self {
        isn: SeqNum(0),
        end: SeqNum(0),
        ack: SeqNum(0),
        window: 0,
        seen: Ticks(0),
        marks: Marks::NONE,
        scale: 0,
        wraps: 0,
    };

    /// Octets of payload sent, from the sequence space; of an adopted direction, since then.
    ///
    /// Right up to a tebibyte (2^40), and up to retransmissions of what was never acknowledged.
    #[must_use]
    pub const fn octets(&self) -> u64 {
        let sent = ((self.wraps as u64) << 32) + self.end.since(self.isn) as u64;
        let syn = 1;
        let fin = self.marks.contains(Marks::FIN) as u64;
        sent.saturating_sub(syn + fin)
    }

    /// Whether a segment begins where this direction's SYN began; one of which nothing is known began nowhere.
    #[inline(always)]
    pub(super) const fn seq_is(&self, seen: &Seen) -> bool {
        self.marks.bits() != Marks::NONE.bits() && self.isn.0 == seen.seq.0
    }

    /// Moves the highest sequence end on, if `end` lies behind it.
    #[inline(always)]
    pub(super) const fn extend(&mut self, end: SeqNum) {
        if end.after(self.end) {
            let around = end.since(self.isn) < self.end.since(self.isn);
            self.wraps = self.wraps.wrapping_add(around as u8);
            self.end = end;
        }
    }
}

const _: () = assert!(
    size_of::<Half>() == 24,
    "two of them, and a key, in one line"
);
