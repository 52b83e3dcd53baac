//! Sources of segments that are objected to, as far as a sample tells.

use std::{cmp::Reverse, collections::HashMap, net::IpAddr, time::Duration};

use serde::Serialize;
use tcpguard_common::{abi::Hook, reason::Reason, verdict::Verdict};

use crate::{
    evidence::{Exhibit, archive::Sighting},
    watch::number::per_second,
};

/// A source, and how much of it is objected to in a second.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Offender {
    pub(crate) source: IpAddr,
    pub(crate) dropped_per_s: u64,
    pub(crate) would_drop_per_s: u64,
    /// The most frequent one.
    pub(crate) reason: &'static str,
}

#[derive(Default)]
struct Share {
    dropped: u64,
    would_drop: u64,
    by_reason: HashMap<Reason, u64>,
}

/// What is counted together: at an interface, with a verdict.
type Kind = (usize, Verdict);

/// Segments of one kind: how many there were, and how many of them were kept.
#[derive(Clone, Copy, Default)]
struct Sampled {
    counted: u64,
    kept: u64,
}

/// The first `limit` sources of what arrived in this time.
///
/// Of each kind as many segments as were counted are shared out evenly among those that were kept. Not
/// to each those that were skipped before it: the first ones of each quarter second are kept, so one of
/// them would stand for nearly all.
pub(super) fn offenders(seen: &[Sighting], elapsed: Duration, limit: usize) -> Vec<Offender> {
    let mut kinds = HashMap::<Kind, Sampled>::new();
    let mut kept = HashMap::<(IpAddr, Kind), u64>::new();
    for sighting in seen.iter().filter(|it| it.exhibit.hook == Hook::Ingress) {
        let exhibit = &sighting.exhibit;
        let kind = (sighting.place, exhibit.verdict);
        let sampled = kinds.entry(kind).or_default();
        sampled.counted += 1 + skipped(exhibit);
        sampled.kept += 1;
        // Without a whole header nobody knows from whom it is.
        if let Some(segment) = &sighting.segment {
            let [source, _] = segment.ends();
            *kept.entry((source.ip(), kind)).or_default() += 1;
        }
    }
    let mut shares = HashMap::<IpAddr, Share>::new();
    for ((source, kind), of_source) in kept {
        let Sampled { counted, kept } = kinds.get(&kind).copied().unwrap_or_default();
        let count = share(counted, of_source, kept);
        shares.entry(source).or_default().add(kind.1, count);
    }
    let offender = |(source, share): (IpAddr, Share)| Offender {
        source,
        dropped_per_s: per_second(share.dropped, elapsed),
        would_drop_per_s: per_second(share.would_drop, elapsed),
        reason: most_frequent(&share.by_reason),
    };
    let mut offenders: Vec<_> = shares.into_iter().map(offender).collect();
    let weight = |it: &Offender| it.dropped_per_s + it.would_drop_per_s;
    offenders.sort_by_key(|it| (Reverse(weight(it)), it.source));
    offenders.truncate(limit);
    offenders
}

/// How many were skipped in this time, as far as it is known: those before the first one that was read
/// may be of hours ago.
const fn skipped(exhibit: &Exhibit) -> u64 {
    if exhibit.is_first { 0 } else { exhibit.skipped }
}

impl Share {
    fn add(&mut self, verdict: Verdict, count: u64) {
        if verdict.is_drop() {
            self.dropped += count;
        } else {
            self.would_drop += count;
        }
        if let Some(reason) = verdict.reason() {
            *self.by_reason.entry(reason).or_default() += count;
        }
    }
}

/// `part` of `whole` of a count, to the nearest.
fn share(count: u64, part: u64, whole: u64) -> u64 {
    let (count, part, whole) = (
        u128::from(count),
        u128::from(part),
        u128::from(whole.max(1)),
    );
    u64::try_from((count * part + whole / 2) / whole).unwrap_or(u64::MAX)
}

fn most_frequent(by_reason: &HashMap<Reason, u64>) -> &'static str {
    let most = by_reason
        .iter()
        .max_by_key(|(reason, count)| (**count, Reverse(**reason as u8)));
    most.map_or("-", |(reason, _)| reason.as_str())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tcpguard_common::{craft::TcpFrame, flags::TcpFlags, parse::Link};

    use super::*;

    fn sighting(source: &str, verdict: Verdict, hook: Hook, skipped: u64) -> Sighting {
        let destination = "10.0.0.2".parse().unwrap();
        let frame = TcpFrame::between(source.parse().unwrap(), destination)
            .with_flags(TcpFlags::NULL)
            .build();
        let exhibit = Exhibit {
            time: SystemTime::UNIX_EPOCH,
            slot: 0,
            hook,
            verdict,
            ruling: None,
            octets: u32::try_from(frame.len()).unwrap(),
            frame,
            skipped,
            is_first: false,
        };
        Sighting {
            place: 0,
            segment: exhibit.segment(Link::Ethernet),
            exhibit,
        }
    }

    #[test]
    fn what_was_counted_is_shared_out_among_what_was_kept() {
        let null = Verdict::dropped(Reason::FlagsNull);
        let xmas = Verdict::would_drop(Reason::FlagsXmas);
        let seen = [
            // The first of a quarter second has all that were skipped in the one before.
            sighting("203.0.113.10", null, Hook::Ingress, 396),
            sighting("203.0.113.9", null, Hook::Ingress, 0),
            sighting("203.0.113.9", null, Hook::Ingress, 0),
            sighting("203.0.113.9", null, Hook::Ingress, 0),
            sighting("203.0.113.9", xmas, Hook::Ingress, 1),
            sighting("10.0.0.2", xmas, Hook::Egress, 9_999),
        ];
        let told = offenders(&seen, Duration::from_secs(2), 10);
        let offender = |source: &str, dropped_per_s, would_drop_per_s| Offender {
            source: source.parse().unwrap(),
            dropped_per_s,
            would_drop_per_s,
            reason: "flags-null",
        };
        let first = offender("203.0.113.9", 150, 1);
        assert_eq!(told, [first, offender("203.0.113.10", 50, 0)]);
        assert_eq!(offenders(&seen, Duration::from_secs(2), 1).len(), 1);
        assert_eq!(offenders(&[], Duration::from_secs(2), 10), []);
    }

    #[test]
    fn what_was_skipped_before_the_first_that_was_read_is_of_another_time() {
        let null = Verdict::dropped(Reason::FlagsNull);
        let mut first = sighting("203.0.113.9", null, Hook::Ingress, 1_000_000);
        first.exhibit.is_first = true;
        let seen = [first, sighting("203.0.113.9", null, Hook::Ingress, 8)];
        let told = offenders(&seen, Duration::from_secs(2), 10);
        assert_eq!(told[0].dropped_per_s, 5);
    }
}
