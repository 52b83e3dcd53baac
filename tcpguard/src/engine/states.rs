//! How many connections are in each state.

use tcpguard_common::{
    conn::{Conn, state::State, time::Ticks},
    table::{Set, VAIN},
};

/// Connections by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct States([u64; State::COUNT]);

impl States {
    /// Counts a connection if it still is one at `now`, and not only memory that nobody needed.
    pub fn count(&mut self, conn: &Conn, now: Ticks) {
        let state = conn.state();
        let counts = State::ALL.into_iter().zip(&mut self.0);
        for (_, count) in counts.filter(|(it, _)| *it == state && conn.is_live(now)) {
            *count += 1;
        }
    }

    /// Counts the connections of a set of a flow table.
    pub fn count_set<K>(&mut self, set: &Set<K>, now: Ticks) {
        let slots = set.tags.iter().zip(&set.entries);
        for (_, entry) in slots.filter(|(tag, _)| **tag > VAIN) {
            self.count(&entry.conn, now);
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (sum, part) in self.0.iter_mut().zip(other.0) {
            *sum += part;
        }
    }

    /// Every state, in the order of a connection's life, with the number of connections in it.
    pub fn iter(&self) -> impl Iterator<Item = (State, u64)> {
        State::ALL.into_iter().zip(self.0)
    }
}
