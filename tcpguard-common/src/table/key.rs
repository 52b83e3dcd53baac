//! Where in the table a key is looked for.

use super::{Slot, VAIN, WAYS};
use crate::flow::{FlowKey4, FlowKey6};

/// What makes the hash of a table its own, from a good source of randomness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Seed {
    /// For the words of either address.
    pub addresses: [[u64; 4]; 2],
    /// For the ports.
    pub ports: u64,
}

impl Seed {
    /// Made of numbers, one after the other.
    pub fn draw<E>(mut number: impl FnMut() -> Result<u64, E>) -> Result<Self, E> {
        let mut seed = Self::default();
        for word in seed.addresses.as_flattened_mut() {
            *word = number()?;
        }
        seed.ports = number()?;
        Ok(seed)
    }

    /// Of a table that nobody aims at: always the same.
    #[must_use]
    pub const fn known(number: u64) -> Self {
        const fn four(number: u64, from: u64) -> [u64; 4] {
            [
                word(number, from),
                word(number, from + 1),
                word(number, from + 2),
                word(number, from + 3),
            ]
        }
        Self {
            addresses: [four(number, 1), four(number, 5)],
            ports: word(number, 9),
        }
    }
}

/// The nth word that follows from a number (`SplitMix64`; Steele and others, 2014).
const fn word(number: u64, nth: u64) -> u64 {
    let bits = number.wrapping_add(GOLDEN.wrapping_mul(nth));
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The two ends of a connection, as the table looks for them.
///
/// Hashed by sums of products with the seed, of which the upper 32 bits are universal: whatever two
/// keys somebody chose without the seed, over all seeds they meet there at most twice as often as by
/// chance, and keys that meet in all bits are in the same sets (after Thorup, "High Speed Hashing for Integers and Strings", pair-multiply-shift, which adds
/// another word of seed to halve that). No product waits for another, so a
/// processor works on all of them at once.
///
/// The default is nobody's: no connection has a port 0.
pub trait Key: Copy + Default + Eq {
    /// The ports of both ends.
    fn ports_mut(&mut self) -> &mut [u16; 2];

    /// Both ports as one word, as they lie in the memory of a little-endian machine.
    #[inline(always)]
    fn ports(mut self) -> u32 {
        let [low, high] = *self.ports_mut();
        u32::from(high) << 16 | u32::from(low)
    }

    /// Nobody's key with these addresses.
    #[inline(always)]
    #[must_use]
    fn without_ports(mut self) -> Self {
        *self.ports_mut() = [0; 2];
        self
    }

    /// A hash that nobody can aim at without the seed.
    fn hash(&self, seed: &Seed) -> u64;

    /// Whether it is the same one. Word by word: of `==` LLVM makes a comparison of memory, and of that for BPF
    /// one of single octets (LLVM 22).
    fn is(&self, other: &Self) -> bool;
}

impl Key for FlowKey4 {
    #[inline(always)]
    fn ports_mut(&mut self) -> &mut [u16; 2] {
        &mut self.ports
    }

    #[inline(always)]
    fn hash(&self, seed: &Seed) -> u64 {
        let [[one, two, ..], _] = seed.addresses;
        product(self.addresses, [one, two])
            .wrapping_add(u64::from(self.ports()).wrapping_mul(seed.ports))
    }

    #[inline(always)]
    fn is(&self, other: &Self) -> bool {
        differences(self.addresses, other.addresses) | (self.ports() ^ other.ports()) == 0
    }
}

impl Key for FlowKey6 {
    #[inline(always)]
    fn ports_mut(&mut self) -> &mut [u16; 2] {
        &mut self.ports
    }

    #[inline(always)]
    fn hash(&self, seed: &Seed) -> u64 {
        let [low, high] = self.addresses;
        let [seed_of_low, seed_of_high] = seed.addresses;
        address(low, seed_of_low)
            .wrapping_add(address(high, seed_of_high))
            .wrapping_add(u64::from(self.ports()).wrapping_mul(seed.ports))
    }

    #[inline(always)]
    fn is(&self, other: &Self) -> bool {
        let [low, high] = self.addresses;
        let [other_low, other_high] = other.addresses;
        // In two steps: all words at once would take more stack than there is (Linux 6.1).
        differences(low, other_low) == 0
            && differences(high, other_high) | (self.ports() ^ other.ports()) == 0
    }
}

/// The bits in which the words differ somewhere.
#[inline(always)]
fn differences<const N: usize>(words: [u32; N], others: [u32; N]) -> u32 {
    let pairs = words.into_iter().zip(others);
    pairs.fold(0, |bits, (word, other)| bits | (word ^ other))
}

/// Where a connection's entry may be: in one of two sets, under a tag; and where it is as a rule. Each of them is
/// reckoned where it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    hash: u64,
    /// The whole hash in each half. The upper half of the hash itself is the good one: as a tag it tells two keys
    /// apart. But keys that are counted up go around in equal steps there, and with one seed of ten these steps come
    /// so close to a fraction of the circle that they leave out half of the sets.
    mixed: u64,
    sets: u32,
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "each part takes its half of the bits"
)]
impl Location {
    /// By the hash of a key, in a table of `sets` sets.
    #[inline(always)]
    #[must_use]
    pub const fn new(hash: u64, sets: u32) -> Self {
        Self {
            hash,
            mixed: (hash ^ (hash >> 32)).wrapping_mul(GOLDEN),
            sets,
        }
    }

    /// The candidate set that is preferred.
    #[inline(always)]
    #[must_use]
    pub const fn first(&self) -> u32 {
        scaled((self.mixed >> 32) as u32, self.sets)
    }

    /// The other one, which may be the same.
    #[inline(always)]
    #[must_use]
    pub const fn second(&self) -> u32 {
        scaled(self.mixed as u32, self.sets)
    }

    /// The set that a slot is in.
    #[inline(always)]
    #[must_use]
    pub const fn set(&self, slot: Slot) -> u32 {
        if slot.set() == 0 {
            self.first()
        } else {
            self.second()
        }
    }

    /// The slot of the first set that is preferred, by bits on which that set does not depend.
    #[inline(always)]
    #[must_use]
    pub const fn home(&self) -> usize {
        (self.mixed >> 29) as usize % WAYS
    }

    /// The tag in either set.
    #[inline(always)]
    #[must_use]
    pub const fn tag(&self) -> u32 {
        let tag = (self.hash >> 32) as u32;
        // The lowest mean something else.
        if tag <= VAIN { tag + VAIN + 1 } else { tag }
    }
}

/// An odd number whose bits are half ones: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Maps all 32-bit numbers evenly to those below `sets`, without a division.
#[inline(always)]
const fn scaled(number: u32, sets: u32) -> u32 {
    ((number as u64 * sets as u64) >> 32) as u32
}

#[inline(always)]
const fn address([a, b, c, d]: [u32; 4], [one, two, three, four]: [u64; 4]) -> u64 {
    product([a, b], [one, two]).wrapping_add(product([c, d], [three, four]))
}

#[inline(always)]
const fn product([a, b]: [u32; 2], [one, two]: [u64; 2]) -> u64 {
    one.wrapping_add(a as u64)
        .wrapping_mul(two.wrapping_add(b as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_never_those_of_slots_without_an_entry() {
        for hash in [0, 1 << 32, 2 << 32, 3 << 32, u64::MAX] {
            assert!(Location::new(hash, 8).tag() > VAIN);
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
            let location = Location::new(key.hash(&Seed::known(1)), sets);
            for set in [location.first(), location.second()] {
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
        let one = Location::new(key.hash(&Seed::known(1)), 1 << 20);
        let two = Location::new(key.hash(&Seed::known(2)), 1 << 20);
        assert_ne!(one, two);
    }
}
