//! What each connection had moved at a walk over the tables, in as little memory as that takes.
//!
//! ```text
//! walk -> (slot, octets of both directions) -> Ledger -> Past -> the same slot at the next walk
//! ```
//!
//! A connection stays in its slot as a rule, and walks come by slots in their order: so of its ends a few bits
//! are enough, and a million connections take a few megabytes. One that has made room for another and moved
//! is not known again.

use std::{collections::VecDeque, iter::Peekable};

/// A slot, a few bits of whose connection it holds, and what that had moved, the original direction first.
type Record = (usize, u8, [u64; 2]);

/// Octets of memory that are taken, and given back, at once.
const CHUNK: usize = 1 << 16;
/// The longest record: three numbers of ten octets, and one.
const LONGEST: usize = 31;

/// Records in the order of their slots.
///
/// Of each are written how many slots it is from the one before it, whose it is, and both octets, seven bits of
/// a number in an octet (LEB128): most are small.
#[derive(Default)]
pub(super) struct Ledger {
    chunks: VecDeque<Vec<u8>>,
    /// Of the last record.
    slot: usize,
}

impl Ledger {
    /// Writes what the connection in a slot behind all others has moved, and seven bits that tell it apart.
    pub(super) fn write(&mut self, slot: usize, whose: u8, octets: [u64; 2]) {
        let [up, down] = octets;
        let distance = (slot - self.slot) as u64;
        self.slot = slot;
        let is_full = |chunk: &Vec<u8>| chunk.len() + LONGEST > CHUNK;
        if self.chunks.back().is_none_or(is_full) {
            self.chunks.push_back(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = self.chunks.back_mut() {
            for number in [distance, u64::from(whose & 0x7f), up, down] {
                put(chunk, number);
            }
        }
    }

    /// Reads it, and gives its memory back on the way.
    pub(super) fn read(self) -> Past {
        Past(Reading::new(self.chunks).peekable())
    }
}

/// A ledger that is read slot by slot.
pub(super) struct Past(Peekable<Reading>);

impl Past {
    /// What the connection in this slot had moved, if it is the same one; each call asks for a later slot.
    pub(super) fn at(&mut self, slot: usize, whose: u8) -> Option<[u64; 2]> {
        while self.0.next_if(|(earlier, ..)| *earlier < slot).is_some() {}
        let (_, before, octets) = self.0.next_if(|(found, ..)| *found == slot)?;
        (before == whose & 0x7f).then_some(octets)
    }
}

/// The records of a ledger, one after the other.
struct Reading {
    chunks: VecDeque<Vec<u8>>,
    /// Octets of the first chunk that have been read.
    read: usize,
    slot: usize,
}

impl Reading {
    const fn new(chunks: VecDeque<Vec<u8>>) -> Self {
        Self {
            chunks,
            read: 0,
            slot: 0,
        }
    }
}

impl Iterator for Reading {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if self.chunks.front()?.len() == self.read {
            self.chunks.pop_front();
            self.read = 0;
        }
        let mut rest = self.chunks.front()?.get(self.read..)?;
        let before = rest.len();
        let [distance, whose, up, down] = [(); 4].map(|()| take(&mut rest));
        self.read += before - rest.len();
        self.slot += usize::try_from(distance).unwrap_or(0);
        Some((self.slot, u8::try_from(whose).unwrap_or(0), [up, down]))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits")]
fn put(chunk: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        chunk.push(number as u8 | 0x80);
        number >>= 7;
    }
    chunk.push(number as u8);
}

fn take(chunk: &mut &[u8]) -> u64 {
    let mut number = 0;
    let mut shift = 0;
    while let Some((octet, rest)) = chunk.split_first() {
        *chunk = rest;
        number |= u64::from(octet & 0x7f) << shift;
        shift += 7;
        if octet & 0x80 == 0 {
            break;
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_at_its_slot_and_at_no_other() {
        let mut ledger = Ledger::default();
        let records = [
            (0, [0, 127]),
            (1, [128, 1 << 40]),
            (9_000_000, [u64::MAX, 7]),
        ];
        for (slot, octets) in records {
            ledger.write(slot, 127, octets);
        }
        let mut past = ledger.read();
        let found = [0, 1, 2, 8_999_999, 9_000_000, 9_000_001].map(|slot| past.at(slot, 127));
        let [first, second, last] = records.map(|(_, octets)| Some(octets));
        assert_eq!(found, [first, second, None, None, last, None]);
    }

    #[test]
    fn a_million_take_a_few_megabytes_which_are_given_back_on_the_way() {
        let mut ledger = Ledger::default();
        for slot in 0..1 << 20 {
            ledger.write(slot, 1, [1_000, 100_000]);
        }
        assert!(ledger.chunks.len() * CHUNK <= 8 << 20);
        let mut past = ledger.read();
        for slot in 0..1 << 20 {
            assert_eq!(past.at(slot, 1), Some([1_000, 100_000]));
        }
        assert_eq!(past.at(1 << 20, 1), None);
    }
}
