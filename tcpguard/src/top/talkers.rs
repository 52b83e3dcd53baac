//! Addresses by the octets that their connections move.

use std::{
    cmp::Reverse,
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    time::Duration,
};

use serde::Serialize;
use tcpguard_common::conn::half::Marks;

use crate::{
    clock,
    flows::{Connection, Flows},
    watch::number::per_second,
};

/// An address, and what it moves in a second.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Talker {
    pub(crate) address: IpAddr,
    /// Those that are there at the end.
    pub(crate) connections: u64,
    pub(crate) octets_per_s: u64,
    pub(crate) sent_per_s: u64,
    pub(crate) received_per_s: u64,
}

/// What connections have moved between two walks over the tables.
#[derive(Default)]
pub(super) struct Moved {
    /// Octets of each direction at the first walk, by a hash of both ends: of a million connections the
    /// ends themselves would take four times the memory, and two that share a hash are as good as none.
    before: HashMap<u64, [u64; 2]>,
    hasher: RandomState,
    by_address: HashMap<IpAddr, Share>,
}

#[derive(Default)]
struct Share {
    connections: u64,
    sent: u64,
    received: u64,
}

impl Moved {
    /// Takes the first walk.
    pub(super) fn begin(&mut self, flows: &Flows) {
        flows.for_each(|connection| self.remember(&connection));
    }

    /// Takes the second one, so much later.
    pub(super) fn end(&mut self, flows: &Flows, elapsed: Duration) {
        flows.for_each(|connection| self.count(&connection, elapsed));
    }

    /// Takes the second one, and returns it as the first of the next time. Both are there until then,
    /// each with some fifty octets for a connection.
    pub(super) fn go_on(&mut self, flows: &Flows, elapsed: Duration) -> Self {
        let mut next = self.next();
        flows.for_each(|connection| {
            self.count(&connection, elapsed);
            next.remember(&connection);
        });
        next
    }

    fn next(&self) -> Self {
        Self {
            hasher: self.hasher.clone(),
            ..Self::default()
        }
    }

    fn remember(&mut self, connection: &Connection) {
        let ends = self.hasher.hash_one(connection.order());
        self.before.insert(ends, octets(connection));
    }

    fn count(&mut self, connection: &Connection, elapsed: Duration) {
        let ends = self.hasher.hash_one(connection.order());
        let now = octets(connection);
        let before = match self.before.get(&ends) {
            Some(before) => *before,
            // It began meanwhile, or it was taken over with a past of its own.
            None if clock::time(connection.age) <= elapsed + Duration::from_secs(1) => [0, 0],
            None => now,
        };
        // A direction that was anchored anew may have gone back.
        let [up, down] = [0, 1].map(|at: usize| now[at].saturating_sub(before[at]));
        let (source, destination) = connection.order();
        let sides = [
            (source.ip(), connection.original.marks, up, down),
            (destination.ip(), connection.reply.marks, down, up),
        ];
        for (address, marks, sent, received) in sides {
            // This host itself takes part in everything, and would only stand above all others.
            if !marks.contains(Marks::LOCAL) {
                let share = self.by_address.entry(address).or_default();
                share.connections += 1;
                share.sent += sent;
                share.received += received;
            }
        }
    }

    /// The first `limit` of those that moved anything.
    pub(super) fn talkers(&self, elapsed: Duration, limit: usize) -> Vec<Talker> {
        let talker = |(address, share): (&IpAddr, &Share)| Talker {
            address: *address,
            connections: share.connections,
            octets_per_s: per_second(share.sent + share.received, elapsed),
            sent_per_s: per_second(share.sent, elapsed),
            received_per_s: per_second(share.received, elapsed),
        };
        let mut talkers: Vec<_> = self.by_address.iter().map(talker).collect();
        talkers.retain(|talker| talker.octets_per_s > 0);
        talkers.sort_by_key(|talker| (Reverse(talker.octets_per_s), talker.address));
        talkers.truncate(limit);
        talkers
    }
}

fn octets(connection: &Connection) -> [u64; 2] {
    [connection.original.octets(), connection.reply.octets()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conns::specimen::{connections, established};

    const SECONDS: Duration = Duration::from_secs(2);

    fn moved(before: &[Connection], now: &[Connection]) -> Vec<(String, u64, u64, u64)> {
        let mut moved = Moved::default();
        for connection in before {
            moved.remember(connection);
        }
        for connection in now {
            moved.count(connection, SECONDS);
        }
        let talkers = moved.talkers(SECONDS, 10);
        let told = talkers.into_iter().map(|it| {
            let rates = (it.sent_per_s, it.received_per_s);
            (it.address.to_string(), it.connections, rates.0, rates.1)
        });
        told.collect()
    }

    #[test]
    fn what_a_connection_has_moved_counts_for_the_far_side() {
        let before = established("10.0.0.1:40000", "10.0.0.2:80");
        let mut now = before;
        now.original.end = now.original.end.plus(3_000);
        now.reply.end = now.reply.end.plus(80_000);
        // The reply is this host's own.
        let told = [("10.0.0.1".to_owned(), 1, 1_500, 40_000)];
        assert_eq!(moved(&[before], &[now]), told);
        assert_eq!(moved(&[before], &[before]), []);
    }

    #[test]
    fn of_what_is_new_all_counts_and_of_what_was_there_before_nothing() {
        let new = Connection {
            age: 4,
            ..established("10.0.0.1:40000", "10.0.0.2:80")
        };
        assert_eq!(moved(&[], &[new])[0].3, 1_234_567_u64.div_ceil(2));
        let taken_over = Connection { age: 5_000, ..new };
        assert_eq!(moved(&[], &[taken_over]), []);
        assert_eq!(moved(&connections(), &[]), [], "they have ended");
    }

    #[test]
    fn who_moves_most_comes_first_and_going_back_is_nothing() {
        let ends = ["10.0.0.7:1", "10.0.0.8:1", "10.0.0.9:1"];
        let before = ends.map(|source| established(source, "10.0.0.2:80"));
        let mut now = before;
        now[0].original.end = now[0].original.end.plus(10);
        now[1].original.end = now[1].original.end.plus(1_000);
        now[2].original = before[2].original;
        now[2].original.isn = now[2].original.end;
        let told = moved(&before, &now);
        let order: Vec<_> = told.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(order, ["10.0.0.8", "10.0.0.7"]);
    }
}
