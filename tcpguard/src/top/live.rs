//! The same measured over and over, for the live table.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{
    ledger::Ledger,
    offenders::{Offender, offenders},
    talkers::{Moved, Talker, count_connections, so_far},
};
use crate::{
    evidence::lookout::Lookout,
    flows::{Due, Flows, Walk},
};

/// Rows of a list that are kept, more than any screen has.
const MOST: usize = 200;
/// What is measured for a shorter time says little. A tick may come early by the rest of a second.
const LEAST: Duration = Duration::from_millis(900);

/// Who moves most and who is objected to most, as it was measured last.
#[derive(Default)]
pub(crate) struct Ranking {
    underway: Option<Measure>,
    due: Due,
    told: Option<Told>,
}

/// What is being measured.
struct Measure {
    since: Instant,
    before: Ledger,
    lookout: Lookout,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) talkers: Vec<Talker>,
    pub(crate) offenders: Vec<Offender>,
    /// Until when.
    pub(crate) at: Instant,
    /// For how long.
    pub(crate) elapsed: Duration,
}

impl Ranking {
    /// What was measured last; `None` if nothing was yet.
    pub(crate) const fn told(&self) -> Option<&Told> {
        self.told.as_ref()
    }

    /// Whether it is time to walk over the tables: after a rest that keeps the walks within the limit
    /// of a count, and after long enough to tell a rate.
    pub(crate) fn is_due(&self) -> bool {
        let now = Instant::now();
        let is_long = |measure: &Measure| now.duration_since(measure.since) >= LEAST;
        self.due.is_at(now) && self.underway.as_ref().is_none_or(is_long)
    }

    /// Ends what is being measured, and begins the next, in one walk over the tables, which are mapped for
    /// that.
    pub(crate) fn go_on(
        &mut self,
        map: impl FnOnce() -> Result<Flows>,
        open: impl FnOnce() -> Result<Lookout>,
    ) -> Result<()> {
        let walk = Walk::begin();
        let flows = map()?;
        let since = walk.start;
        let (before, lookout) = if let Some(mut measure) = self.underway.take() {
            let elapsed = since.duration_since(measure.since);
            let mut moved = Moved::default();
            let next = moved.go_on(&flows, measure.before, elapsed);
            let mut talkers = moved.talkers(elapsed, MOST);
            count_connections(&mut talkers, &flows);
            self.told = Some(Told {
                talkers,
                offenders: offenders(&measure.lookout.read(), elapsed, MOST),
                at: since,
                elapsed,
            });
            (next, measure.lookout)
        } else {
            (so_far(&flows), open()?)
        };
        self.underway = Some(Measure {
            since,
            before,
            lookout,
        });
        drop(flows);
        self.due = walk.end();
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod specimen {
    use super::*;

    /// Two of each, measured a moment ago; of the later offender nothing was dropped.
    pub(crate) fn ranking() -> Ranking {
        let talker = |address: &str, connections, rates: [u64; 2]| Talker {
            address: address.parse().unwrap(),
            connections,
            octets_per_s: rates.iter().sum(),
            sent_per_s: rates[0],
            received_per_s: rates[1],
        };
        let offender =
            |source: &str, [dropped_per_s, would_drop_per_s]: [u64; 2], reason| Offender {
                source: source.parse().unwrap(),
                dropped_per_s,
                would_drop_per_s,
                reason,
            };
        let address = "2001:db8:1111:2222:3333:4444:5555:6666";
        Ranking {
            told: Some(Told {
                talkers: vec![
                    talker(address, 1_000_000, [50_000_000, 1_200_000_000]),
                    talker("192.0.2.7", 3, [1_500, 40]),
                ],
                offenders: vec![
                    offender("203.0.113.9", [1_234_567, 0], "flags-null"),
                    offender("203.0.113.10", [0, 12], "rst-out-of-window"),
                ],
                at: Instant::now(),
                elapsed: Duration::from_secs(1),
            }),
            ..Ranking::default()
        }
    }
}
