//! Time as the tracker counts it, and how long each state is remembered.
//!
//! The core reads no clock: `now` is always an argument. In the kernel it comes from jiffies, in a
//! replay from the capture.

use super::state::State;

/// A moment, in quarters of a second since some start; wraps after 34 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Ticks(pub u32);

/// Ticks of one second.
pub const SECOND: u32 = 4;
const MINUTE: u32 = 60 * SECOND;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

/// Bits of fraction in [`Ticks::from_jiffies`]'s factor.
const FRACTION: u32 = 20;

impl Ticks {
    /// Ticks from `earlier` to here.
    #[inline(always)]
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// The same, and none if `earlier` is a moment that has not come: that of another CPU, which was a tick ahead
    /// when it looked at its clock.
    #[inline(always)]
    #[must_use]
    pub const fn past(self, earlier: Self) -> u32 {
        let ticks = self.since(earlier);
        if ticks <= u32::MAX / 2 { ticks } else { 0 }
    }

    /// The same since the later of two moments.
    #[inline(always)]
    #[must_use]
    pub fn past_both(self, one: Self, two: Self) -> u32 {
        self.past(one).min(self.past(two))
    }

    /// The moment of a number of the kernel's jiffies, by the factor of [`Ticks::per_jiffy`].
    #[inline(always)]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "ticks wrap")]
    pub const fn from_jiffies(jiffies: u64, per_jiffy: u64) -> Self {
        Self((jiffies.wrapping_mul(per_jiffy) >> FRACTION) as u32)
    }

    /// How many ticks a jiffy has, as a fixed-point number, for a kernel with `hz` jiffies a second.
    #[must_use]
    pub const fn per_jiffy(hz: u64) -> u64 {
        let seconds = (SECOND as u64) << FRACTION;
        (seconds + hz / 2) / hz
    }
}

/// How long the other side may be silent before what it last said is no proof against a segment.
///
/// A live peer answers within a round trip or two. One that was not heard for so long may have been
/// heard elsewhere, and then its window and its acknowledgments have moved on without us. And if
/// nothing of a speaker was believed for so long, perhaps it is not the speaker who is wrong.
pub const QUIET: u32 = 10 * SECOND;

/// How long after the table was last full a connection may speak again that it had no room for: as
/// long as a keepalive waits by default (RFC 1122 section 4.2.3.6), and a little more.
pub const FORGIVEN: u32 = 2 * HOUR + 5 * MINUTE;

/// How long an adopted connection is kept of which only one direction has been heard.
pub const ONE_SIDED: u32 = 5 * MINUTE;

/// How long a connection in this state is remembered after its last segment, in ticks.
///
/// The values are the kernel's (`tcp_timeouts` in `net/netfilter/nf_conntrack_proto_tcp.c`) but
/// where a comment says why not.
#[must_use]
pub const fn lifetime(state: State) -> u32 {
    match state {
        State::SynSent | State::SynSent2 | State::TimeWait => 2 * MINUTE,
        State::SynReceived => MINUTE,
        State::Established => 5 * DAY,
        // A FIN behind data that the receiver has no room for is probed, and the last FIN sent again, at
        // intervals of up to two minutes (TCP_RTO_MAX); the kernel's two minutes, and its 30 seconds
        // for the last one, are too close.
        State::FinWait | State::LastAck => 5 * MINUTE,
        // A half-closed connection may flow the other way for hours (RFC 1122 section 4.2.2.13); the
        // kernel's one minute cuts it if it pauses.
        State::CloseWait => 12 * HOUR,
        State::Closed => 10 * SECOND,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_quarters_of_a_second_whatever_the_kernel_counts() {
        for hz in [100, 250, 300, 1000] {
            let factor = Ticks::per_jiffy(hz);
            let start = 0x1_0000_0000 - 300 * hz;
            let (a, b) = (
                Ticks::from_jiffies(start, factor),
                Ticks::from_jiffies(start + 1000 * hz, factor),
            );
            assert!(b.since(a).abs_diff(1000 * SECOND) <= 1, "{hz}");
        }
    }
}
