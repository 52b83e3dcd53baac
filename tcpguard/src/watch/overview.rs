//! The first page: what the guard does, and why.
//!
//! From top to bottom: interfaces, verdicts (beside them, what passes unjudged), connections, how fast
//! all that has been, reasons. A screen that is too low first loses the blank lines, then the states
//! of connections and the past, then rows of interfaces and reasons, and says how many; one that is
//! too narrow loses columns.

use ratatui::text::Line;

use super::{
    census,
    tables::{self, Detail},
    tone::Tone,
    trend,
    view::Shown,
};

/// From this width on, verdicts and bypasses stand side by side.
const SIDE_BY_SIDE: usize = 78;
/// From this height on, blank lines stand between sections.
const AIRY: usize = 19;
/// From this height on, one also stands below the header, and each rate has a line of its own.
const ROOMY: usize = 27;
/// From this height and width on, states and rates stand side by side.
const TALL: usize = 36;
const WIDE: usize = 120;
/// Below this height, reasons come before verdicts.
const LOW: usize = 14;
/// Lines of reasons, with their title, that come before interfaces get more than one row.
const REASONS: usize = 4;

impl Shown<'_> {
    /// The lines below the header.
    pub(super) fn overview(&self, width: usize, height: usize) -> Vec<Line<'static>> {
        let detail = Detail::of_screen(width);
        let gap = usize::from(height >= AIRY);
        let top = usize::from(height >= ROOMY);
        let counts = self.counts(width);
        let connections = self.connections(width, height);
        let reasons = self.reasons(width);
        // Interfaces and reasons share what the rest leaves.
        // Where there is little room, the line of rates separates well enough what stands around it.
        let has_rates = connections.len() > 1;
        let last = if has_rates && height < ROOMY { 0 } else { gap };
        let taken = top + 2 * gap + last + counts.len() + connections.len();
        let room = height.saturating_sub(taken);
        let interfaces = tables::interfaces(self.reading, detail).lines(width, self.palette);
        let most = room.saturating_sub(reasons.len().min(REASONS)).max(2);
        let interfaces = self.cut(interfaces, most);

        let mut sections = if height < LOW {
            vec![interfaces, connections, reasons, counts]
        } else {
            let most = room.saturating_sub(interfaces.len());
            vec![interfaces, counts, connections, self.cut(reasons, most)]
        };
        if width < SIDE_BY_SIDE {
            sections.push(tables::bypasses(self.reading, detail).lines(width, self.palette));
        }
        let mut body = Vec::new();
        let gaps = [top, gap, gap, last].into_iter().chain([gap]);
        for (section, gap) in sections.into_iter().zip(gaps) {
            let room = height.saturating_sub(body.len() + gap);
            // The title of a table alone says nothing.
            if room >= section.len().min(2) {
                body.extend(vec![Line::default(); gap]);
                body.extend(section.into_iter().take(room));
            }
        }
        body
    }

    /// By their state, and the rates, where there is room; else only how many there are.
    fn connections(&self, width: usize, height: usize) -> Vec<Line<'static>> {
        let (reading, palette) = (self.reading, self.palette);
        let trend = |width, lines| {
            let enforcing = reading.sample.enforcing;
            trend::block(&self.app.history, enforcing, (width, lines), palette)
        };
        if height < AIRY {
            return vec![census::title(reading, width, palette)];
        }
        if height >= TALL && width >= WIDE {
            let (left, gap) = (width * 2 / 5, 6);
            let states = census::column(reading, left, palette);
            return beside(
                states,
                [Line::default()]
                    .into_iter()
                    .chain(trend(width - left - gap, 3)),
                left + gap,
            );
        }
        let mut lines = census::block(reading, width, palette);
        if height < ROOMY {
            lines.extend(trend::line(
                &self.app.history,
                reading.sample.enforcing,
                width,
                palette,
            ));
        } else {
            lines.push(Line::default());
            lines.extend(trend(width, 1));
        }
        lines
    }

    /// Verdicts, and beside them what passes unjudged where there is room.
    fn counts(&self, width: usize) -> Vec<Line<'static>> {
        let detail = Detail::of_screen(width);
        let verdicts = tables::verdicts(self.reading, detail);
        if width < SIDE_BY_SIDE {
            return verdicts.lines(width, self.palette);
        }
        // Without a rate beside the count where it is narrow.
        let (right, gap) = if width < 100 { (27, 4) } else { (40, 6) };
        let bypasses = tables::bypasses(self.reading, detail).lines(right, self.palette);
        let verdicts = verdicts.lines(width - right - gap, self.palette);
        beside(verdicts, bypasses, width - right)
    }

    fn reasons(&self, width: usize) -> Vec<Line<'static>> {
        match tables::reasons(self.reading, Detail::of_screen(width)) {
            Some(grid) => grid.lines(width, self.palette),
            None => vec![
                self.span("Reason", Tone::Title).into(),
                self.span("nothing objected to so far", Tone::Quiet).into(),
            ],
        }
    }

    /// The lines that have room, and how many have not.
    fn cut(&self, mut lines: Vec<Line<'static>>, room: usize) -> Vec<Line<'static>> {
        if lines.len() > room {
            let kept = room.saturating_sub(1);
            let hidden = lines.len() - kept;
            lines.truncate(kept);
            if kept > 0 {
                lines.push(
                    self.span(format!("… and {hidden} more"), Tone::Quiet)
                        .into(),
                );
            }
        }
        lines
    }
}

/// Two sections side by side, the second of them from a column on.
fn beside(
    left: Vec<Line<'static>>,
    right: impl IntoIterator<Item = Line<'static>>,
    column: usize,
) -> Vec<Line<'static>> {
    let both = left.into_iter().zip(right);
    both.map(|(mut line, right)| {
        line.push_span(" ".repeat(column.saturating_sub(line.width())));
        line.extend(right.spans);
        line
    })
    .collect()
}
