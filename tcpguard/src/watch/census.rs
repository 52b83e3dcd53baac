//! The block of the live table about connections: how many in which state, how many come and go,
//! how full the table is.

use ratatui::text::{Line, Span};
use tcpguard_common::{conn::state::State, counters::Events};

use super::{
    number,
    reading::{Rate, Reading},
    tone::{Palette, Tone},
    turnover::{ended, opened},
};

/// Rows of the block without its title, each with three states.
const ROWS: usize = 3;
/// Below this width, numbers stand closer.
const NARROW: usize = 75;
/// From this width on, a bar shows which part of all connections is in a state.
const WITH_BARS: usize = 100;
/// Width of the longest name of a state, by column.
const NAMES: [usize; 3] = [12, 11, 9];
/// Width of the last column: a name and a number.
const LAST: usize = 13;

/// The title with the total, then all states in columns, then what changes; only the title where the
/// columns would be cut.
pub(super) fn block(reading: &Reading, width: usize, palette: Palette) -> Vec<Line<'static>> {
    let shape = Shape::of_width(width);
    let mut lines = vec![title(reading, width, palette)];
    if shape.width() > width {
        return lines;
    }
    lines.extend((0..ROWS).map(|row| {
        let mut line = Line::default();
        for (column, name) in (0..).zip(NAMES) {
            if let Some(state) = State::ALL.get(column * ROWS + row) {
                line.extend(shape.state(reading, *state, name, palette));
            }
        }
        if shape.last {
            line.extend(last(reading, row, palette));
        }
        line
    }));
    lines
}

/// Only the title, where there is no room for more.
pub(super) fn title(reading: &Reading, width: usize, palette: Palette) -> Line<'static> {
    let total = number::grouped(reading.sample.tables.entries());
    let mut line = Line::from(vec![
        Span::styled("Connections", palette.style(Tone::Title)),
        Span::raw(format!(" {total:>10}")),
    ]);
    let trouble = trouble(&reading.sample.events);
    let room = width.saturating_sub(line.width() + 2);
    let length = trouble.chars().count();
    if length > 0 && length <= room {
        line.push_span(" ".repeat(width - line.width() - length));
        line.push_span(Span::styled(trouble, palette.style(Tone::Warning)));
    }
    line
}

/// What was not followed from its beginning to its end, if anything.
pub(super) fn trouble(events: &Events) -> String {
    let counts = [
        ("adopted", events.adopted),
        ("resync", events.resync),
        ("table full", events.table_full),
    ];
    let happened = counts.iter().filter(|(_, count)| *count > 0);
    let texts: Vec<_> = happened
        .map(|(name, count)| format!("{name} {}", number::fitted(*count, 9)))
        .collect();
    texts.join(", ")
}

/// What fits between two edges.
struct Shape {
    count: usize,
    bar: usize,
    gap: usize,
    /// Whether there is room for what changes.
    last: bool,
}

impl Shape {
    fn of_width(width: usize) -> Self {
        let (count, gap) = match width {
            ..NARROW => (6, 1),
            NARROW..WITH_BARS => (8, 2),
            WITH_BARS.. => (10, 3),
        };
        let mut shape = Self {
            count,
            bar: 0,
            gap,
            last: false,
        };
        let both = shape.width() + gap + LAST;
        shape.last = both <= width;
        if width >= WITH_BARS {
            // One character of it separates the bar from its number.
            let spare = width.saturating_sub(both) / NAMES.len();
            shape.bar = spare.saturating_sub(1).min(16);
        }
        shape
    }

    /// Of the states, without bars and what changes.
    fn width(&self) -> usize {
        let names: usize = NAMES.iter().sum();
        names + NAMES.len() * self.count + (NAMES.len() - 1) * self.gap
    }

    fn state(
        &self,
        reading: &Reading,
        state: State,
        name: usize,
        palette: Palette,
    ) -> Vec<Span<'static>> {
        let tables = &reading.sample.tables;
        let count = tables.in_state(state);
        let tone = match (count, state.is_half_open()) {
            (0, _) => Tone::Quiet,
            (_, true) => Tone::Warning,
            (_, false) if state == State::Established => Tone::Good,
            (_, false) => Tone::Plain,
        };
        let number = number::fitted(count, self.count);
        let style = palette.style(tone);
        let mut spans = vec![
            Span::styled(
                format!("{:<name$}", state.as_str()),
                palette.style(Tone::Quiet),
            ),
            Span::styled(format!("{number:>0$}", self.count), style),
        ];
        if self.bar > 0 {
            let bar = bar(count, tables.entries(), self.bar);
            spans.push(Span::styled(format!(" {bar:<0$}", self.bar), style));
        }
        spans.push(Span::raw(" ".repeat(self.gap)));
        spans
    }
}

/// The last column: connections that come and go in a second, and how full the fuller table is.
fn last(reading: &Reading, row: usize, palette: Palette) -> Vec<Span<'static>> {
    let tables = &reading.sample.tables;
    let (name, text, quiet) = match row {
        0 => rate("new/s", reading.growth(opened)),
        1 => rate("ended/s", reading.growth(ended)),
        _ => {
            let share = number::share(tables.fuller(), tables.limit.into());
            ("table", share, tables.fuller() == 0)
        }
    };
    let nearly_full = row > 1 && tables.fuller() * 4 > u64::from(tables.limit) * 3;
    let tone = match (quiet, nearly_full) {
        (true, _) => Tone::Quiet,
        (false, true) => Tone::Bad,
        (false, false) => Tone::Plain,
    };
    let width = LAST - name.len();
    vec![
        Span::styled(name, palette.style(Tone::Quiet)),
        Span::styled(format!("{text:>width$}"), palette.style(tone)),
    ]
}

fn rate(name: &'static str, rate: Rate) -> (&'static str, String, bool) {
    (name, number::rate(rate, 6), rate == Rate::Zero)
}

/// A bar that is `width` wide if it is the whole, and never nothing if there is something.
fn bar(part: u64, whole: u64, width: usize) -> String {
    if part == 0 || whole == 0 {
        return String::new();
    }
    // In halves of a character; these two are in every terminal's font.
    let halves = 2 * u128::from(part) * width as u128;
    let halves = halves.div_ceil(u128::from(whole));
    let halves = usize::try_from(halves).unwrap_or(0).min(2 * width);
    let half = if halves.is_multiple_of(2) { "" } else { "▌" };
    "█".repeat(halves / 2) + half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_nothing_or_all_only_if_its_part_is() {
        assert_eq!(bar(0, 10, 4), "");
        assert_eq!(bar(1, 1_000_000, 4), "▌");
        assert_eq!(bar(1, 2, 4), "██");
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(bar(1, 0, 4), "");
    }

    #[test]
    fn trouble_is_told_only_if_there_is_any() {
        assert_eq!(trouble(&Events::ZERO), "");
        let events = Events {
            resync: 1_234,
            table_full: 5,
            ..Events::ZERO
        };
        assert_eq!(trouble(&events), "resync 1 234, table full 5");
    }
}
