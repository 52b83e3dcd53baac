//! The flow tables as user space reads them: through mmap, while the kernel programs write them.
//!
//! ```text
//! Mapped (one table's memory) -> walk -> Flows (both tables) -> Connection  what `conns` lists
//!                                                    -> Census      what `run` counts
//! ```
//!
//! Nothing here writes, locks or waits, so it cannot disturb the programs.

mod census;
mod connection;
mod walk;

use anyhow::{Context as _, Result};
use aya::maps::MapData;
use tcpguard_common::{
    conn::{Conn, time::Ticks},
    flow::{FlowKey4, FlowKey6},
    table::{Set, WAYS},
};

pub(crate) use self::census::{Due, Walk};
pub use self::{
    census::{Census, Tables},
    connection::{Connection, Ends},
};
use self::{connection::Keyed, walk::for_each};
use crate::{clock, mapped::Mapped};

/// The connections of one guard.
pub struct Flows {
    v4: Mapped<Set<FlowKey4>>,
    v6: Mapped<Set<FlowKey6>>,
}

impl Flows {
    /// Maps both tables. The maps themselves need not be kept.
    pub fn new(v4: &MapData, v6: &MapData) -> Result<Self> {
        Ok(Self {
            v4: Mapped::new(v4).context("failed to read the table of IPv4 connections")?,
            v6: Mapped::new(v6).context("failed to read the table of IPv6 connections")?,
        })
    }

    /// Every live connection, in no order.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        let mut connections = Vec::new();
        self.for_each(|_, connection| connections.push(connection));
        connections
    }

    /// Hands over every live connection with the slot that it is in, in the order of these: there it stays, but for one
    /// that makes room for another.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(usize, Connection)) {
        let now = clock::now();
        for_each(&self.v4, |slot, entry| {
            if let Some(connection) = live(&entry.key, &entry.conn, now) {
                visit(slot, connection);
            }
        });
        let before = self.v4.count() * WAYS;
        for_each(&self.v6, |slot, entry| {
            if let Some(connection) = live(&entry.key, &entry.conn, now) {
                visit(before + slot, connection);
            }
        });
    }
}

fn live(key: &impl Keyed, conn: &Conn, now: Ticks) -> Option<Connection> {
    let now = moment(conn, now);
    conn.is_live(now).then(|| Connection::new(key, conn, now))
}

/// The moment from which a connection is looked at: now, or when it was last heard if that is later.
///
/// The two clocks are the same but for their rounding, and a walk takes its time. Without this, a
/// segment from a tick after `now` would seem to be 34 years old.
fn moment(conn: &Conn, now: Ticks) -> Ticks {
    const SKEW: u32 = 40;
    let ahead = |seen: Ticks| Some(seen.since(now)).filter(|ahead| *ahead <= SKEW);
    let ahead = conn.halves.iter().filter_map(|half| ahead(half.seen)).max();
    Ticks(now.0.wrapping_add(ahead.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(seen: [u32; 2]) -> Conn {
        let mut conn = Conn::SILENT;
        for (half, seen) in conn.halves.iter_mut().zip(seen) {
            half.seen = Ticks(seen);
        }
        conn
    }

    #[test]
    fn a_segment_from_a_moment_ahead_is_not_an_old_one() {
        let now = Ticks(u32::MAX);
        let conn = heard([1, u32::MAX - 8]);
        assert_eq!(moment(&conn, now), Ticks(1));
        assert_eq!(conn.idle(moment(&conn, now)), 0);
    }

    #[test]
    fn what_is_past_leaves_the_moment_alone() {
        let now = Ticks(1_000);
        assert_eq!(moment(&heard([999, 3]), now), now);
        assert_eq!(moment(&heard([1_000, 0]), now), now);
    }
}
