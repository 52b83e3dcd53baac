//! How many handshakes are begun from outside and not completed.

use crate::conn::time::{SECOND, Ticks};

/// An estimate of the connections that are half open, or would be if they were remembered: a SYN that is
/// answered, by the stack or with a cookie, adds one, a completed handshake takes one away, and with time
/// they are forgotten as a flow table forgets them.
///
/// Shared by all CPUs without a lock: what one of them counts may be lost to another, now and then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Pressure {
    /// How many.
    half_open: u32,
    /// When some were last forgotten.
    aged: Ticks,
    /// Whether it is too many, 0 or 1.
    high: u32,
    /// When a cookie was last sent; 0 is never.
    sent: Ticks,
}

/// Of what is half open, this part is forgotten each tick: so half of it is after 44 seconds, and a
/// handshake in SYN-RECEIVED is after a minute (`lifetime`).
const PART: u32 = 64 * SECOND;

/// How long the kernel takes a cookie for valid: two of its minutes, of which the first may be over
/// (`MAX_SYNCOOKIE_AGE`).
const AGE: u32 = 2 * 60 * SECOND;

impl Pressure {
    /// A handshake was begun at `now`, where a table has room for so many `connections`.
    #[inline(always)]
    pub const fn begun(&mut self, connections: u32, now: Ticks) {
        let ticks = now.past(self.aged);
        if ticks != 0 {
            self.aged = now;
            self.forget(ticks);
        }
        // Without an end a long flood would be remembered for as long as it took.
        if self.half_open < connections / 2 {
            self.half_open += 1;
        }
        self.weigh(connections);
    }

    /// A handshake was begun that was answered with a cookie.
    #[inline(always)]
    pub const fn answered(&mut self, connections: u32, now: Ticks) {
        self.sent = now;
        self.begun(connections, now);
    }

    /// Whether an ACK may prove a cookie at `now`.
    ///
    /// Whoever asks while none was sent takes a number that was guessed for a proof: one of 2^29.
    #[inline(always)]
    #[must_use]
    pub const fn may_be_proved(&self, now: Ticks) -> bool {
        self.sent.0 != 0 && now.past(self.sent) <= AGE
    }

    /// A handshake was completed.
    #[inline(always)]
    pub const fn completed(&mut self) {
        self.half_open = self.half_open.saturating_sub(1);
    }

    /// Whether so many are half open that SYNs are to be answered with cookies.
    #[inline(always)]
    #[must_use]
    pub const fn is_high(&self) -> bool {
        self.high != 0
    }

    /// How many are half open, about.
    #[must_use]
    pub const fn half_open(&self) -> u32 {
        self.half_open
    }

    #[inline(always)]
    const fn forget(&mut self, ticks: u32) {
        let ticks = if ticks < PART { ticks } else { PART };
        let part = (self.half_open / PART).saturating_mul(ticks);
        self.half_open -= if part < self.half_open {
            part
        } else {
            self.half_open
        };
        if ticks == PART {
            self.half_open = 0;
        }
    }

    /// From a quarter of the table on, until it is an eighth.
    #[inline(always)]
    const fn weigh(&mut self, connections: u32) {
        if self.half_open >= connections / 4 {
            self.high = 1;
        } else if self.half_open < connections / 8 {
            self.high = 0;
        }
    }
}

const _: () = assert!(size_of::<Pressure>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTIONS: u32 = 1 << 16;

    fn begin(pressure: &mut Pressure, many: u32, at: u32) {
        for _ in 0..many {
            pressure.begun(CONNECTIONS, Ticks(at));
        }
    }

    #[test]
    fn it_is_high_from_a_quarter_of_the_table_on_and_until_an_eighth() {
        let mut pressure = Pressure::default();
        begin(&mut pressure, CONNECTIONS / 4 - 1, 1_000);
        assert!(!pressure.is_high());
        begin(&mut pressure, 1, 1_000);
        assert!(pressure.is_high());
        for _ in 0..CONNECTIONS / 8 {
            pressure.completed();
        }
        begin(&mut pressure, 1, 1_000);
        assert!(pressure.is_high());
        for _ in 0..3 {
            pressure.completed();
        }
        begin(&mut pressure, 1, 1_000);
        assert!(!pressure.is_high());
    }

    #[test]
    fn handshakes_that_are_completed_are_no_pressure_however_many() {
        let mut pressure = Pressure::default();
        for at in 0..100_000 {
            pressure.begun(CONNECTIONS, Ticks(1_000 + at / 1_000));
            pressure.completed();
        }
        assert!(!pressure.is_high());
        assert_eq!(pressure.half_open(), 0);
    }

    #[test]
    fn a_flood_of_any_length_is_forgotten_within_three_minutes() {
        for seconds in [10, 1_000] {
            let mut pressure = Pressure::default();
            let start = 1_000;
            let end = start + seconds * SECOND;
            for at in start..end {
                begin(&mut pressure, 10_000, at);
            }
            assert!(pressure.is_high());
            let calm = (end..end + 3_600 * SECOND).find(|at| {
                begin(&mut pressure, 1, *at);
                !pressure.is_high()
            });
            let lasted = (calm.unwrap() - end) / SECOND;
            assert!((60..180).contains(&lasted), "{lasted} s after {seconds} s");
        }
    }

    #[test]
    fn after_a_long_silence_nothing_is_left() {
        let mut pressure = Pressure::default();
        begin(&mut pressure, CONNECTIONS, 1_000);
        begin(&mut pressure, 1, 1_000 + 3_600 * SECOND);
        assert_eq!((pressure.half_open(), pressure.is_high()), (1, false));
    }

    #[test]
    fn a_clock_that_is_a_tick_behind_forgets_nothing() {
        let mut pressure = Pressure::default();
        begin(&mut pressure, 10_000, 1_001);
        begin(&mut pressure, 1, 1_000);
        assert_eq!(pressure.half_open(), 10_001);
    }
}
