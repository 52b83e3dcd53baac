//! The page of connections, drawn.

use ratatui::{
    style::Modifier,
    text::{Line, Span},
};
use tcpguard_common::conn::state::State;

use super::{List, Row, detail};
use crate::{
    conns::{remarks, time},
    watch::{
        grid::{Cell, Column, Grid},
        number,
        tone::{Palette, Tone},
    },
};

/// What it is drawn with.
#[derive(Clone, Copy)]
pub(in super::super) struct Drawn {
    pub(in super::super) palette: Palette,
    pub(in super::super) width: usize,
    pub(in super::super) height: usize,
}

/// The keys of the page.
pub(in super::super) fn footer(list: &List) -> &'static [(&'static str, &'static str)] {
    if list.prompt.is_some() {
        &[("Enter", "filter"), ("Esc", "leave it")]
    } else if list.is_detailed {
        &[("Esc", "back"), ("↑↓", "another")]
    } else {
        &[
            ("/", "filter"),
            ("s", "order"),
            ("S", "reverse"),
            ("Enter", "show"),
        ]
    }
}

impl Drawn {
    /// The list, or the chosen connection.
    pub(in super::super) fn page(self, list: &List) -> Vec<Line<'static>> {
        let place = list.place();
        match list.rows.get(place) {
            Some(row) if list.is_detailed => detail::lines(row, self),
            _ => self.table(list, place),
        }
    }

    fn table(self, list: &List, place: usize) -> Vec<Line<'static>> {
        let mut lines = vec![self.title(list)];
        // The line of titles belongs to the table.
        let room = self.height.saturating_sub(2);
        let first = place.saturating_sub(room / 2);
        let first = first.min(list.rows.len().saturating_sub(room));
        let shown: Vec<_> = list.rows.iter().skip(first).take(room).collect();
        if shown.is_empty() {
            let none = if list.written.is_empty() {
                "no connections"
            } else {
                "no connection passes the filter"
            };
            lines.push(self.span(none, Tone::Quiet).into());
            return lines;
        }
        let mut table = grid(&shown).lines(self.width, self.palette);
        let chosen = list.chosen.and_then(|_| table.get_mut(1 + place - first));
        if let Some(line) = chosen {
            *line = line.clone().patch_style(Modifier::REVERSED);
        }
        lines.extend(table);
        lines
    }

    /// How many there are, by which filter and in which order, or what is being typed.
    fn title(self, list: &List) -> Line<'static> {
        let mut line = Line::from(self.span("Connections", Tone::Title));
        if let Some(prompt) = &list.prompt {
            line.push_span(format!(" /{}", prompt.text));
            line.push_span(Span::styled(" ", Modifier::REVERSED));
            let remark = prompt.complaint.as_deref();
            let (remark, tone) = match remark {
                Some(complaint) => (complaint, Tone::Warning),
                None => ("states, a port, an address or a prefix", Tone::Quiet),
            };
            line.push_span(self.span(format!("  {remark}"), tone));
            return line;
        }
        let matching = number::grouped(list.matching as u64);
        line.push_span(format!(" {matching}"));
        if list.matching > list.rows.len() {
            let shown = format!(", the first {} are listed", list.rows.len());
            line.push_span(self.span(shown, Tone::Quiet));
        }
        let age = list.walked.map_or(0, |walked| walked.elapsed().as_secs());
        if age > 2 {
            line.push_span(self.span(format!(", {age} s ago"), Tone::Quiet));
        }
        if !list.written.is_empty() {
            line.push_span(format!("  /{}", list.written));
        }
        line.push_span(self.span(format!("  {}", list.order.words()), Tone::Quiet));
        line
    }

    pub(in super::super) fn span(self, text: impl Into<String>, tone: Tone) -> Span<'static> {
        Span::styled(text.into(), self.palette.style(tone))
    }
}

fn grid(rows: &[&Row]) -> Grid {
    let column = |text: &dyn Fn(&Row) -> String, tone: &dyn Fn(&Row) -> Tone| {
        let cells = rows.iter().map(|row| Cell(text(row), tone(row)));
        cells.collect::<Vec<_>>()
    };
    let plain = |_: &Row| Tone::Plain;
    let quiet = |_: &Row| Tone::Quiet;
    let ends = |row: &Row| {
        let (source, destination) = row.connection.order();
        format!("{source} > {destination}")
    };
    let state = |row: &Row| row.connection.state.as_str().to_owned();
    let scaled = |octets: u64| number::scaled(octets);
    let mut grid = Grid::default();
    grid.push(Column::wide(
        "source > destination",
        29,
        column(&ends, &plain),
    ));
    grid.push(Column::text(
        "state",
        12,
        column(&state, &|row| tone(row.connection.state)),
    ));
    grid.push(Column::number("age", 8, column(&|row| time(row.connection.age), &quiet)).rank(3));
    grid.push(Column::number("idle", 7, column(&|row| time(row.connection.idle), &quiet)).rank(2));
    let sent = |row: &Row| scaled(row.connection.original.octets());
    grid.push(Column::number("sent", 6, column(&sent, &plain)));
    let received = |row: &Row| scaled(row.connection.reply.octets());
    grid.push(Column::number("back", 6, column(&received, &plain)));
    let rate = |row: &Row| row.rate.map_or_else(|| "-".to_owned(), scaled);
    grid.push(Column::number("/s", 6, column(&rate, &plain)).rank(1));
    let marks = |row: &Row| remarks(&row.connection).join(", ");
    grid.push(Column::text("marks", 22, column(&marks, &quiet)).rank(4));
    grid
}

const fn tone(state: State) -> Tone {
    match state {
        State::Established => Tone::Good,
        State::SynSent | State::SynSent2 | State::SynReceived => Tone::Warning,
        State::FinWait | State::CloseWait | State::LastAck => Tone::Plain,
        State::TimeWait | State::Closed => Tone::Quiet,
    }
}
