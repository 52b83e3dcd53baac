//! What segments were objected to for.

use std::cmp::Reverse;

use tcpguard_common::{reason::Reason, verdict::Verdict};

use super::reading::{Pace, Reading, either};

/// A reason, and how many segments there were for it.
pub(super) struct Objection {
    /// Why.
    pub(super) reason: Reason,
    /// Stopped.
    pub(super) dropped: Pace,
    /// Passed, where enforcing would have stopped them.
    pub(super) would_drop: Pace,
    /// Both.
    pub(super) both: Pace,
}

/// Reasons that there were segments for: the most active now first, then the one with the most.
pub(super) fn objections(reading: &Reading) -> Vec<Objection> {
    let pace = |verdicts: &[Verdict]| reading.overall(|counters| either(counters, verdicts));
    let objection = |reason| {
        let (dropped, would_drop) = (Verdict::dropped(reason), Verdict::would_drop(reason));
        Objection {
            reason,
            dropped: pace(&[dropped]),
            would_drop: pace(&[would_drop]),
            both: pace(&[dropped, would_drop]),
        }
    };
    let mut seen: Vec<_> = Reason::ALL.into_iter().map(objection).collect();
    seen.retain(|objection| objection.both.total.packets > 0);
    // Stable, so equals stay in the order of the pipeline.
    seen.sort_by_key(|objection| Reverse((objection.both.packets, objection.both.total.packets)));
    seen
}

#[cfg(test)]
mod tests {
    use super::{super::specimen::reading, *};

    #[test]
    fn the_most_active_now_comes_first() {
        let listed: Vec<_> = objections(&reading()).iter().map(|it| it.reason).collect();
        let active = [Reason::FlagsNull, Reason::FlagsXmas];
        let at_rest = [Reason::FlagsSynFin, Reason::BadLength];
        assert_eq!(listed, [active, at_rest].concat());
    }
}
