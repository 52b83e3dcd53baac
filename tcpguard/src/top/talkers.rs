//! Addresses by the octets that their connections move.

use std::{cmp::Reverse, collections::HashMap, net::IpAddr, time::Duration};

use serde::Serialize;
use tcpguard_common::conn::half::Marks;

use super::ledger::Ledger;
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

/// Addresses that are counted at the same time, twice as many as are kept.
const MOST: usize = 1 << 16;

/// What connections have moved between two walks over the tables.
#[derive(Default)]
pub(super) struct Moved(HashMap<IpAddr, Share>);

#[derive(Clone, Copy, Default)]
struct Share {
    sent: u64,
    received: u64,
}

impl Share {
    const fn both(self) -> u64 {
        self.sent + self.received
    }
}

fn write(ledger: &mut Ledger, slot: usize, connection: &Connection) {
    ledger.write(slot, whose(connection), octets(connection));
}

/// A few bits that tell a connection apart from another one in its slot, where ports seldom go together.
#[expect(clippy::cast_possible_truncation, reason = "the lower ones")]
fn whose(connection: &Connection) -> u8 {
    (connection.source.port() ^ connection.destination.port()) as u8
}

/// What connections have moved by now.
pub(super) fn so_far(flows: &Flows) -> Ledger {
    let mut ledger = Ledger::default();
    flows.for_each(|slot, connection| write(&mut ledger, slot, &connection));
    ledger
}

impl Moved {
    /// Adds what has been moved by this guard's connections since `before`, so long ago.
    pub(super) fn add(&mut self, flows: &Flows, before: Ledger, elapsed: Duration) {
        let mut past = before.read();
        flows.for_each(|slot, connection| {
            self.count(&connection, past.at(slot, whose(&connection)), elapsed);
        });
    }

    /// The same, and returns what they have moved by now.
    pub(super) fn go_on(&mut self, flows: &Flows, before: Ledger, elapsed: Duration) -> Ledger {
        let (mut past, mut next) = (before.read(), Ledger::default());
        flows.for_each(|slot, connection| {
            self.count(&connection, past.at(slot, whose(&connection)), elapsed);
            write(&mut next, slot, &connection);
        });
        next
    }

    /// Counts what a connection has moved since its slot had this to tell.
    fn count(&mut self, connection: &Connection, before: Option<[u64; 2]>, elapsed: Duration) {
        let now = octets(connection);
        // An age is known to a tick.
        let came_since = clock::time(connection.age.saturating_add(1)) <= elapsed;
        let before = match before {
            // That was another one, which has given way.
            Some(before) if !came_since => before,
            // It began meanwhile, or it was taken over with a past of its own.
            _ if clock::time(connection.age) <= elapsed + Duration::from_secs(1) => [0, 0],
            _ => now,
        };
        // A direction that was anchored anew may have gone back.
        let [up, down] = [0, 1].map(|at: usize| now[at].saturating_sub(before[at]));
        if up + down == 0 {
            return;
        }
        for (address, [sent, received]) in far_sides(connection).zip([[up, down], [down, up]]) {
            // This host itself takes part in everything, and would only stand above all others.
            if let Some(address) = address {
                let share = self.0.entry(address).or_default();
                share.sent += sent;
                share.received += received;
            }
        }
        self.forget_least();
    }

    /// Of too many addresses, that half is forgotten which has moved least so far. So a million of them
    /// take no more memory than these, and the first ones are not among those.
    fn forget_least(&mut self) {
        if self.0.len() < MOST {
            return;
        }
        let mut sums: Vec<_> = self.0.values().map(|share| share.both()).collect();
        let (_, median, _) = sums.select_nth_unstable(MOST / 2);
        self.0.retain(|_, share| share.both() > *median);
    }

    /// The first `limit` of those that moved anything; their connections are not counted yet.
    pub(super) fn talkers(&self, elapsed: Duration, limit: usize) -> Vec<Talker> {
        let talker = |(address, share): (&IpAddr, &Share)| Talker {
            address: *address,
            connections: 0,
            octets_per_s: per_second(share.both(), elapsed),
            sent_per_s: per_second(share.sent, elapsed),
            received_per_s: per_second(share.received, elapsed),
        };
        let mut talkers: Vec<_> = self.0.iter().map(talker).collect();
        talkers.retain(|talker| talker.octets_per_s > 0);
        talkers.sort_by_key(|talker| (Reverse(talker.octets_per_s), talker.address));
        talkers.truncate(limit);
        talkers
    }
}

/// Counts the connections of each that are in these tables: of those that are told only, as of all
/// others that would take more memory.
pub(super) fn count_connections(talkers: &mut [Talker], flows: &Flows) {
    if talkers.is_empty() {
        return;
    }
    let mut counts: HashMap<_, u64> = talkers.iter().map(|it| (it.address, 0)).collect();
    flows.for_each(|_, connection| {
        for address in far_sides(&connection).flatten() {
            if let Some(count) = counts.get_mut(&address) {
                *count += 1;
            }
        }
    });
    for talker in talkers {
        talker.connections += counts.get(&talker.address).copied().unwrap_or(0);
    }
}

/// The addresses of source and destination, but this host's own.
fn far_sides(connection: &Connection) -> impl Iterator<Item = Option<IpAddr>> {
    let (source, destination) = connection.order();
    let sides = [
        (source.ip(), connection.original.marks),
        (destination.ip(), connection.reply.marks),
    ];
    let far = |(address, marks): (_, Marks)| (!marks.contains(Marks::LOCAL)).then_some(address);
    sides.into_iter().map(far)
}

fn octets(connection: &Connection) -> [u64; 2] {
    [connection.original.octets(), connection.reply.octets()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conns::specimen::{connections, established};

    const SECONDS: Duration = Duration::from_secs(2);

    fn moved(before: &[Connection], now: &[Connection]) -> Vec<(String, u64, u64)> {
        let mut ledger = Ledger::default();
        for (slot, connection) in before.iter().enumerate() {
            write(&mut ledger, slot, connection);
        }
        let (mut past, mut moved) = (ledger.read(), Moved::default());
        for (slot, connection) in now.iter().enumerate() {
            moved.count(connection, past.at(slot, whose(connection)), SECONDS);
        }
        let talkers = moved.talkers(SECONDS, 10);
        let told = talkers.into_iter();
        told.map(|it| (it.address.to_string(), it.sent_per_s, it.received_per_s))
            .collect()
    }

    #[test]
    fn what_a_connection_has_moved_counts_for_the_far_side() {
        let before = established("10.0.0.1:40000", "10.0.0.2:80");
        let mut now = before;
        now.original.end = now.original.end.plus(3_000);
        now.reply.end = now.reply.end.plus(80_000);
        // The reply is this host's own.
        let told = [("10.0.0.1".to_owned(), 1_500, 40_000)];
        assert_eq!(moved(&[before], &[now]), told);
        assert_eq!(moved(&[before], &[before]), []);
    }

    #[test]
    fn of_what_is_new_all_counts_and_of_what_was_there_before_nothing() {
        let new = Connection {
            age: 4,
            ..established("10.0.0.1:40000", "10.0.0.2:80")
        };
        assert_eq!(moved(&[], &[new])[0].2, 1_234_567_u64.div_ceil(2));
        let taken_over = Connection { age: 5_000, ..new };
        assert_eq!(moved(&[], &[taken_over]), []);
        assert_eq!(moved(&connections(), &[]), [], "they have ended");
        let other = established("10.0.0.9:40000", "10.0.0.2:80");
        assert_eq!(
            moved(&[other], &[new]),
            moved(&[], &[new]),
            "it has taken the slot of one that had ended"
        );
    }

    #[test]
    fn of_one_that_moved_to_the_slot_of_another_nothing_counts() {
        let before = established("10.0.0.9:40000", "10.0.0.2:80");
        let mut now = established("10.0.0.1:40001", "10.0.0.2:80");
        now.reply.end = now.reply.end.plus(80_000);
        assert_eq!(moved(&[before], &[now]), []);
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

    #[test]
    fn of_too_many_addresses_those_that_moved_most_are_kept() {
        let mut moved = Moved::default();
        for number in 0..100_000_u32 {
            let source = format!(
                "10.{}.{}.{}:1",
                number >> 16,
                number >> 8 & 255,
                number & 255
            );
            let mut connection = established(&source, "192.0.2.2:80");
            connection.reply.end = connection.reply.isn.plus(1 + number * 7919 % 100_000);
            moved.count(&connection, Some([0, 0]), SECONDS);
            assert!(moved.0.len() < MOST);
        }
        let talkers = moved.talkers(SECONDS, 100);
        assert!(talkers.iter().all(|it| it.received_per_s >= 49_900));
        assert_eq!(talkers.len(), 100);
    }
}
