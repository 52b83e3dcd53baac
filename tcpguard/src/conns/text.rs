//! Connections as a table for people. Every column is as wide as what stands in it.

use std::{
    io::{self, Write},
    time::Duration,
};

use tcpguard_common::conn::{ruling::Direction, time::SECOND};

use super::listing::{Listing, Row, ack, closed_by, remarks, seq};
use crate::watch::number;

/// A column: its title, and whether it holds numbers, which end below each other.
const COLUMNS: [(&str, bool); 10] = [
    ("source > destination", false),
    ("state", false),
    ("age", true),
    ("idle", true),
    ("orig octets", true),
    ("reply octets", true),
    ("closed", false),
    ("orig seq/ack", false),
    ("reply seq/ack", false),
    ("marks", false),
];

/// Prints them; nothing if there are none.
pub(super) fn print(listing: &Listing<'_>, out: &mut impl Write) -> io::Result<()> {
    if listing.rows.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = listing
        .rows
        .iter()
        .map(|row| cells(row, listing.several))
        .collect();
    let mut widths = COLUMNS.map(|(title, _)| title.len());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let titles = COLUMNS.map(|(title, _)| title.to_owned());
    for row in std::iter::once(&titles).chain(&rows) {
        writeln!(out, "{}", line(row, &widths))?;
    }
    Ok(())
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
fn time(ticks: u32) -> String {
    let (seconds, quarters) = (ticks / SECOND, ticks % SECOND);
    if seconds < 60 {
        format!("{seconds}.{:02}s", quarters * 25)
    } else {
        number::uptime(Duration::from_secs(seconds.into()))
    }
}

fn line(cells: &[String; COLUMNS.len()], widths: &[usize; COLUMNS.len()]) -> String {
    let cells = cells.iter().zip(widths).zip(COLUMNS);
    let cells = cells.map(|((cell, width), (_, is_number))| {
        if is_number {
            format!("{cell:>width$}")
        } else {
            format!("{cell:<width$}")
        }
    });
    let line = cells.collect::<Vec<_>>().join("  ");
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Filter, listing::specimen},
        *,
    };

    fn printed(several: bool) -> String {
        let guard = ["eth0".to_owned(), "eth1".to_owned()];
        let rows = specimen::connections().into_iter();
        let rows = rows.map(|connection| Row {
            connection,
            guard: &guard,
        });
        let listing = Listing::of(rows.collect(), &Filter::default(), None, several);
        let mut out = Vec::new();
        print(&listing, &mut out).unwrap();
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
        assert_eq!(printed(false), EXPECTED);
    }

    #[test]
    fn several_guards_are_told_apart() {
        let printed = printed(true);
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
        print(&listing, &mut out).unwrap();
        assert!(out.is_empty());
    }

    #[test]
    fn times_are_as_exact_as_they_are_known() {
        assert_eq!(time(0), "0.00s");
        assert_eq!(time(7), "1.75s");
        assert_eq!(time(240), "1m 00s");
    }
}
