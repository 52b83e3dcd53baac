//! Where in the table a key is looked for.

use super::BUSY;
use crate::flow::{FlowKey4, FlowKey6};

/// What makes the hash of a table its own; from a good source of randomness.
pub type Seed = [u64; 2];

/// The two ends of a connection, as the table looks for them.
pub trait Key: Copy + Eq {
    /// A hash that nobody can aim at without the seed.
    fn hash(&self, seed: Seed) -> u64;
}

impl Key for FlowKey4 {
    #[inline(always)]
    fn hash(&self, [first, second]: Seed) -> u64 {
        let [low, high] = self.addresses;
        let both = fold(pair(low, high).wrapping_mul(odd(first)));
        fold((both ^ ports(self.ports) ^ first).wrapping_mul(odd(second)))
    }
}

impl Key for FlowKey6 {
    #[inline(always)]
    fn hash(&self, [first, second]: Seed) -> u64 {
        // Side by side, which a processor works on at once; by different seeds, so that no two
        // addresses cancel each other out.
        let [low, high] = self.addresses;
        let (low, high) = (address(low, first), address(high, second));
        mix(low ^ high.rotate_left(32) ^ ports(self.ports))
    }
}

/// Where a connection's entry may be: in one of two sets, under a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Both candidate sets; they may be the same.
    pub sets: [u32; 2],
    /// The tag in either.
    pub tag: u32,
}

impl Location {
    /// By the hash of a key, in a table of `sets` sets.
    #[inline(always)]
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each part takes its half of the bits"
    )]
    pub const fn new(hash: u64, sets: u32) -> Self {
        let second = (hash ^ (hash >> 29)).wrapping_mul(SECOND_FACTOR);
        let tag = (hash >> 32) as u32;
        Self {
            sets: [
                scaled(hash as u32, sets),
                scaled((second >> 32) as u32, sets),
            ],
            // 0 and 1 mean something else.
            tag: if tag <= BUSY { tag + 2 } else { tag },
        }
    }
}

/// An odd number whose bits are half ones: 2^64 divided by the golden ratio.
const SECOND_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Maps all 32-bit numbers evenly to those below `sets`, without a division.
#[inline(always)]
const fn scaled(number: u32, sets: u32) -> u32 {
    ((number as u64 * sets as u64) >> 32) as u32
}

#[inline(always)]
const fn pair(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

#[inline(always)]
const fn address([a, b, c, d]: [u32; 4], seed: u64) -> u64 {
    mix(mix(pair(a, b) ^ seed) ^ pair(c, d))
}

#[inline(always)]
const fn ports([low, high]: [u16; 2]) -> u64 {
    (high as u64) << 16 | low as u64
}

/// A secret multiplier: of two keys that somebody chose without it, the products are no nearer than
/// chance has it (multiply-shift hashing; Dietzfelbinger and others, 1997).
#[inline(always)]
const fn odd(seed: u64) -> u64 {
    (seed ^ SECOND_FACTOR) | 1
}

/// Brings the upper bits down, which depend on all of the lower ones.
#[inline(always)]
const fn fold(bits: u64) -> u64 {
    bits ^ (bits >> 32)
}

/// Spreads every bit over all of them (Pelle Evensen's and Chris Wellons' search for such
/// multipliers: rrmxmx and its kin).
#[inline(always)]
const fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 32;
    bits = bits.wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits ^= bits >> 32;
    bits = bits.wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits ^ (bits >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Seed = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

    #[test]
    fn tags_are_never_those_of_empty_and_busy_slots() {
        for hash in [0, 1 << 32, 2 << 32, u64::MAX] {
            assert!(Location::new(hash, 8).tag > BUSY);
        }
    }

    #[test]
    fn sets_lie_within_the_table_and_are_used_evenly() {
        let sets = 999;
        let mut counts = vec![0_u32; 999];
        for port in 0..60_000 {
            let key = FlowKey4 {
                addresses: [0x0a00_0001, 0x0a00_0002],
                ports: [80, port],
            };
            for set in Location::new(key.hash(SEED), sets).sets {
                *counts.get_mut(usize::try_from(set).unwrap()).unwrap() += 1;
            }
        }
        // 120 each on average; a fair hash leaves none further off than seven deviations.
        assert!(counts.iter().all(|count| (44..=200).contains(count)));
    }

    #[test]
    fn another_seed_is_another_table() {
        let key = FlowKey4 {
            addresses: [1, 2],
            ports: [3, 4],
        };
        let one = Location::new(key.hash(SEED), 1 << 20);
        let two = Location::new(key.hash([SEED[0] + 1, SEED[1]]), 1 << 20);
        assert_ne!(one, two);
    }
}
