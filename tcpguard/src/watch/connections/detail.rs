//! One connection, with its two halves side by side.

use ratatui::text::Line;
use tcpguard_common::conn::half::{Half, Marks};

use super::{Row, view::Drawn};
use crate::{
    conns::{closed_by, remarks, time},
    watch::{
        grid::{Cell, Column, Grid},
        number,
        tone::Tone,
    },
};

/// What the marks of a direction say, in words.
const MARKS: [(Marks, &str); 12] = [
    (Marks::HEARD, "heard"),
    (Marks::SYN, "sent SYN"),
    (Marks::ACKED_SYN, "acknowledged SYN"),
    (Marks::FIN, "sent FIN"),
    (Marks::CLOSER, "closes"),
    (Marks::ACKED_FIN, "acknowledged FIN"),
    (Marks::RST, "reset"),
    (Marks::SCALED, "scales its window"),
    (Marks::LOOSE, "loose"),
    (Marks::CORRECTED, "corrected"),
    (Marks::LOCAL, "this host's"),
    (Marks::ORIGINAL, "spoke first"),
];

/// Everything that is known of it.
pub(super) fn lines(row: &Row, drawn: Drawn) -> Vec<Line<'static>> {
    let connection = &row.connection;
    let (source, destination) = connection.order();
    let title = Line::from(vec![
        drawn.span("Connection", Tone::Title),
        format!(" {source} > {destination}").into(),
    ]);
    let mut facts = vec![
        connection.state.as_str().to_owned(),
        format!("{} old", time(connection.age)),
        format!("heard {} ago", time(connection.idle)),
    ];
    if let Some(rate) = row.rate {
        facts.push(format!("{} octets/s", number::scaled(rate)));
    }
    if connection.closed_by().is_some() {
        facts.push(format!("closed by {}", closed_by(connection)));
    }
    facts.extend(remarks(connection).into_iter().map(str::to_owned));
    let mut lines = vec![title, facts.join(", ").into(), Line::default()];
    let halves = halves(&connection.original, &connection.reply);
    lines.extend(halves.lines(drawn.width, drawn.palette));
    lines
}

/// A fact in each row, a direction in each column.
fn halves(original: &Half, reply: &Half) -> Grid {
    let [one, other] = [original, reply].map(facts);
    let text = |texts: Vec<String>, tone| {
        let cells = texts.into_iter().map(|text| Cell(text, tone));
        cells.collect()
    };
    let names = one.iter().map(|(name, _)| (*name).to_owned()).collect();
    let values = |facts: Vec<(&'static str, String)>| {
        text(
            facts.into_iter().map(|(_, value)| value).collect(),
            Tone::Plain,
        )
    };
    let mut grid = Grid::default();
    grid.push(Column::text("", 16, text(names, Tone::Quiet)));
    grid.push(Column::text("original", 28, values(one)));
    grid.push(Column::text("reply", 28, values(other)));
    grid
}

fn facts(half: &Half) -> Vec<(&'static str, String)> {
    let is_heard = half.marks.contains(Marks::HEARD);
    let known = |number: u32| {
        if is_heard {
            number.to_string()
        } else {
            format!("{number} (implied)")
        }
    };
    let mut facts = vec![
        ("octets", number::grouped(half.octets())),
        ("first sequence", known(half.isn.0)),
        ("highest end", known(half.end.0)),
        ("highest ack", known(half.ack.0)),
        ("largest window", number::grouped(half.window.into())),
        ("window scale", half.scale.to_string()),
    ];
    let marks = MARKS.iter().filter(|(mark, _)| half.marks.contains(*mark));
    let mut marks = marks.map(|(_, words)| (*words).to_owned());
    for row in 0..MARKS.len() {
        let name = if row == 0 { "marks" } else { "" };
        facts.push((name, marks.next().unwrap_or_default()));
    }
    facts
}
