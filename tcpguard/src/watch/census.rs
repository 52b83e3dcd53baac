//! The block of the live table about connections: how many in which state, as bars, how many come and
//! go, how full the table is.

use ratatui::text::{Line, Span};
use tcpguard_common::{conn::state::State, counters::Events};

use super::{
    number,
    reading::Reading,
    tone::{Palette, Tone},
    turnover::ended,
};

/// Rows of the block without its title, each with three states.
const ROWS: usize = 3;
/// Below this width, numbers stand closer.
const NARROW: usize = 75;
/// From this width on, they stand further apart.
const WIDE: usize = 100;
/// Width of the longest name of a state, by column.
const NAMES: [usize; 3] = [12, 11, 9];
/// A bar that is longer can no longer be compared with the others at a glance.
const LONGEST: usize = 40;

/// The title with the total, then all states in columns; only the title where the columns would be
/// cut.
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
        line
    }));
    lines
}

/// The same with each state on its own line.
pub(super) fn column(reading: &Reading, width: usize, palette: Palette) -> Vec<Line<'static>> {
    let name = NAMES.into_iter().max().unwrap_or(0);
    let count = 10;
    let shape = Shape {
        count,
        bar: width.saturating_sub(name + count + 1).min(LONGEST),
        gap: 0,
    };
    let states = State::ALL.into_iter();
    let states = states.map(|state| shape.state(reading, state, name, palette).into());
    std::iter::once(title(reading, width, palette))
        .chain(states)
        .collect()
}

/// How many there are, how full the table is, how many end, and what was not followed as it should
/// be; of that, what has room.
pub(super) fn title(reading: &Reading, width: usize, palette: Palette) -> Line<'static> {
    let tables = &reading.sample.tables;
    let total = number::grouped(tables.entries());
    let mut line = Line::from(vec![
        Span::styled("Connections", palette.style(Tone::Title)),
        Span::raw(format!(" {total:>10}")),
    ]);
    let share = number::share(tables.fuller(), tables.limit.into());
    let fill = if tables.fuller() * 4 > u64::from(tables.limit) * 3 {
        Tone::Bad
    } else {
        Tone::Quiet
    };
    let over = number::rate(reading.growth(ended), 6);
    let trouble = trouble(&reading.sample.events);
    let mut room = width.saturating_sub(line.width());
    for (text, tone) in [
        (format!("table {share}"), fill),
        (format!("ended/s {over}"), Tone::Quiet),
    ] {
        if room >= text.len() + trouble.chars().count() + 6 {
            room -= text.len() + 3;
            line.push_span("   ");
            line.push_span(Span::styled(text, palette.style(tone)));
        }
    }
    let length = trouble.chars().count();
    if length > 0 && length + 2 <= room {
        line.push_span(" ".repeat(room - length));
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
        ("cookies", events.cookies_sent),
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
}

impl Shape {
    fn of_width(width: usize) -> Self {
        let (count, gap) = match width {
            ..NARROW => (6, 1),
            NARROW..WIDE => (8, 2),
            WIDE.. => (10, 3),
        };
        let mut shape = Self { count, bar: 0, gap };
        let spare = width.saturating_sub(shape.width()) / NAMES.len();
        // One character of it separates the bar from its number, and two show no difference.
        if spare > 3 {
            shape.bar = (spare - 1).min(LONGEST);
        }
        shape
    }

    /// Of the states, without bars.
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
