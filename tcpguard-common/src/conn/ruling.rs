//! What the tracker decided about one segment.

use core::fmt;

use super::state::State;
use crate::{reason::Reason, verdict::Verdict};

/// Which direction of its connection a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// That of the side that spoke first.
    Original = 1,
    /// The other one.
    Reply = 2,
}

impl Direction {
    /// The name that is the same everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Original => "orig",
            Self::Reply => "reply",
        }
    }

    /// The direction with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Original),
            2 => Some(Self::Reply),
            _ => None,
        }
    }
}

/// Verdict, states and what else there is to count, in one register.
///
/// A number for the reason that [`Verdict`] is one, and because a function that the verifier checks
/// by itself can return nothing else.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
#[must_use]
pub struct Ruling(u32);

// Bits 0 to 7 are the verdict's cell.
const BEFORE: u32 = 8;
const AFTER: u32 = 12;
const DIRECTION: u32 = 16;
const ADOPTED: u32 = 1 << 18;
const RESYNC: u32 = 1 << 19;
const TABLE_FULL: u32 = 1 << 20;
const APPEALABLE: u32 = 1 << 21;
const PROVED: u32 = 1 << 22;

impl Ruling {
    /// About a segment of no connection.
    #[inline(always)]
    pub const fn new(verdict: Verdict) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "fewer than 256 cells")]
        Self(verdict.cell() as u32)
    }

    /// Dropped, unless a witness says that the connection exists.
    #[inline(always)]
    pub const fn appealable(reason: Reason) -> Self {
        Self(Self::new(Verdict::dropped(reason)).0 | APPEALABLE)
    }

    /// About a segment that would have made an entry, had there been room: it passes.
    #[inline(always)]
    pub const fn table_full() -> Self {
        Self(Self::new(Verdict::ACCEPT).0 | TABLE_FULL)
    }

    /// The ruling whose bits these are; `None` if they carry no verdict.
    #[must_use]
    pub fn from_bits(bits: u32) -> Option<Self> {
        Verdict::from_cell((bits & 0xff) as usize).map(|_| Self(bits))
    }

    /// The ruling whose bits these are, of which is known that they are one's.
    #[inline(always)]
    pub const fn from_trusted_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The number that crosses between functions of the kernel.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub(super) const fn going(self, direction: Direction) -> Self {
        Self(self.0 | (direction as u32) << DIRECTION)
    }

    #[inline(always)]
    pub(super) const fn from(self, before: State) -> Self {
        Self(self.0 | (before as u32) << BEFORE)
    }

    #[inline(always)]
    pub(super) const fn to(self, after: State) -> Self {
        Self(self.0 | (after as u32) << AFTER)
    }

    #[inline(always)]
    pub(super) const fn adopting(self) -> Self {
        Self(self.0 | ADOPTED)
    }

    /// Of a connection that a SYN cookie proves.
    #[inline(always)]
    pub(crate) const fn proved(self) -> Self {
        Self(self.0 | PROVED)
    }

    #[inline(always)]
    pub(super) const fn resynchronised_if(self, resync: bool) -> Self {
        if resync { Self(self.0 | RESYNC) } else { self }
    }

    #[inline(always)]
    pub(super) const fn appealable_if(self, appealable: bool) -> Self {
        if appealable {
            Self(self.0 | APPEALABLE)
        } else {
            self
        }
    }

    /// The fate of the segment.
    #[inline(always)]
    pub fn verdict(self) -> Verdict {
        Verdict::from_cell((self.0 & 0xff) as usize).unwrap_or(Verdict::ACCEPT)
    }

    /// The direction of the segment; `None` if it belongs to no connection.
    #[must_use]
    pub const fn direction(self) -> Option<Direction> {
        Direction::from_number(((self.0 >> DIRECTION) & 3) as u8)
    }

    /// The connection's state before the segment; `None` if there was no connection.
    #[must_use]
    pub const fn before(self) -> Option<State> {
        State::from_number((self.0 >> BEFORE & 0xf) as u8)
    }

    /// The connection's state after the segment; `None` if there is no connection.
    #[must_use]
    pub const fn after(self) -> Option<State> {
        State::from_number((self.0 >> AFTER & 0xf) as u8)
    }

    /// The number of the state before, 0 without one.
    #[inline(always)]
    #[must_use]
    pub const fn before_number(self) -> usize {
        ((self.0 >> BEFORE) & 0xf) as usize
    }

    /// The number of the state after, 0 without one.
    #[inline(always)]
    #[must_use]
    pub const fn after_number(self) -> usize {
        ((self.0 >> AFTER) & 0xf) as usize
    }

    /// Whether there is anything to count but the verdict.
    #[inline(always)]
    #[must_use]
    pub const fn is_eventful(self) -> bool {
        self.before_number() != self.after_number() || self.0 & (ADOPTED | RESYNC | TABLE_FULL) != 0
    }

    /// Whether a connection was taken over in its middle.
    #[inline(always)]
    #[must_use]
    pub const fn is_adopted(self) -> bool {
        self.0 & ADOPTED != 0
    }

    /// Whether a direction was re-anchored, because the tracker could not be sure.
    #[inline(always)]
    #[must_use]
    pub const fn is_resync(self) -> bool {
        self.0 & RESYNC != 0
    }

    /// Whether the table had no room for the connection.
    #[inline(always)]
    #[must_use]
    pub const fn is_table_full(self) -> bool {
        self.0 & TABLE_FULL != 0
    }

    /// Whether a handshake was completed by a SYN cookie.
    #[inline(always)]
    #[must_use]
    pub const fn is_proved(self) -> bool {
        self.0 & PROVED != 0
    }

    /// Whether a SYN begins a connection.
    #[inline(always)]
    #[must_use]
    pub const fn begins(self) -> bool {
        self.after_number() == State::SynSent as usize
            && self.before_number() != State::SynSent as usize
    }

    /// Whether the acknowledgment of a SYN+ACK completes a handshake.
    #[inline(always)]
    #[must_use]
    pub const fn completes(self) -> bool {
        let after = self.after_number();
        self.is_proved()
            || self.before_number() == State::SynReceived as usize
                && (after == State::Established as usize || after == State::FinWait as usize)
    }

    /// Whether a witness is to be heard before the segment is dropped.
    #[inline(always)]
    #[must_use]
    pub const fn is_appealable(self) -> bool {
        self.0 & APPEALABLE != 0
    }
}

impl fmt::Debug for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ruling")
            .field("verdict", &self.verdict())
            .field("direction", &self.direction())
            .field("before", &self.before())
            .field("after", &self.after())
            .field("adopted", &self.is_adopted())
            .field("resync", &self.is_resync())
            .field("table_full", &self.is_table_full())
            .field("appealable", &self.is_appealable())
            .field("proved", &self.is_proved())
            .finish()
    }
}
