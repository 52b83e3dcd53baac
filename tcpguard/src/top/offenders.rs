//! Sources of segments that are objected to, as far as a sample tells.

use std::{cmp::Reverse, collections::HashMap, net::IpAddr, time::Duration};

use serde::Serialize;
use tcpguard_common::{abi::Hook, reason::Reason};

use super::per_second;
use crate::evidence::archive::Sighting;

/// A source, and how much of it is objected to in a second.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Offender {
    pub(super) source: IpAddr,
    pub(super) dropped_per_s: u64,
    pub(super) would_drop_per_s: u64,
    /// The most frequent one.
    pub(super) reason: &'static str,
}

#[derive(Default)]
struct Share {
    dropped: u64,
    would_drop: u64,
    by_reason: HashMap<Reason, u64>,
}

/// The first `limit` sources of what arrived in this time. Each segment that was kept stands for those
/// alike that were counted before it and not kept.
pub(super) fn offenders(seen: &[Sighting], elapsed: Duration, limit: usize) -> Vec<Offender> {
    let mut shares = HashMap::<IpAddr, Share>::new();
    for sighting in seen {
        let exhibit = &sighting.exhibit;
        // Without a whole header nobody knows from whom it is.
        let (Some(segment), Some(reason)) = (&sighting.segment, exhibit.verdict.reason()) else {
            continue;
        };
        if exhibit.hook == Hook::Egress {
            continue;
        }
        let [source, _] = segment.ends();
        let share = shares.entry(source.ip()).or_default();
        let count = exhibit.skipped + 1;
        if exhibit.verdict.is_drop() {
            share.dropped += count;
        } else {
            share.would_drop += count;
        }
        *share.by_reason.entry(reason).or_default() += count;
    }
    let mut offenders: Vec<_> = shares
        .into_iter()
        .map(|(source, share)| Offender {
            source,
            dropped_per_s: per_second(share.dropped, elapsed),
            would_drop_per_s: per_second(share.would_drop, elapsed),
            reason: most_frequent(&share.by_reason),
        })
        .collect();
    let weight = |it: &Offender| it.dropped_per_s + it.would_drop_per_s;
    offenders.sort_by_key(|it| (Reverse(weight(it)), it.source));
    offenders.truncate(limit);
    offenders
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

    use tcpguard_common::{craft::TcpFrame, flags::TcpFlags, parse::Link, verdict::Verdict};

    use super::*;
    use crate::evidence::Exhibit;

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
        };
        Sighting {
            place: 0,
            segment: exhibit.segment(Link::Ethernet),
            exhibit,
        }
    }

    #[test]
    fn each_segment_stands_for_those_that_were_not_kept() {
        let null = Verdict::dropped(Reason::FlagsNull);
        let xmas = Verdict::would_drop(Reason::FlagsXmas);
        let seen = [
            sighting("203.0.113.9", null, Hook::Ingress, 0),
            sighting("203.0.113.9", null, Hook::Ingress, 198),
            sighting("203.0.113.9", xmas, Hook::Ingress, 1),
            sighting("203.0.113.10", xmas, Hook::Ingress, 599),
            sighting("10.0.0.2", xmas, Hook::Egress, 9_999),
        ];
        let told = offenders(&seen, Duration::from_secs(2), 10);
        let offender = |source: &str, dropped_per_s, would_drop_per_s, reason| Offender {
            source: source.parse().unwrap(),
            dropped_per_s,
            would_drop_per_s,
            reason,
        };
        let first = offender("203.0.113.10", 0, 300, "flags-xmas");
        let second = offender("203.0.113.9", 100, 1, "flags-null");
        assert_eq!(told, [first, second]);
        assert_eq!(offenders(&seen, Duration::from_secs(2), 1).len(), 1);
        assert_eq!(offenders(&[], Duration::from_secs(2), 10), []);
    }
}
