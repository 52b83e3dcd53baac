//! What the options of a SYN or a SYN+ACK offer.

use crate::{
    conn::seen::Seen,
    wire::options::{self, Octets, Opt},
};

/// What a SYN offers, as far as a cookie can carry it. Memory of functions that the verifier checks by
/// themselves, so there is no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Offer {
    /// Its time stamp (`TSval`, RFC 7323 section 3.2); 0 without one.
    pub timestamp: u32,
    /// The largest segment that it takes; 0 if it does not say.
    pub mss: u16,
    /// Its window scale, or [`Seen::NO_SCALE`].
    pub scale: u8,
    /// Bits of what else there is.
    pub(super) marks: u8,
}

const TIMESTAMP: u8 = 1;
const SACK: u8 = 1 << 1;
const SIGNED: u8 = 1 << 2;

impl Offer {
    /// A SYN without options.
    pub const NOTHING: Self = Self {
        timestamp: 0,
        mss: 0,
        scale: Seen::NO_SCALE,
        marks: 0,
    };

    /// Adds what the options of a SYN say.
    #[inline(always)]
    pub fn read(&mut self, octets: &impl Octets) {
        options::each(
            octets,
            #[inline(always)]
            |at, kind| match kind {
                Opt::MSS => {
                    if let Some(word) = octets.word(at) {
                        self.mss = (word & 0xffff) as u16;
                    }
                }
                Opt::WINDOW_SCALE => {
                    if let Some(scale) = options::window_scale_at(octets, at) {
                        self.scale = scale;
                    }
                }
                Opt::SACK_PERMITTED => self.marks |= SACK,
                Opt::TIMESTAMPS => {
                    if let Some(value) = octets.word(at + 2) {
                        self.timestamp = value;
                        self.marks |= TIMESTAMP;
                    }
                }
                Opt::MD5 | Opt::AUTHENTICATION => self.marks |= SIGNED,
                _ => {}
            },
        );
    }

    /// Whether there is a time stamp.
    #[inline(always)]
    #[must_use]
    pub const fn has_timestamp(&self) -> bool {
        self.marks & TIMESTAMP != 0
    }

    /// Whether SACK is permitted.
    #[inline(always)]
    #[must_use]
    pub const fn has_sack(&self) -> bool {
        self.marks & SACK != 0
    }

    /// Whether it is signed (RFC 2385, RFC 5925): only the stack has the key that the answer needs.
    #[inline(always)]
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        self.marks & SIGNED != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> Offer {
        let mut offer = Offer::NOTHING;
        offer.read(&octets);
        offer
    }

    #[test]
    fn what_linux_offers_is_read() {
        let offer = read(&[
            2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
        ]);
        assert_eq!((offer.mss, offer.scale), (1460, 7));
        assert_eq!(offer.timestamp, 0x0102_0304);
        assert!(offer.has_timestamp() && offer.has_sack() && !offer.is_signed());
    }

    #[test]
    fn what_windows_offers_is_read_to_its_last_two_octets() {
        let offer = read(&[2, 4, 5, 180, 1, 3, 3, 8, 1, 1, 4, 2]);
        assert_eq!((offer.mss, offer.scale), (1460, 8));
        assert!(offer.has_sack() && !offer.has_timestamp());
    }

    #[test]
    fn signatures_are_seen() {
        let mut md5 = [0; 20];
        (md5[0], md5[1]) = (19, 18);
        assert!(read(&md5).is_signed());
        let mut authentication = [0; 16];
        (authentication[0], authentication[1]) = (29, 16);
        assert!(read(&authentication).is_signed());
    }

    #[test]
    fn what_is_cut_offers_nothing() {
        for cut in [&[2, 4, 5][..], &[3, 3], &[8, 10, 0, 0], &[4], &[]] {
            assert_eq!(read(cut), Offer::NOTHING, "{cut:?}");
        }
    }
}
