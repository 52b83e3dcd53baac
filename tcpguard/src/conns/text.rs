//! Connections as a table for people. Every column is as wide as what stands in it; a terminal that
//! is too narrow for all of them gets fewer, a pipe never does.

use std::{
    io::{self, Write},
    time::Duration,
};

use tcpguard_common::conn::{ruling::Direction, time::SECOND};

use super::listing::{Listing, Row, ack, closed_by, remarks, seq};
use crate::watch::number;

/// A column.
struct Column {
    title: &'static str,
    /// Numbers end below each other.
    is_number: bool,
    /// The first to go where there is no room has the highest; with zero it stays.
    rank: u8,
}

const fn column(title: &'static str, is_number: bool, rank: u8) -> Column {
    Column {
        title,
        is_number,
        rank,
    }
}

const COLUMNS: [Column; 10] = [
    column("source > destination", false, 0),
    column("state", false, 0),
    column("age", true, 1),
    column("idle", true, 0),
    column("orig octets", true, 0),
    column("reply octets", true, 0),
    column("closed", false, 2),
    column("orig seq/ack", false, 4),
    column("reply seq/ack", false, 3),
    column("marks", false, 0),
];

/// Between two columns.
const GAP: &str = "  ";

/// Prints them on lines of at most `width` characters, if columns that may go make it possible;
/// nothing if there are no connections.
pub(super) fn print(
    listing: &Listing<'_>,
    width: Option<usize>,
    out: &mut impl Write,
) -> io::Result<()> {
    if listing.rows.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = listing
        .rows
        .iter()
        .map(|row| cells(row, listing.several))
        .collect();
    let mut widths = COLUMNS.map(|column| column.title.len());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let shown = shown(&widths, width.unwrap_or(usize::MAX));
    let titles = COLUMNS.map(|column| column.title.to_owned());
    for row in std::iter::once(&titles).chain(&rows) {
        writeln!(out, "{}", line(row, &shown))?;
    }
    Ok(())
}

/// The widths of the columns that fit; `None` for those that have to go.
fn shown(widths: &[usize; COLUMNS.len()], most: usize) -> [Option<usize>; COLUMNS.len()] {
    let mut shown = widths.map(Some);
    for rank in (1..=4).rev() {
        let taken: usize = shown.iter().flatten().map(|width| width + GAP.len()).sum();
        if taken <= most.saturating_add(GAP.len()) {
            break;
        }
        for (width, column) in shown.iter_mut().zip(&COLUMNS) {
            width.take_if(|_| column.rank == rank);
        }
    }
    shown
}

fn cells(Row { connection, guard }: &Row<'_>, several: bool) -> [String; COLUMNS.len()] {
    let octets = |direction| number::grouped(connection.halves(direction).0.octets());
    let numbers = |direction| {
        let number = |known: Option<u32>| known.map_or("-".to_owned(), |it| it.to_string());
        let (seq, ack) = (seq(connection, direction), ack(connection, direction));
        format!("{}/{}", number(seq), number(ack))
    };
    let mut marks = remarks(connection).join(", ");
    if several {
        let on = format!("on {}", guard.join("+"));
        marks = if marks.is_empty() {
            on
        } else {
            format!("{marks}, {on}")
        };
    }
    [
        format!("{} > {}", connection.source, connection.destination),
        connection.state.as_str().to_owned(),
        time(connection.age),
        time(connection.idle),
        octets(Direction::Original),
        octets(Direction::Reply),
        closed_by(connection).to_owned(),
        numbers(Direction::Original),
        numbers(Direction::Reply),
        marks,
    ]
}

/// To the quarter below a minute, to the second or the minute above.
pub(crate) fn time(ticks: u32) -> String {
    let (seconds, quarters) = (ticks / SECOND, ticks % SECOND);
    if seconds < 60 {
        format!("{seconds}.{:02}s", quarters * 25)
    } else {
        number::uptime(Duration::from_secs(seconds.into()))
    }
}

fn line(cells: &[String; COLUMNS.len()], shown: &[Option<usize>; COLUMNS.len()]) -> String {
    let cells = cells.iter().zip(shown).zip(&COLUMNS);
    let cells = cells.filter_map(|((cell, width), column)| {
        let width = (*width)?;
        Some(if column.is_number {
            format!("{cell:>width$}")
        } else {
            format!("{cell:<width$}")
        })
    });
    let line = cells.collect::<Vec<_>>().join(GAP);
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Filter, listing::specimen},
        *,
    };

    fn printed(several: bool, width: Option<usize>) -> String {
        let guard = ["eth0".to_owned(), "eth1".to_owned()];
        let rows = specimen::connections().into_iter();
        let rows = rows.map(|connection| Row {
            connection,
            guard: &guard,
        });
        let listing = Listing::of(rows, &Filter::default(), None, several);
        let mut out = Vec::new();
        print(&listing, width, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const EXPECTED: &str = "\
source > destination                    state               age   idle  orig octets  reply octets  closed  orig seq/ack  reply seq/ack  marks
10.0.0.1:40000 > 10.0.0.2:80            ESTABLISHED      2m 05s  0.50s           78     1 234 567  -       79/1234568    1234568/79     reply-local
10.0.0.1:40001 > 10.0.0.2:80            CLOSE-WAIT       2m 05s  0.50s           78         1 000  reply   79/1002       1002/79
203.0.113.9:1025 > 10.0.0.2:443         SYN-SENT          0.25s  0.25s            0             0  -       1/-           -/-
[2001:db8::1]:50000 > [2001:db8::2]:22  ESTABLISHED  1d 00h 00m  0.50s            5             0  -       6/1           1/6            adopted, reply-unheard
";

    #[test]
    fn it_is_a_table() {
        assert_eq!(printed(false, None), EXPECTED);
    }

    #[test]
    fn a_narrow_terminal_gets_fewer_columns() {
        let title = |width| {
            printed(false, Some(width))
                .lines()
                .next()
                .unwrap()
                .to_owned()
        };
        let all = EXPECTED.lines().next().unwrap();
        assert_eq!(title(200), all);
        let widest = EXPECTED.lines().map(str::len).max().unwrap();
        assert_eq!(title(widest), all);
        assert!(!title(widest - 1).contains("orig seq/ack"));
        assert!(title(widest - 1).contains("reply seq/ack"));
        let least = title(1);
        for gone in ["age", "closed", "seq"] {
            assert!(!least.contains(gone), "{least}");
        }
        assert!(least.ends_with("marks"), "{least}");
    }

    #[test]
    fn several_guards_are_told_apart() {
        let printed = printed(true, None);
        assert!(
            printed.contains("  reply-local, on eth0+eth1\n"),
            "{printed}"
        );
        assert!(printed.contains("  on eth0+eth1\n"), "{printed}");
    }

    #[test]
    fn nothing_is_printed_of_no_connection() {
        let listing = Listing::of(Vec::new(), &Filter::default(), None, false);
        let mut out = Vec::new();
        print(&listing, None, &mut out).unwrap();
        assert!(out.is_empty());
    }

    #[test]
    fn times_are_as_exact_as_they_are_known() {
        assert_eq!(time(0), "0.00s");
        assert_eq!(time(7), "1.75s");
        assert_eq!(time(240), "1m 00s");
    }
}
