//! TCP options, as far as the tracker needs them (RFC 9293 section 3.1, RFC 7323, RFC 2018).

use crate::seq::SeqNum;

/// Most octets of options that a header can carry: 15 words less the fixed five.
pub const MAX_LEN: usize = 40;

/// The kind of an option (IANA, TCP Option Kind Numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opt(u8);

impl Opt {
    const END: Self = Self(0);
    const NO_OPERATION: Self = Self(1);
    /// Maximum segment size (RFC 9293 section 3.7.1).
    pub const MSS: Self = Self(2);
    /// Window scale (RFC 7323 section 2.2).
    pub const WINDOW_SCALE: Self = Self(3);
    /// SACK permitted (RFC 2018 section 2).
    pub const SACK_PERMITTED: Self = Self(4);
    /// SACK (RFC 2018 section 3).
    pub const SACK: Self = Self(5);
    /// Time stamps (RFC 7323 section 3.2).
    pub const TIMESTAMPS: Self = Self(8);
    /// MD5 signature (RFC 2385).
    pub const MD5: Self = Self(19);
    /// Authentication (RFC 5925).
    pub const AUTHENTICATION: Self = Self(29);
}

/// The largest window scale there is.
pub const LARGEST_SCALE: u8 = 14;
/// No window is larger (RFC 7323 section 2.3).
const LARGEST_WINDOW: u32 = 1 << 30;
/// Octets of one SACK block: its left and its right edge.
const BLOCK: usize = 8;
/// Where the right edge of a block begins.
const RIGHT_EDGE: usize = 4;
/// More blocks than four do not fit (RFC 2018 section 3).
const MOST_BLOCKS: usize = 4;

/// The options of one header, by their offset.
pub trait Octets {
    /// The octet at `at` and the one behind it; `None` if the options end before. No option but padding
    /// is shorter.
    fn two(&self, at: usize) -> Option<[u8; 2]>;

    /// Three octets at `at`.
    fn three(&self, at: usize) -> Option<[u8; 3]>;

    /// Four octets in network order at `at`.
    fn word(&self, at: usize) -> Option<u32>;

    /// The same offset, below 512, as a number of which the kernel's verifier knows nothing else.
    fn forget(&self, at: usize) -> usize {
        at
    }
}

/// The window scale that a SYN offers; a larger one counts as 14 (RFC 7323 section 2.3).
#[inline(always)]
pub fn window_scale(octets: &impl Octets) -> Option<u8> {
    let (at, _) = find(octets, Opt::WINDOW_SCALE)?;
    window_scale_at(octets, at)
}

/// That of the option which begins at `at`.
#[inline(always)]
pub(crate) fn window_scale_at(octets: &impl Octets, at: usize) -> Option<u8> {
    let [_, _, scale] = octets.three(at)?;
    Some(scale.min(LARGEST_SCALE))
}

/// The highest octet that a segment acknowledges, by `ack` or by a SACK block.
///
/// Edges count from `ack` and no further than any window reaches: else a forger's blocks would lead around the
/// sequence space, to where an acknowledgment of what was never sent looks like one of what was.
#[inline(always)]
pub fn sacked(octets: &impl Octets, ack: SeqNum) -> SeqNum {
    let Some((at, len)) = find(octets, Opt::SACK) else {
        return ack;
    };
    let mut ahead = 0;
    for block in 0..MOST_BLOCKS {
        if len < 2 + (block + 1) * BLOCK {
            break;
        }
        let right = octets.word(at + 2 + block * BLOCK + RIGHT_EDGE);
        if let Some(edge) = right.map(|edge| SeqNum(edge).since(ack))
            && edge > ahead
            && edge <= LARGEST_WINDOW
        {
            ahead = edge;
        }
    }
    ack.plus(ahead)
}

/// Where the first option of a kind begins, and how many octets it says that it has.
#[inline(always)]
fn find(octets: &impl Octets, wanted: Opt) -> Option<(usize, usize)> {
    let mut found = None;
    walk(
        octets,
        #[inline(always)]
        |at, kind, len| {
            let is_wanted = kind == wanted;
            if is_wanted {
                found = Some((at, usize::from(len)));
            }
            is_wanted
        },
    );
    found
}

/// Shows where each option begins and of which kind it is.
#[inline(always)]
pub fn each(octets: &impl Octets, mut show: impl FnMut(usize, Opt)) {
    walk(
        octets,
        #[inline(always)]
        |at, kind, _| {
            show(at, kind);
            false
        },
    );
}

/// Shows each option until one is the last that is wanted: where it begins, its kind and its length.
///
/// The offset is forgotten before each look: else the verifier would check every combination of lengths. For its
/// sake, too, there is one look at the octets in each step.
#[inline(always)]
fn walk(octets: &impl Octets, mut is_last: impl FnMut(usize, Opt, u8) -> bool) {
    let mut at = 0;
    for _ in 0..MAX_LEN {
        at = octets.forget(at);
        let Some([kind, len]) = octets.two(at) else {
            return;
        };
        let kind = Opt(kind);
        if kind == Opt::NO_OPERATION {
            at += 1;
            continue;
        }
        if kind == Opt::END || len < 2 || is_last(at, kind, len) {
            return;
        }
        at += usize::from(len);
    }
}

impl Octets for &[u8] {
    fn two(&self, at: usize) -> Option<[u8; 2]> {
        self.get(at..)?.first_chunk().copied()
    }

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
    fn edges_lead_nowhere_that_no_window_reaches() {
        let sack = |edges: &[u32]| {
            let edges = edges.iter().map(|ahead| ACK.plus(*ahead).0.to_be_bytes());
            let blocks: Vec<_> = edges.flat_map(|edge| [[0; 4], edge]).flatten().collect();
            let len = u8::try_from(2 + blocks.len()).unwrap();
            sacked(&&[&[5, len], &blocks[..]].concat()[..], ACK).since(ACK)
        };
        assert_eq!(sack(&[1 << 30]), 1 << 30);
        assert_eq!(sack(&[7, (1 << 30) + 1]), 7);
        // From one to the next around the whole space.
        assert_eq!(sack(&[(1 << 31) - 1, u32::MAX - 9]), 0);
        assert_eq!(sack(&[5, (1 << 31) + 4, u32::MAX]), 5);
    }

    #[test]
    fn the_last_octets_of_the_longest_header_are_looked_at() {
        let mut octets = [1; MAX_LEN];
        octets[MAX_LEN - 3..].copy_from_slice(&[3, 3, 7]);
        assert_eq!(scanned(&octets), (Some(7), 1000));
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
