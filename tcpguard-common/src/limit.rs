//! How many connections others may open in a second.
//!
//! A bucket holds as many tokens as are allowed in a second, each SYN that opens a connection takes one,
//! and every tick a quarter of them comes back. So a second's worth may come at once, and after that
//! the rate holds.

use crate::{
    conn::time::{SECOND, Ticks},
    table::key::Location,
};

/// Tokens. Two CPUs at once may lose one's taking of the other: then one more passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Bucket {
    /// When some last came back.
    filled: Ticks,
    /// What is left, in quarters of a token: as many as there are ticks in a second.
    quarters: u32,
}

/// How many connections may be opened from outside through an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SynLimit {
    /// In a second by all sources together; 0 is no limit.
    pub total: u32,
    /// In a second by each source; 0 is no limit.
    pub source: u32,
    /// What is left of the total.
    pub left: Bucket,
}

impl Bucket {
    /// The highest rate, in tokens a second.
    pub const MOST: u32 = u32::MAX / SECOND / 2;

    /// Takes a token, where `rate` of them come back in a second; false if none is left.
    ///
    /// One that was never used is full: it was filled at tick 0, which for 17 years is long ago.
    #[inline(always)]
    pub const fn take(&mut self, rate: u32, now: Ticks) -> bool {
        let ticks = now.past(self.filled);
        if ticks != 0 {
            let full = rate * SECOND;
            let back = if ticks < SECOND { ticks * rate } else { full };
            let left = self.quarters.saturating_add(back);
            *self = Self {
                filled: now,
                quarters: if left < full { left } else { full },
            };
        }
        if self.quarters < SECOND {
            return false;
        }
        self.quarters -= SECOND;
        true
    }
}

/// The two buckets of a source among `buckets`, an even number, by a hash of it.
///
/// A SYN takes a token of each, and passes if either had one. So a source alone gets its rate; and one
/// that shares a bucket with an attacker has another, which it hardly ever shares as well.
#[inline(always)]
#[must_use]
pub const fn pair(hash: u64, buckets: u32) -> [u32; 2] {
    let location = Location::new(hash, buckets);
    let [one, other] = [location.first(), location.second()];
    [one, if one == other { other ^ 1 } else { other }]
}

const _: () = assert!(size_of::<Bucket>() == 8);
const _: () = assert!(size_of::<SynLimit>() == 16);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flow::FlowKey4,
        table::key::{Key as _, Seed},
    };

    /// How many of `tries` are given at a moment.
    fn given(bucket: &mut Bucket, rate: u32, at: u32, tries: u32) -> usize {
        let tries = 0..tries;
        tries.filter(|_| bucket.take(rate, Ticks(at))).count()
    }

    #[test]
    fn a_seconds_worth_may_come_at_once_and_then_the_rate_holds() {
        for rate in [1, 3, 4, 100, 12_345] {
            let mut bucket = Bucket::default();
            assert_eq!(given(&mut bucket, rate, 1_000, 2 * rate), rate as usize);
            let ticks = 1_001..=1_000 + 10 * SECOND;
            let later: usize = ticks.map(|at| given(&mut bucket, rate, at, rate)).sum();
            assert_eq!(later, 10 * rate as usize, "{rate}");
        }
    }

    #[test]
    fn what_is_not_used_is_not_saved_up() {
        let mut bucket = Bucket::default();
        given(&mut bucket, 8, 1_000, 8);
        assert_eq!(given(&mut bucket, 8, 1_000 + 3_600 * SECOND, 100), 8);
    }

    #[test]
    fn a_clock_that_is_a_tick_behind_fills_nothing() {
        let mut bucket = Bucket::default();
        given(&mut bucket, 100, 1_001, 100);
        assert_eq!(given(&mut bucket, 100, 1_000, 1_000), 0);
        assert_eq!(given(&mut bucket, 100, 1_002, 1_000), 25);
    }

    #[test]
    fn neither_the_clock_that_wraps_nor_the_highest_rate_overflows() {
        let before = Bucket {
            filled: Ticks(u32::MAX - 2 * SECOND),
            quarters: 0,
        };
        let mut fastest = before;
        assert!(fastest.take(Bucket::MOST, Ticks(u32::MAX)));
        assert!(fastest.take(Bucket::MOST, Ticks(2)));
        let mut bucket = before;
        assert_eq!(given(&mut bucket, 4, u32::MAX, 9), 4);
        assert_eq!(given(&mut bucket, 4, 0, 9), 1);
        assert_eq!(given(&mut bucket, 4, 1, 9), 1);
    }

    #[test]
    fn who_shares_one_bucket_with_an_attacker_has_another() {
        const BUCKETS: u32 = 1 << 16;
        const RATE: u32 = 10;
        let mut buckets = vec![Bucket::default(); BUCKETS as usize];
        let mut passed = |source: u32, tries: u32| {
            let key = FlowKey4 {
                addresses: [source, 0],
                ports: [0; 2],
            };
            let pair = pair(key.hash(&Seed::known(1)), BUCKETS);
            let mut take = |index: u32| {
                let bucket = buckets.get_mut(index as usize).unwrap();
                bucket.take(RATE, Ticks(1_000))
            };
            let passes = |_: &u32| {
                let [one, other] = pair.map(&mut take);
                one || other
            };
            (0..tries).filter(passes).count()
        };
        // A hundred attackers, and ten thousand who open one connection each.
        let attackers: usize = (0..100).map(|source| passed(source, 1_000)).sum();
        assert!(attackers <= 100 * 2 * RATE as usize, "{attackers}");
        assert!(attackers >= 100 * RATE as usize, "{attackers}");
        let refused = (1_000..11_000).filter(|source| passed(*source, 1) == 0);
        assert!(refused.count() <= 1);
    }

    #[test]
    fn a_source_has_two_buckets() {
        for hash in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
            for buckets in [2, 64] {
                let [one, other] = pair(hash, buckets);
                assert!(one != other && one.max(other) < buckets, "{hash:x}");
            }
        }
    }
}
