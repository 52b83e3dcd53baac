//! The page with everything at a glance.
//!
//! From top to bottom: interfaces and how fast it goes, verdicts (beside them, what passes unjudged),
//! connections, reasons. A screen that is too low first loses the blank lines, then the states of
//! connections, then rows of interfaces and reasons, and says how many; one that is too narrow loses
//! columns.

use ratatui::text::Line;

use super::{
    census,
    history::Track,
    tables::{self, Detail},
    tone::Tone,
    view::Shown,
};

/// From this width on, verdicts and bypasses stand side by side.
const SIDE_BY_SIDE: usize = 78;
/// From this height on, blank lines stand between sections.
const AIRY: usize = 20;
/// From this height on, one also stands below the header.
const ROOMY: usize = 28;
/// Below this height, reasons come before verdicts.
const LOW: usize = 15;
/// Lines of reasons, with their title, that come before interfaces get more than one row.
const REASONS: usize = 6;

/// Between two lines of rates.
const GAP: usize = 3;

impl Shown<'_> {
    /// All of it, below a header.
    pub(super) fn overview(
        &self,
        header: Line<'static>,
        width: usize,
        height: usize,
    ) -> Vec<Line<'static>> {
        let detail = Detail::of_screen(width);
        let gap = usize::from(height >= AIRY);
        let top = usize::from(height >= ROOMY);
        let counts = self.counts(width);
        let connections = self.connections(width, height);
        let reasons = self.reasons(width);
        // Interfaces and reasons share what the rest leaves.
        let taken = 1 + top + 3 * gap + counts.len() + connections.len();
        let room = height.saturating_sub(taken);
        let rates = (height >= AIRY).then(|| self.rates(width));
        // Where there is little room it stands in the place of the blank line that follows it.
        let below = if height < ROOMY { 0 } else { gap };
        let room = room.saturating_sub(below);
        let interfaces = tables::interfaces(self.reading, detail).lines(width, self.palette);
        let most = room.saturating_sub(reasons.len().min(REASONS)).max(2);
        let mut interfaces = self.cut(interfaces, most);

        let mut sections = if height < LOW {
            vec![interfaces, connections, reasons, counts]
        } else {
            let most = room.saturating_sub(interfaces.len());
            interfaces.extend(rates);
            vec![interfaces, counts, connections, self.cut(reasons, most)]
        };
        if width < SIDE_BY_SIDE {
            sections.push(tables::bypasses(self.reading, detail).lines(width, self.palette));
        }
        let mut body = vec![header];
        let gaps = [top, below].into_iter().chain(std::iter::repeat(gap));
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

    /// By their state where there is room, else only how many there are.
    fn connections(&self, width: usize, height: usize) -> Vec<Line<'static>> {
        if height >= AIRY {
            census::block(self.reading, width, self.palette)
        } else {
            vec![census::title(self.reading, width, self.palette)]
        }
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
        let both = verdicts.into_iter().zip(bypasses);
        both.map(|(mut line, beside)| {
            line.push_span(" ".repeat(gap));
            line.extend(beside.spans);
            line
        })
        .collect()
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

    /// How fast it went of late: what arrives, what is objected to, and connections that are opened.
    fn rates(&self, width: usize) -> Line<'static> {
        let objected = if self.reading.sample.enforcing {
            ("dropped", Tone::Bad)
        } else {
            ("would drop", Tone::Warning)
        };
        let history = &self.app.history;
        let tracks = [
            ("received", Tone::Good, &history.received),
            (objected.0, objected.1, &history.objected),
            ("new", Tone::Plain, &history.opened),
        ];
        let room = width.saturating_sub(2 * GAP) / tracks.len();
        let mut line = Line::default();
        for (name, tone, track) in tracks {
            if !line.spans.is_empty() {
                line.push_span(" ".repeat(GAP));
            }
            line.push_span(self.span(format!("{name} "), Tone::Quiet));
            let track: &Track = track;
            let room = room.saturating_sub(name.len() + 1);
            line.push_span(self.span(track.line(room), tone));
        }
        line
    }
}
