//! What is printed, in which order, and how it is called.

use std::net::SocketAddr;

use tcpguard_common::{
    conn::{half::Marks, ruling::Direction, time::SECOND},
    seq::SeqNum,
};

use super::{Guard, filter::Filter};
use crate::flows::Connection;

/// A connection, and the interfaces of the guard that follows it.
pub(super) struct Row<'a> {
    pub(super) connection: Connection,
    pub(super) guard: &'a [String],
}

impl<'a> Row<'a> {
    /// By source and destination, then by guard.
    fn order(&self) -> ((SocketAddr, SocketAddr), &'a [String]) {
        (self.connection.order(), self.guard)
    }
}

/// The connections that were asked for.
pub(super) struct Listing<'a> {
    pub(super) rows: Vec<Row<'a>>,
    /// How many there are beside these.
    left_out: usize,
    /// Whether any were there to choose from.
    any: bool,
    /// Whether it is not clear which guard follows them.
    pub(super) several: bool,
}

impl<'a> Listing<'a> {
    /// Those that pass the filter, by source and destination, at most `limit`. Of all that there are, no
    /// more are held than that takes.
    pub(super) fn new(guards: &'a [Guard], filter: &Filter, limit: Option<usize>) -> Self {
        let mut listing = Self::empty(guards.len() > 1);
        for guard in guards {
            guard.flows.for_each(|_, connection| {
                let guard = &guard.interfaces;
                listing.take(Row { connection, guard }, filter, limit);
            });
        }
        listing.finish(limit)
    }

    fn empty(several: bool) -> Self {
        Self {
            rows: Vec::new(),
            left_out: 0,
            any: false,
            several,
        }
    }

    /// Lists one more, if it passes.
    fn take(&mut self, row: Row<'a>, filter: &Filter, limit: Option<usize>) {
        /// What may be gathered beside twice the limit before all but the first are left out.
        const GATHERED: usize = 1000;
        self.any = true;
        if filter.takes(&row.connection) {
            self.rows.push(row);
            let most = limit.and_then(|limit| limit.checked_mul(2)?.checked_add(GATHERED));
            if Some(self.rows.len()) == most {
                self.keep_first(limit);
            }
        }
    }

    /// Leaves all out but the first ones.
    fn keep_first(&mut self, limit: Option<usize>) {
        if let Some(limit) = limit
            && limit < self.rows.len()
        {
            self.rows.select_nth_unstable_by_key(limit, Row::order);
            self.left_out += self.rows.len() - limit;
            self.rows.truncate(limit);
        }
    }

    /// Brings them into their order, when all have been taken.
    fn finish(mut self, limit: Option<usize>) -> Self {
        self.keep_first(limit);
        self.rows.sort_by_key(Row::order);
        self
    }

    #[cfg(test)]
    pub(super) fn of(
        rows: impl IntoIterator<Item = Row<'a>>,
        filter: &Filter,
        limit: Option<usize>,
        several: bool,
    ) -> Self {
        let mut listing = Self::empty(several);
        for row in rows {
            listing.take(row, filter, limit);
        }
        listing.finish(limit)
    }

    /// What a reader of the rows would not know.
    pub(super) fn remark(&self) -> Option<String> {
        if self.left_out > 0 {
            Some(format!("{} more left out by --limit", self.left_out))
        } else if !self.rows.is_empty() {
            None
        } else if self.any {
            Some("no connection matches".to_owned())
        } else {
            Some("no connections".to_owned())
        }
    }
}

/// Who closed it, by name.
pub(crate) fn closed_by(connection: &Connection) -> &'static str {
    connection.closed_by().map_or("-", Direction::as_str)
}

/// How far a direction is from its SYN: the next octet that it will send; `None` if it has said
/// nothing that this could be known from.
pub(super) fn seq(connection: &Connection, direction: Direction) -> Option<u32> {
    let (half, _) = connection.halves(direction);
    let known = Marks::SYN.with(Marks::ACKED_SYN);
    let is_known = half.marks.intersects(known);
    is_known.then(|| half.end.since(half.isn))
}

/// What a direction has acknowledged, from the SYN of the other one.
pub(super) fn ack(connection: &Connection, direction: Direction) -> Option<u32> {
    let (half, other) = connection.halves(direction);
    let since = |isn: SeqNum| half.ack.since(isn);
    half.marks
        .contains(Marks::ACKED_SYN)
        .then(|| since(other.isn))
}

/// What is special about it, in words.
pub(crate) fn remarks(connection: &Connection) -> Vec<&'static str> {
    let (one, two) = (connection.original.marks, connection.reply.marks);
    let either = one.with(two);
    let adopted = !either.contains(Marks::SYN);
    let answered = connection.state as u8 > 2;
    [
        (adopted, "adopted"),
        (!adopted && either.contains(Marks::LOOSE), "loose"),
        (one.contains(Marks::LOCAL), "orig-local"),
        (two.contains(Marks::LOCAL), "reply-local"),
        (answered && !one.contains(Marks::HEARD), "orig-unheard"),
        (answered && !two.contains(Marks::HEARD), "reply-unheard"),
    ]
    .into_iter()
    .filter_map(|(is, word)| is.then_some(word))
    .collect()
}

/// Seconds of so many ticks, which are quarters of them.
pub(super) fn seconds(ticks: u32) -> f64 {
    f64::from(ticks) / f64::from(SECOND)
}

#[cfg(test)]
pub(crate) mod specimen {
    use tcpguard_common::conn::{half::Half, state::State};

    use super::*;

    /// A half that has sent SYN and so many octets, and acknowledged so many.
    pub(in super::super) fn half(sent: u32, acknowledged: u32, marks: &[Marks]) -> Half {
        let marks = marks.iter().fold(Marks::HEARD, |all, mark| all.with(*mark));
        let mark = |mark| u32::from(marks.contains(mark));
        Half {
            isn: SeqNum(0),
            end: SeqNum(sent + mark(Marks::SYN) + mark(Marks::FIN)),
            ack: SeqNum(acknowledged + mark(Marks::ACKED_SYN) + mark(Marks::ACKED_FIN)),
            marks,
            ..Half::SILENT
        }
    }

    /// One that is established.
    pub(crate) fn established(source: &str, destination: &str) -> Connection {
        let open = [Marks::SYN, Marks::ACKED_SYN];
        Connection {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            state: State::Established,
            age: 501,
            idle: 2,
            original: half(78, 1_234_567, &[&open[..], &[Marks::ORIGINAL]].concat()),
            reply: half(1_234_567, 78, &[&open[..], &[Marks::LOCAL]].concat()),
        }
    }

    /// One of each kind: established, half open, adopted, closed.
    pub(crate) fn connections() -> Vec<Connection> {
        let half_open = Connection {
            state: State::SynSent,
            age: 1,
            idle: 1,
            original: half(0, 0, &[Marks::ORIGINAL, Marks::SYN]),
            reply: Half::SILENT,
            ..established("203.0.113.9:1025", "10.0.0.2:443")
        };
        let loose = [Marks::ACKED_SYN, Marks::LOOSE];
        let adopted = Connection {
            original: Half {
                isn: SeqNum(u32::MAX),
                ..half(5, 0, &[&loose[..], &[Marks::ORIGINAL]].concat())
            },
            reply: Half {
                marks: half(0, 0, &loose).marks.without(Marks::HEARD),
                isn: SeqNum(0),
                end: SeqNum(1),
                ..half(0, 4, &loose)
            },
            age: 86_400 * 4,
            ..established("[2001:db8::1]:50000", "[2001:db8::2]:22")
        };
        let ended = [Marks::SYN, Marks::ACKED_SYN, Marks::FIN, Marks::ACKED_FIN];
        let open = [Marks::SYN, Marks::ACKED_SYN, Marks::ACKED_FIN];
        let closed = Connection {
            state: State::CloseWait,
            original: half(78, 1_000, &open),
            reply: half(1_000, 78, &ended[..3]),
            ..established("10.0.0.1:40001", "10.0.0.2:80")
        };
        vec![
            half_open,
            adopted,
            closed,
            established("10.0.0.1:40000", "10.0.0.2:80"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(limit: Option<usize>, filter: &Filter) -> Listing<'static> {
        let rows = specimen::connections().into_iter();
        let rows = rows.map(|connection| Row {
            connection,
            guard: &[],
        });
        Listing::of(rows, filter, limit, false)
    }

    #[test]
    fn it_is_sorted_by_addresses_and_says_what_a_limit_left_out() {
        let all = listing(None, &Filter::default());
        let ports: Vec<_> = all
            .rows
            .iter()
            .map(|it| it.connection.source.port())
            .collect();
        assert_eq!(ports, [40_000, 40_001, 1_025, 50_000]);
        assert_eq!(all.remark(), None);
        let some = listing(Some(1), &Filter::default());
        assert_eq!(some.rows.len(), 1);
        assert_eq!(some.remark().unwrap(), "3 more left out by --limit");
        assert_eq!(listing(Some(4), &Filter::default()).remark(), None);
    }

    #[test]
    fn of_many_the_first_are_listed_whenever_they_come() {
        let row = |port: usize| Row {
            connection: specimen::established(&format!("10.0.0.1:{port}"), "10.0.0.2:80"),
            guard: &[],
        };
        // In no order: 7919 is prime.
        let rows = (0..5_000).map(|n| row(1 + n * 7919 % 5_000));
        let some = Listing::of(rows, &Filter::default(), Some(3), false);
        let ports = some.rows.iter().map(|row| row.connection.source.port());
        assert_eq!(ports.collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(some.remark().unwrap(), "4997 more left out by --limit");
    }

    #[test]
    fn nothing_to_list_is_told_from_nothing_that_matches() {
        let filter = Filter {
            port: Some(1),
            ..Filter::default()
        };
        let none = listing(None, &filter);
        assert_eq!(none.remark().unwrap(), "no connection matches");
        let empty = Listing::of(Vec::new(), &filter, None, false);
        assert_eq!(empty.remark().unwrap(), "no connections");
    }

    #[test]
    fn numbers_are_told_from_the_syn_and_only_where_they_are_known() {
        let [half_open, adopted, closed, established] = &specimen::connections()[..] else {
            panic!("four of them");
        };
        let both = |it: &Connection| {
            [Direction::Original, Direction::Reply].map(|way| (seq(it, way), ack(it, way)))
        };
        assert_eq!(both(half_open), [(Some(1), None), (None, None)]);
        let numbers = [(Some(79), Some(1_234_568)), (Some(1_234_568), Some(79))];
        assert_eq!(both(established), numbers);
        assert_eq!(both(closed)[0], (Some(79), Some(1_002)));
        assert_eq!(closed_by(closed), "reply");
        assert_eq!(remarks(adopted), ["adopted", "reply-unheard"]);
        assert_eq!(remarks(established), ["reply-local"]);
        assert_eq!(remarks(half_open), [""; 0]);
    }
}
