//! The page of who moves most, and who is objected to most, drawn.

use std::time::Duration;

use ratatui::text::Line;

use super::{
    connections::Drawn,
    grid::{Cell, Column, Grid},
    number,
    tone::Tone,
};
use crate::top::{
    live::{Ranking, Told},
    offenders::Offender,
    talkers::Talker,
};

/// From this age on, it is told.
const OLD: Duration = Duration::from_secs(3);
/// Numbers that are further from their name are not found.
const WIDEST: usize = 100;

/// Both lists below each other, of which each has half of the room, or what the other leaves.
pub(super) fn page(ranking: &Ranking, enforcing: bool, drawn: Drawn) -> Vec<Line<'static>> {
    let drawn = Drawn {
        width: drawn.width.min(WIDEST),
        ..drawn
    };
    let Some(told) = ranking.told() else {
        return vec![drawn.span("measuring…", Tone::Quiet).into()];
    };
    let mut lines = vec![title(told, drawn)];
    let mut talkers = talkers(&told.talkers, drawn);
    let mut offenders = offenders(&told.offenders, enforcing, drawn);
    let room = drawn.height.saturating_sub(lines.len() + 1);
    talkers.truncate(room.saturating_sub(offenders.len().min(room / 2)));
    offenders.truncate(room - talkers.len());
    lines.append(&mut talkers);
    lines.push(Line::default());
    lines.append(&mut offenders);
    lines
}

/// Over which time, and how long ago that was.
fn title(told: &Told, drawn: Drawn) -> Line<'static> {
    let over = format!(" over {:.1} s", told.elapsed.as_secs_f64());
    let mut line = Line::from(vec![drawn.span("Top", Tone::Title), over.into()]);
    let age = told.at.elapsed();
    if age >= OLD {
        line.push_span(drawn.span(format!(", {} s ago", age.as_secs()), Tone::Quiet));
    }
    line.push_span(drawn.span("  offenders: by a sample", Tone::Quiet));
    line
}

fn talkers(talkers: &[Talker], drawn: Drawn) -> Vec<Line<'static>> {
    let column = |text: fn(&Talker) -> String| {
        let cells = talkers.iter().map(|it| Cell(text(it), Tone::Plain));
        cells.collect()
    };
    let mut grid = Grid::default();
    grid.push(Column::wide(
        "Talker",
        15,
        column(|it| it.address.to_string()),
    ));
    let counted = column(|it| number::grouped(it.connections));
    grid.push(Column::number("conns", 9, counted).rank(1));
    let all = column(|it| number::scaled(it.octets_per_s));
    grid.push(Column::number("octets/s", 8, all));
    let sent = column(|it| number::scaled(it.sent_per_s));
    grid.push(Column::number("sends", 6, sent).rank(2));
    let received = column(|it| number::scaled(it.received_per_s));
    grid.push(Column::number("receives", 8, received).rank(2));
    or_none(
        grid,
        talkers.is_empty(),
        "no connection moved anything",
        drawn,
    )
}

fn offenders(offenders: &[Offender], enforcing: bool, drawn: Drawn) -> Vec<Line<'static>> {
    let any = |count: fn(&Offender) -> u64| offenders.iter().any(|it| count(it) > 0);
    let counts = |count: fn(&Offender) -> u64, tone| {
        let cells = offenders.iter().map(|it| match count(it) {
            0 => Cell(number::scaled(0), Tone::Quiet),
            count => Cell(number::scaled(count), tone),
        });
        cells.collect()
    };
    let mut grid = Grid::default();
    let sources = offenders.iter();
    let sources = sources.map(|it| Cell(it.source.to_string(), Tone::Plain));
    grid.push(Column::wide("Offender", 15, sources.collect()));
    // A column that the mode keeps at zero would only take width from the source.
    if enforcing || any(|it| it.dropped_per_s) {
        let dropped = counts(|it| it.dropped_per_s, Tone::Bad);
        grid.push(Column::number("dropped/s", 9, dropped));
    }
    if !enforcing || any(|it| it.would_drop_per_s) {
        let would_drop = counts(|it| it.would_drop_per_s, Tone::Warning);
        grid.push(Column::number("would drop/s", 12, would_drop));
    }
    let reasons = offenders.iter();
    let reasons = reasons.map(|it| Cell(it.reason.to_owned(), Tone::Plain));
    grid.push(Column::text("mostly for", 18, reasons.collect()).rank(1));
    or_none(grid, offenders.is_empty(), "nothing was objected to", drawn)
}

/// The rows of a list, or words for that there are none.
fn or_none(grid: Grid, is_empty: bool, none: &'static str, drawn: Drawn) -> Vec<Line<'static>> {
    let mut lines = grid.lines(drawn.width, drawn.palette);
    if is_empty {
        lines.push(drawn.span(none, Tone::Quiet).into());
    }
    lines
}
