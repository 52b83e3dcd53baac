//! TCP options, as far as the tracker needs them (RFC 9293 section 3.1, RFC 7323, RFC 2018).

use crate::seq::SeqNum;

/// Most octets of options that a header can carry: 15 words less the fixed five.
pub const MAX_LEN: usize = 40;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const WINDOW_SCALE: u8 = 3;
const SACK: u8 = 5;
/// The largest window scale there is.
pub const LARGEST_SCALE: u8 = 14;
/// Octets of one SACK block: its left and its right edge.
const BLOCK: usize = 8;
/// Where the right edge of a block begins.
const RIGHT_EDGE: usize = 4;
/// More blocks than four do not fit (RFC 2018 section 3).
const MOST_BLOCKS: usize = 4;

/// The options of one header, by their offset.
pub trait Octets {
    /// The octet at `at` and the two behind it; `None` if the options end before. No option that is
    /// looked for is shorter.
    fn three(&self, at: usize) -> Option<[u8; 3]>;

    /// Four octets in network order at `at`.
    fn word(&self, at: usize) -> Option<u32>;
}

/// The window scale that a SYN offers; a larger one counts as 14 (RFC 7323 section 2.3).
#[inline(always)]
pub fn window_scale(octets: &impl Octets) -> Option<u8> {
    let (_, [_, _, scale]) = find(octets, WINDOW_SCALE)?;
    Some(scale.min(LARGEST_SCALE))
}

/// The highest octet that a segment acknowledges, by `ack` or by a SACK block.
#[inline(always)]
pub fn sacked(octets: &impl Octets, ack: SeqNum) -> SeqNum {
    let Some((at, [_, len, _])) = find(octets, SACK) else {
        return ack;
    };
    let mut highest = ack;
    for block in 0..MOST_BLOCKS {
        if usize::from(len) < 2 + (block + 1) * BLOCK {
            break;
        }
        let right = octets.word(at + 2 + block * BLOCK + RIGHT_EDGE);
        if let Some(edge) = right.map(SeqNum)
            && edge.after(highest)
        {
            highest = edge;
        }
    }
    highest
}

/// Where the first option of a kind begins, and its first three octets.
///
/// The offset counts up by constant steps, and options are skipped by comparing with it: with an
/// offset that is moved by the options' own lengths the verifier would check every combination of
/// lengths. For its sake, too, there is one look at the octets in each step.
#[inline(always)]
fn find(octets: &impl Octets, wanted: u8) -> Option<(usize, [u8; 3])> {
    /// No option of three octets begins behind it.
    const LAST: usize = MAX_LEN - 3;
    let mut next = 0;
    for at in 0..=LAST {
        if at < next {
            continue;
        }
        let found = octets.three(at)?;
        let [kind, len, _] = found;
        if kind == NO_OPERATION {
            // So that `next` is `at` wherever an option is looked at: one state for the verifier.
            next = at + 1;
            continue;
        }
        if kind == END || len < 2 {
            return None;
        }
        if kind == wanted {
            return Some((at, found));
        }
        next = at + usize::from(len);
        if next > LAST {
            return None;
        }
    }
    None
}

impl Octets for &[u8] {
    fn three(&self, at: usize) -> Option<[u8; 3]> {
        self.get(at..)?.first_chunk().copied()
    }

    fn word(&self, at: usize) -> Option<u32> {
        self.get(at..)?
            .first_chunk()
            .copied()
            .map(u32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK: SeqNum = SeqNum(1000);

    fn scanned(octets: &[u8]) -> (Option<u8>, u32) {
        (window_scale(&octets), sacked(&octets, ACK).0)
    }

    #[test]
    fn the_scale_of_a_linux_syn_is_found() {
        // MSS 1460, SACK permitted, time stamps, no operation, window scale 7.
        let syn = [
            2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
        ];
        assert_eq!(scanned(&syn), (Some(7), 1000));
    }

    #[test]
    fn the_highest_edge_counts_in_whatever_order_blocks_come() {
        let blocks = [
            1, 1, 5, 18, 0, 0, 4, 76, 0, 0, 8, 0, 0, 0, 4, 76, 0, 0, 5, 0,
        ];
        assert_eq!(scanned(&blocks), (None, 2048));
    }

    #[test]
    fn an_edge_below_the_acknowledgment_is_no_news() {
        assert_eq!(scanned(&[5, 10, 0, 0, 0, 1, 0, 0, 0, 2]), (None, 1000));
    }

    #[test]
    fn what_is_cut_or_lies_ends_the_walk() {
        assert_eq!(scanned(&[]), (None, 1000));
        assert_eq!(scanned(&[3]), (None, 1000));
        assert_eq!(scanned(&[3, 3]), (None, 1000));
        assert_eq!(scanned(&[2, 0, 3, 3, 7]), (None, 1000));
        assert_eq!(scanned(&[0, 0, 3, 3, 7]), (None, 1000));
        assert_eq!(scanned(&[2, 255, 3, 3, 7]), (None, 1000));
        assert_eq!(scanned(&[5, 10, 0, 0]), (None, 1000));
    }

    #[test]
    fn anything_is_walked_to_its_end() {
        bolero::check!().with_type().for_each(|octets: &Vec<u8>| {
            let options = octets.get(..MAX_LEN).unwrap_or(octets);
            let _ = scanned(options);
        });
    }
}
