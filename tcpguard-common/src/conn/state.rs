//! The states of a connection, in the spelling of RFC 9293, and how they follow from its halves.

use super::half::Marks;

/// State of a connection between two peers that are heard late, twice or not at all.
///
/// It describes the connection, never an endpoint: the names are conntrack's, and each line says
/// what both peers are in then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// The original side sent its SYN: SYN-SENT and LISTEN.
    SynSent = 1,
    /// Both sent their SYN first: SYN-SENT and SYN-SENT, simultaneous open.
    SynSent2 = 2,
    /// The reply side answered SYN+ACK: SYN-SENT and SYN-RECEIVED.
    SynReceived = 3,
    /// The handshake is complete: ESTABLISHED and ESTABLISHED.
    Established = 4,
    /// One side sent FIN: FIN-WAIT-1 and ESTABLISHED.
    FinWait = 5,
    /// One side's FIN is acknowledged: FIN-WAIT-2 and CLOSE-WAIT.
    CloseWait = 6,
    /// Both sent FIN: FIN-WAIT-2 or CLOSING, and LAST-ACK.
    LastAck = 7,
    /// Both FINs are acknowledged: TIME-WAIT and CLOSED.
    TimeWait = 8,
    /// A valid RST: CLOSED and CLOSED.
    Closed = 9,
}

impl State {
    /// Every state, in the order of a connection's life.
    pub const ALL: [Self; 9] = [
        Self::SynSent,
        Self::SynSent2,
        Self::SynReceived,
        Self::Established,
        Self::FinWait,
        Self::CloseWait,
        Self::LastAck,
        Self::TimeWait,
        Self::Closed,
    ];

    /// The name that is the same everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SynSent => "SYN-SENT",
            Self::SynSent2 => "SYN-SENT2",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait => "FIN-WAIT",
            Self::CloseWait => "CLOSE-WAIT",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
            Self::Closed => "CLOSED",
        }
    }

    /// What the two peers are in, in the states of RFC 9293 section 3.3.2.
    #[must_use]
    pub const fn peers(self) -> &'static str {
        match self {
            Self::SynSent => "SYN-SENT and LISTEN",
            Self::SynSent2 => "SYN-SENT and SYN-SENT",
            Self::SynReceived => "SYN-SENT and SYN-RECEIVED",
            Self::Established => "ESTABLISHED and ESTABLISHED",
            Self::FinWait => "FIN-WAIT-1 and ESTABLISHED",
            Self::CloseWait => "FIN-WAIT-2 and CLOSE-WAIT",
            Self::LastAck => "FIN-WAIT-2 or CLOSING, and LAST-ACK",
            Self::TimeWait => "TIME-WAIT and CLOSED",
            Self::Closed => "CLOSED and CLOSED",
        }
    }

    /// How many states there are; their numbers run from 1, so that 0 can say "no connection".
    pub const COUNT: usize = Self::ALL.len();

    /// The state with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::SynSent),
            2 => Some(Self::SynSent2),
            3 => Some(Self::SynReceived),
            4 => Some(Self::Established),
            5 => Some(Self::FinWait),
            6 => Some(Self::CloseWait),
            7 => Some(Self::LastAck),
            8 => Some(Self::TimeWait),
            9 => Some(Self::Closed),
            _ => None,
        }
    }

    /// The state that follows from what the two directions have said, in whichever order they come.
    #[inline(always)]
    #[must_use]
    pub const fn of_marks(one: Marks, two: Marks) -> Self {
        let (either, both) = (one.with(two), one.common(two));
        if either.contains(Marks::RST) {
            Self::Closed
        } else if both.contains(Marks::FIN) {
            if both.contains(Marks::ACKED_FIN) {
                Self::TimeWait
            } else {
                Self::LastAck
            }
        } else if either.contains(Marks::FIN) {
            if either.contains(Marks::ACKED_FIN) {
                Self::CloseWait
            } else {
                Self::FinWait
            }
        } else if both.contains(Marks::ACKED_SYN) {
            Self::Established
        } else if either.contains(Marks::ACKED_SYN) {
            Self::SynReceived
        } else if both.contains(Marks::SYN) {
            Self::SynSent2
        } else {
            Self::SynSent
        }
    }

    /// The state with a number that is known to be one.
    #[inline(always)]
    pub(super) const fn from_number_or_closed(number: u32) -> Self {
        match number {
            1 => Self::SynSent,
            2 => Self::SynSent2,
            3 => Self::SynReceived,
            4 => Self::Established,
            5 => Self::FinWait,
            6 => Self::CloseWait,
            7 => Self::LastAck,
            8 => Self::TimeWait,
            _ => Self::Closed,
        }
    }

    /// Whether the handshake is not complete: what a flood of SYNs makes.
    #[inline(always)]
    #[must_use]
    pub const fn is_half_open(self) -> bool {
        matches!(self, Self::SynSent | Self::SynSent2 | Self::SynReceived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(marks: &[Marks]) -> Marks {
        marks.iter().fold(Marks::NONE, |all, mark| all.with(*mark))
    }

    #[test]
    fn numbers_count_from_one() {
        for (index, state) in (1..).zip(State::ALL) {
            assert_eq!(state as u8, index);
            assert_eq!(State::from_number(index), Some(state));
        }
        assert_eq!(State::from_number(0), None);
        assert_eq!(State::from_number(10), None);
    }

    #[test]
    fn every_state_follows_from_the_marks_in_either_order() {
        let (syn, acked) = (Marks::SYN, Marks::ACKED_SYN);
        let (fin, acked_fin) = (Marks::FIN, Marks::ACKED_FIN);
        let open = [syn, acked];
        let closed = [syn, acked, fin];
        let table = [
            (half(&[syn]), half(&[]), State::SynSent),
            (half(&[syn]), half(&[syn]), State::SynSent2),
            (half(&[syn]), half(&open), State::SynReceived),
            (half(&open), half(&open), State::Established),
            (half(&closed), half(&open), State::FinWait),
            (
                half(&closed),
                half(&[syn, acked, acked_fin]),
                State::CloseWait,
            ),
            (
                half(&closed),
                half(&[syn, acked, fin, acked_fin]),
                State::LastAck,
            ),
            (
                half(&[syn, acked, fin, acked_fin]),
                half(&[syn, acked, fin, acked_fin]),
                State::TimeWait,
            ),
            (half(&[syn, Marks::RST]), half(&[syn]), State::Closed),
        ];
        for (one, two, state) in table {
            assert_eq!(State::of_marks(one, two), state);
            assert_eq!(State::of_marks(two, one), state);
        }
    }
}
