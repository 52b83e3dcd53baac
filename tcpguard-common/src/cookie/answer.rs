//! The SYN+ACK that carries a cookie, as the kernel's own does (`tcp_make_synack` and
//! `cookie_init_timestamp` in the kernel).
#![expect(
    clippy::cast_possible_truncation,
    reason = "headers are short, and sums are folded to 16 bits"
)]

use super::{Means, listener::Listener, offer::Offer};
use crate::{conn::seen::Seen, flags::TcpFlags, seq::SeqNum, wire::tcp};

/// Words of the header with all its options: MSS, SACK permitted and time stamps, window scale.
pub const WORDS: usize = (tcp::HEADER_LEN + 20) / 4;
/// Words of one that has no option but the MSS.
pub const FEW_WORDS: usize = tcp::HEADER_LEN / 4 + 1;

// In a time stamp of ours (TSBITS and TS_OPT_* in net/ipv4/syncookies.c).
const OPTION_BITS: u32 = 0x3f;
const NO_SCALE: u32 = 0xf;
const SACK: u32 = 1 << 4;
const ECN: u32 = 1 << 5;

/// A SYN as its answer needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct Syn<'a> {
    /// Source port, then destination port.
    pub ports: [u16; 2],
    /// Its sequence number.
    pub seq: SeqNum,
    /// Its flags.
    pub flags: TcpFlags,
    /// Its options.
    pub offer: &'a Offer,
}

/// A TCP header with a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Words in host order, of which the first [`Answer::octets`] count.
    pub words: [u32; WORDS],
    is_long: bool,
}

impl Answer {
    /// The answer to a SYN on behalf of a listener. `now`, which is not always asked, is in milliseconds of the
    /// kernel's monotonic clock. The checksum is missing yet.
    #[inline(always)]
    #[must_use]
    pub fn new(
        syn: &Syn<'_>,
        listener: &Listener,
        means: Means,
        cookie: u32,
        now: impl FnOnce() -> u32,
    ) -> Self {
        let offer = syn.offer;
        let is_long = offer.has_timestamp() && means.contains(Means::TIMESTAMPS);
        let agreed = Agreed::of(syn, listener, means);
        let words = if is_long { WORDS } else { FEW_WORDS } as u32;
        let mut flags = u32::from(TcpFlags::SYN.with(TcpFlags::ACK).bits());
        if is_long && agreed.ecn {
            flags |= u32::from(TcpFlags::ECE.bits());
        }
        let [source, destination] = syn.ports.map(u32::from);
        let sack_and_timestamps = if agreed.sack {
            0x0402_080a
        } else {
            0x0101_080a
        };
        let scale = match agreed.scale {
            Some((_, ours)) => 0x0103_0300 | u32::from(ours),
            None => 0x0101_0101,
        };
        Self {
            words: [
                destination << 16 | source,
                cookie,
                syn.seq.plus(1).0,
                words << 28 | flags << 16 | u32::from(listener.window),
                0,
                0x0204_0000 | u32::from(listener.mss),
                sack_and_timestamps,
                if is_long { agreed.stamp(now()) } else { 0 },
                offer.timestamp,
                scale,
            ],
            is_long,
        }
    }

    /// Octets of the header.
    #[inline(always)]
    #[must_use]
    pub const fn octets(&self) -> usize {
        4 * if self.is_long { WORDS } else { FEW_WORDS }
    }

    /// Whether it has all options.
    #[inline(always)]
    #[must_use]
    pub const fn is_long(&self) -> bool {
        self.is_long
    }

    /// Adds the checksum, with the sum of the addresses' halves (RFC 9293 section 3.1).
    #[inline(always)]
    #[must_use]
    pub fn with_checksum(mut self, addresses: u32) -> Self {
        let mut sum = addresses + u32::from(tcp::PROTOCOL) + self.octets() as u32;
        let [head @ .., a, b, c, d] = &self.words;
        for word in head {
            sum += halves(*word);
        }
        if self.is_long {
            sum += halves(*a) + halves(*b) + halves(*c) + halves(*d);
        }
        let [.., checksum, _, _, _, _, _] = &mut self.words;
        *checksum = u32::from(folded(sum)) << 16;
        self
    }
}

/// What both sides can do.
struct Agreed {
    sack: bool,
    ecn: bool,
    /// The peer's window scale, and the listener's.
    scale: Option<(u8, u8)>,
}

impl Agreed {
    #[inline(always)]
    fn of(syn: &Syn<'_>, listener: &Listener, means: Means) -> Self {
        let (offer, ours) = (syn.offer, listener.scale);
        let can_scale = offer.scale != Seen::NO_SCALE && ours != Seen::NO_SCALE;
        Self {
            sack: offer.has_sack() && means.contains(Means::SACK),
            ecn: syn.flags.contains(TcpFlags::ECE.with(TcpFlags::CWR))
                && means.contains(Means::ECN),
            scale: (can_scale && means.contains(Means::SCALE)).then_some((offer.scale, ours)),
        }
    }

    /// The time stamp that says this when it is echoed. Never later than `now`, which the peer would hold
    /// against what comes behind it (RFC 7323 section 5).
    #[inline(always)]
    fn stamp(&self, now: u32) -> u32 {
        let mut options = self.scale.map_or(NO_SCALE, |(theirs, _)| theirs.into());
        if self.sack {
            options |= SACK;
        }
        if self.ecn {
            options |= ECN;
        }
        let stamp = now & !OPTION_BITS | options;
        if stamp.wrapping_sub(now).cast_signed() > 0 {
            stamp.wrapping_sub(OPTION_BITS + 1)
        } else {
            stamp
        }
    }
}

/// The sum of the two halves of a word.
#[inline(always)]
#[must_use]
pub const fn halves(word: u32) -> u32 {
    (word >> 16) + (word & 0xffff)
}

/// The checksum of a sum of halves (RFC 1071).
#[inline(always)]
#[must_use]
pub const fn folded(sum: u32) -> u16 {
    !(halves(halves(sum)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        conn::time::Ticks,
        cursor::{Cursor as _, SliceCursor},
        wire::tcp::TcpHeader,
    };

    const ALL: Means = Means::TIMESTAMPS
        .with(Means::SACK)
        .with(Means::SCALE)
        .with(Means::ECN);
    const ECN_SYN: TcpFlags = TcpFlags::SYN.with(TcpFlags::ECE).with(TcpFlags::CWR);

    fn offer(octets: &[u8]) -> Offer {
        let mut offer = Offer::NOTHING;
        offer.read(&octets);
        offer
    }

    /// What Linux offers: MSS 1400, SACK, time stamp 7, window scale 9.
    fn linux() -> Offer {
        offer(&[
            2, 4, 5, 120, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 0, 1, 3, 3, 9,
        ])
    }

    fn listener() -> Listener {
        let own = offer(&[2, 4, 5, 180, 1, 3, 3, 7]);
        let mut listener = Listener::NEW;
        listener.hear(&own, 65_160, Ticks(1));
        listener
    }

    fn answer(offer: Offer, flags: TcpFlags, means: Means, now: u32) -> Answer {
        let syn = Syn {
            ports: [40_000, 80],
            seq: SeqNum(u32::MAX),
            flags,
            offer: &offer,
        };
        Answer::new(&syn, &listener(), means, 0xc00c_1e00, || now)
    }

    fn octets(answer: &Answer) -> Vec<u8> {
        let all = answer.words.iter().flat_map(|word| word.to_be_bytes());
        all.take(answer.octets()).collect()
    }

    /// What its own options offer.
    fn offered(answer: &Answer) -> Offer {
        offer(octets(answer).get(tcp::HEADER_LEN..).unwrap())
    }

    #[test]
    fn it_is_a_syn_ack_of_the_listener_and_of_the_cookie() {
        let answer = answer(linux(), TcpFlags::SYN, ALL, 1_000_000);
        let octets = octets(&answer);
        let mut cursor = SliceCursor::new(&octets);
        let header = TcpHeader(cursor.take::<{ tcp::HEADER_LEN }>().unwrap());
        assert_eq!(
            (header.source_port(), header.destination_port()),
            (80, 40_000)
        );
        assert_eq!((header.seq().0, header.ack().0), (0xc00c_1e00, 0));
        assert_eq!(header.flags(), TcpFlags::SYN.with(TcpFlags::ACK));
        assert_eq!(header.header_len(), octets.len());
        assert_eq!(header.window(), 65_160);
        let own = offered(&answer);
        assert_eq!((own.mss, own.scale), (1460, 7));
        assert!(own.has_sack() && own.has_timestamp());
        assert_eq!(answer.words[8], 7, "the echo");
    }

    #[test]
    fn its_time_stamp_says_what_was_offered_and_is_never_ahead() {
        for now in [0, 5, 64, 1_000_000, u32::MAX] {
            let full = answer(linux(), ECN_SYN, ALL, now);
            let stamp = full.words[7];
            assert_eq!(stamp & OPTION_BITS, 9 | SACK | ECN);
            assert!(now.wrapping_sub(stamp) < 2 * (OPTION_BITS + 1), "{now}");
            let bare = offer(&[8, 10, 0, 0, 0, 7, 0, 0, 0, 0]);
            let stamp = answer(bare, TcpFlags::SYN, ALL, now).words[7];
            assert_eq!(stamp & OPTION_BITS, NO_SCALE);
        }
    }

    #[test]
    fn what_the_stack_would_not_take_back_is_not_offered() {
        let short = answer(linux(), ECN_SYN, Means::SACK.with(Means::SCALE), 1);
        assert_eq!((short.octets(), short.is_long()), (24, false));
        assert_eq!(short.words[3] >> 16 & 0x1ff, 0x12, "no ECE");
        let own = offered(&short);
        assert_eq!((own.mss, own.scale), (1460, Seen::NO_SCALE));
        let some = answer(linux(), ECN_SYN, Means::TIMESTAMPS, 1);
        let own = offered(&some);
        assert!(own.has_timestamp() && !own.has_sack() && own.scale == Seen::NO_SCALE);
    }

    #[test]
    fn the_sum_over_it_is_that_of_a_sound_segment() {
        for (means, now) in [(ALL, 3), (Means::NONE, 99)] {
            let addresses = halves(0x0a00_0001) + halves(0xfffe_ffff);
            let sound = answer(linux(), TcpFlags::SYN, means, now).with_checksum(addresses);
            let words = sound.words.iter().take(sound.octets() / 4);
            let sum: u32 = words.map(|word| halves(*word)).sum();
            let pseudo =
                addresses + u32::from(tcp::PROTOCOL) + u32::try_from(sound.octets()).unwrap();
            assert_eq!(folded(sum + pseudo), 0);
        }
    }
}
