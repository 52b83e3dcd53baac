//! Sets of ports.

use core::ops::RangeInclusive;

const BITS: usize = u64::BITS as usize;
const WORDS: usize = (1 << 16) / BITS;

/// A set of TCP ports, a bit each: 8 KiB, and one load to ask it. Part of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct PortSet([u64; WORDS]);

impl PortSet {
    /// No port.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// Adds the ports of a range.
    pub fn insert(&mut self, ports: RangeInclusive<u16>) {
        for port in ports {
            if let Some(word) = self.0.get_mut(usize::from(port) / BITS) {
                *word |= 1 << (usize::from(port) % BITS);
            }
        }
    }

    /// Whether a port is one of them.
    #[inline(always)]
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        let (word, bit) = (usize::from(port) / BITS, usize::from(port) % BITS);
        self.0.get(word).is_some_and(|word| (word >> bit) & 1 != 0)
    }

    /// The ports in order, those beside each other as one range.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u16>> {
        let starts = (0..=u16::MAX).filter(|port| {
            let before = port.checked_sub(1);
            self.contains(*port) && !before.is_some_and(|before| self.contains(before))
        });
        starts.map(|start| {
            let mut rest = start..=u16::MAX;
            let behind = rest.find(|port| !self.contains(*port));
            start..=behind.map_or(u16::MAX, |behind| behind - 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_added_and_nothing_beside_it() {
        let mut ports = PortSet::EMPTY;
        for range in [22..=22, 80..=80, 8000..=8063, u16::MAX..=u16::MAX] {
            ports.insert(range);
        }
        for port in 0..=u16::MAX {
            let expected = matches!(port, 22 | 80 | 8000..=8063 | u16::MAX);
            assert_eq!(ports.contains(port), expected, "{port}");
        }
    }

    #[test]
    fn ranges_are_the_shortest_list_of_the_same_ports() {
        let of = |ranges: &[RangeInclusive<u16>]| {
            let mut ports = PortSet::EMPTY;
            for range in ranges {
                ports.insert(range.clone());
            }
            ports.ranges().collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[5..=9, 3..=4, 11..=11]), [3..=9, 11..=11]);
        assert_eq!(
            of(&[0..=0, u16::MAX..=u16::MAX]),
            [0..=0, u16::MAX..=u16::MAX]
        );
        assert_eq!(of(&[0..=u16::MAX]), [0..=u16::MAX]);
    }
}
