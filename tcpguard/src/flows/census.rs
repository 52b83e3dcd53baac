//! How many connections there are in which state, without spending the machine on counting them.

use std::time::{Duration, Instant};

use anyhow::Result;
use tcpguard_common::conn::{Conn, state::State, time::Ticks};

use super::{Flows, moment, walk::for_each};
use crate::clock;

/// A walk is followed by a rest of so many times its length: counting takes four thousandths of a CPU, and
/// with the walks of a page of the live table beside it, all stays below one per cent.
const REST: u32 = 249;

/// How long new tables need not be looked at.
const FRESH: Duration = Duration::from_millis(20);

/// What the tables hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Connections of either version of IP that each table has room for.
    pub limit: u32,
    /// Connections by the number of their state less one, of IPv4 and of IPv6.
    pub states: [[u64; State::COUNT]; 2],
}

impl Tables {
    /// Connections in a state.
    #[must_use]
    pub fn in_state(&self, state: State) -> u64 {
        let of = |counts: &[u64; State::COUNT]| counts.get(index(state)).copied().unwrap_or(0);
        self.states.iter().map(of).sum()
    }

    /// All connections.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.states.iter().flatten().sum()
    }

    /// Those whose handshake is not complete.
    #[must_use]
    pub fn half_open(&self) -> u64 {
        let half_open = State::ALL.into_iter().filter(|state| state.is_half_open());
        half_open.map(|state| self.in_state(state)).sum()
    }

    /// Connections that both tables have room for together.
    #[must_use]
    pub fn max(&self) -> u64 {
        2 * u64::from(self.limit)
    }

    /// Connections in the fuller one of the tables: where it gets tight first.
    #[must_use]
    pub fn fuller(&self) -> u64 {
        let entries = self.states.iter().map(|counts| counts.iter().sum());
        entries.max().unwrap_or(0)
    }

    fn count(&mut self, version: usize, conn: &Conn, now: Ticks) {
        if !conn.is_live(moment(conn, now)) {
            return;
        }
        let counts = self.states.get_mut(version);
        if let Some(count) = counts.and_then(|counts| counts.get_mut(index(conn.state()))) {
            *count += 1;
        }
    }
}

const fn index(state: State) -> usize {
    state as usize - 1
}

/// What was counted in the tables last.
#[derive(Debug)]
pub struct Census {
    counted: Tables,
    due: Due,
}

impl Census {
    /// Of tables that have just been made, with room for `limit` connections each.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self {
            counted: Tables {
                limit,
                states: [[0; State::COUNT]; 2],
            },
            // They are empty: nobody should wait for the first sample because they are large.
            due: Due(Instant::now().checked_add(FRESH)),
        }
    }

    /// Of tables that another process has made.
    #[must_use]
    pub fn at_work(limit: u32) -> Self {
        Self {
            due: Due(None),
            ..Self::new(limit)
        }
    }

    /// Counts again, unless the last time was so long that it is not yet time.
    ///
    /// The tables are mapped for the walk only: while they are, all of them seem to be this process's
    /// memory.
    pub fn tables(&mut self, map: impl FnOnce() -> Result<Flows>) -> Result<Tables> {
        let walk = Walk::begin();
        if self.due.is_at(walk.start) {
            self.counted = self.walk(&map()?);
            self.due = walk.end();
        }
        Ok(self.counted)
    }

    fn walk(&self, flows: &Flows) -> Tables {
        let now = clock::now();
        let mut tables = Tables {
            limit: self.counted.limit,
            ..Tables::default()
        };
        let Flows { v4, v6 } = flows;
        for_each(v4, |_, entry| tables.count(0, &entry.conn, now));
        for_each(v6, |_, entry| tables.count(1, &entry.conn, now));
        tables
    }
}

/// A walk over the tables, and what of a CPU had been spent before it.
pub(crate) struct Walk {
    pub(crate) start: Instant,
    spent: Duration,
}

impl Walk {
    /// Begins now.
    pub(crate) fn begin() -> Self {
        Self {
            start: Instant::now(),
            spent: clock::spent(),
        }
    }

    /// When it is time for the next one.
    pub(crate) fn end(self) -> Due {
        Due::after(self.start, clock::spent().saturating_sub(self.spent))
    }
}

/// When it is time for the next walk; `None` for at once.
#[derive(Debug, Default)]
pub(crate) struct Due(Option<Instant>);

impl Due {
    /// Whether it is.
    pub(crate) fn is_at(&self, now: Instant) -> bool {
        self.0.is_none_or(|due| now >= due)
    }

    /// After a walk that took so much of a CPU. Not by the clock on the wall, which a
    /// loaded machine stretches: a small table would be counted seldom while others work.
    fn after(start: Instant, took: Duration) -> Self {
        Self(start.checked_add(took.saturating_mul(REST + 1)))
    }
}

#[cfg(test)]
mod tests {
    use tcpguard_common::conn::half::Marks;

    use super::*;

    fn in_state(marks: [Marks; 2], seen: Ticks) -> Conn {
        let mut conn = Conn::SILENT;
        for (half, marks) in conn.halves.iter_mut().zip(marks) {
            half.marks = marks.with(Marks::HEARD);
            half.seen = seen;
        }
        conn
    }

    #[test]
    fn live_connections_are_counted_by_state_and_table() {
        let open = Marks::SYN.with(Marks::ACKED_SYN);
        let now = Ticks(1_000_000);
        let syn_sent = in_state([Marks::SYN, Marks::NONE], now);
        let established = in_state([open; 2], Ticks(now.0 - 4_000));
        let expired = in_state([Marks::SYN, Marks::NONE], Ticks(now.0 - 4_000));
        let mut tables = Tables {
            limit: 100,
            ..Tables::default()
        };
        tables.count(0, &syn_sent, now);
        tables.count(0, &established, now);
        tables.count(0, &expired, now);
        tables.count(1, &established, now);
        assert_eq!(tables.in_state(State::SynSent), 1);
        assert_eq!(tables.in_state(State::Established), 2);
        assert_eq!((tables.entries(), tables.half_open()), (3, 1));
        assert_eq!((tables.fuller(), tables.max()), (2, 200));
    }

    #[test]
    fn a_walk_is_followed_by_a_rest_of_many_times_its_length() {
        let start = Instant::now();
        assert!(Due(None).is_at(start), "the first is at once");
        let due = Due::after(start, Duration::from_millis(20));
        assert!(!due.is_at(start + Duration::from_millis(4_999)));
        assert!(due.is_at(start + Duration::from_secs(5)));
    }
}
