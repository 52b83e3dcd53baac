//! The live table, drawn from a reading, from what was typed and nothing else.
//!
//! What runs and in which mode stands in the first row, keys and alarms in the last one, and a page
//! between them.

use std::time::Duration;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    VERSION,
    app::{App, Page},
    connections, help, number,
    reading::Reading,
    tone::{Palette, Tone},
    top,
};
use crate::alarm;

/// Everything that is on the screen.
pub(super) struct Shown<'a> {
    pub(super) reading: &'a Reading,
    pub(super) interval: Duration,
    pub(super) palette: Palette,
    pub(super) app: &'a App,
}

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, shown: &Shown<'_>) {
    let area = frame.area();
    // A margin of one character, where the screen can afford it.
    let margin = u16::from(area.width >= 40);
    let inner = Rect {
        x: area.x + margin,
        width: area.width - 2 * margin,
        ..area
    };
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let body = Paragraph::new(shown.page(width, height.saturating_sub(1)));
    frame.render_widget(
        body,
        Rect {
            height: inner.height.saturating_sub(1),
            ..inner
        },
    );
    let last_row = Rect {
        y: inner.bottom().saturating_sub(1),
        height: inner.height.min(1),
        ..inner
    };
    frame.render_widget(Paragraph::new(shown.footer(width)), last_row);
    if shown.app.is_helping {
        help::draw(frame, inner, shown.palette);
    }
}

/// The keys of every page.
const KEYS: [(&str, &str); 5] = [
    ("q", "quit"),
    ("1", "overview"),
    ("2", "connections"),
    ("3", "top"),
    ("?", "help"),
];

impl Shown<'_> {
    fn page(&self, width: usize, height: usize) -> Vec<Line<'static>> {
        let mut lines = vec![self.header(width)];
        match self.app.page {
            Page::Overview => lines.extend(self.overview(width, height.saturating_sub(1))),
            Page::Connections => {
                lines.push(Line::default());
                lines.extend(self.drawn(width, height).page(&self.app.list));
            }
            Page::Top => {
                lines.push(Line::default());
                let enforcing = self.reading.sample.enforcing;
                let drawn = self.drawn(width, height);
                lines.extend(top::page(&self.app.ranking, enforcing, drawn));
            }
        }
        lines
    }

    /// Below the header and a blank line.
    const fn drawn(&self, width: usize, height: usize) -> connections::Drawn {
        connections::Drawn {
            palette: self.palette,
            width,
            height: height.saturating_sub(2),
        }
    }

    fn header(&self, width: usize) -> Line<'static> {
        let (badge, tone, hint) = if self.reading.sample.enforcing {
            (" ENFORCE ", Tone::Enforcing, "")
        } else {
            (" OBSERVE ", Tone::Observing, "  nothing is dropped")
        };
        let left = vec![
            self.span(format!("tcpguard {VERSION}"), Tone::Title),
            "  ".into(),
            self.span(badge, tone),
            self.span(hint, Tone::Warning),
        ];
        let up = format!("up {}", number::uptime(self.reading.sample.uptime));
        let every = format!("every {}", humantime::format_duration(self.interval));
        self.justified(left, &[format!("{up}   {every}"), up], width)
    }

    /// The alarm of the moment goes before all keys but the one that ends it.
    fn footer(&self, width: usize) -> Line<'static> {
        let mut left = self.keys(&KEYS[..1]);
        if let Some(alarms) = alarm::brief(&self.reading.sample.alarms) {
            let room = width.saturating_sub("q quit  ".len());
            left.push(self.span(number::shortened(&alarms, room), Tone::Bad));
            return Line::from(left);
        }
        let list = &self.app.list;
        match self.app.page {
            Page::Overview => left.extend(self.keys(&KEYS[2..])),
            // All others are letters of a filter then.
            Page::Connections if list.is_typed_into() => {
                left = self.keys(connections::footer(list));
            }
            Page::Connections => {
                left.extend(self.keys(connections::footer(list)));
                left.extend(self.keys(&[KEYS[1], KEYS[3], KEYS[4]]));
            }
            Page::Top => left.extend(self.keys(&[KEYS[1], KEYS[2], KEYS[4]])),
        }
        let hints = match self.app.page {
            Page::Overview => &[
                "totals since attach, rates over the last interval",
                "rates: last interval",
            ][..],
            Page::Connections | Page::Top => &[],
        };
        let hints: Vec<_> = hints.iter().copied().map(String::from).collect();
        self.justified(left, &hints, width)
    }

    fn keys(&self, keys: &[(&'static str, &'static str)]) -> Vec<Span<'static>> {
        let spans = keys.iter().flat_map(|(key, does)| {
            let does = self.span(format!(" {does}  "), Tone::Quiet);
            [self.span(*key, Tone::Title), does]
        });
        spans.collect()
    }

    /// `left`, and at the right edge the first of `hints` that has room.
    fn justified(&self, left: Vec<Span<'static>>, hints: &[String], width: usize) -> Line<'static> {
        let mut line = Line::from(left);
        let room = width.saturating_sub(line.width() + 2);
        if let Some(hint) = hints.iter().find(|hint| hint.len() <= room) {
            line.push_span(" ".repeat(width - line.width() - hint.len()));
            line.push_span(self.span(hint.clone(), Tone::Quiet));
        }
        line
    }

    pub(super) fn span(&self, text: impl Into<String>, tone: Tone) -> Span<'static> {
        Span::styled(text.into(), self.palette.style(tone))
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{
        Terminal,
        backend::TestBackend,
        buffer::{Buffer, Cell},
        style::{Color, Modifier},
    };

    use tcpguard_common::reason::Reason;

    use super::{
        super::{connections::specimen::list, keys::Key, specimen, trend::History},
        *,
    };
    use crate::{sample::Sample, top::live::specimen::ranking};

    fn drawn(shown: &Shown<'_>, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, shown)).unwrap();
        terminal.backend().buffer().clone()
    }

    fn screen(reading: &Reading, palette: Palette, width: u16, height: u16) -> Buffer {
        let app = App {
            history: History::specimen(),
            ..App::default()
        };
        let shown = Shown {
            reading,
            interval: Duration::from_secs(1),
            palette,
            app: &app,
        };
        drawn(&shown, width, height)
    }

    /// A page as text.
    fn page(app: &App, width: u16, height: u16) -> String {
        let shown = Shown {
            reading: &specimen::reading(),
            interval: Duration::from_secs(1),
            palette: Palette::Plain,
            app,
        };
        rows(&drawn(&shown, width, height), width)
    }

    fn text(reading: &Reading, width: u16, height: u16) -> String {
        rows(&screen(reading, Palette::Plain, width, height), width)
    }

    /// The rows as text, without the empty ones above the last.
    fn rows(buffer: &Buffer, width: u16) -> String {
        let row = |row: &[Cell]| {
            let row: String = row.iter().map(Cell::symbol).collect();
            row.trim_end().to_owned()
        };
        let mut rows: Vec<_> = buffer.content.chunks(usize::from(width)).map(row).collect();
        let last = rows.pop().unwrap();
        let used = rows
            .iter()
            .rposition(|row| !row.is_empty())
            .map_or(0, |row| row + 1);
        rows.truncate(used);
        rows.push(last);
        rows.join("\n")
    }

    /// Holds a screen against the one that is kept under this name, or keeps it.
    #[track_caller]
    fn assert_kept(name: &str, drawn: &str) {
        let path = format!(
            "{}/src/watch/screens/{name}.txt",
            env!("CARGO_MANIFEST_DIR")
        );
        let drawn = format!("{drawn}\n");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, drawn).unwrap();
        } else {
            assert_eq!(drawn, std::fs::read_to_string(&path).unwrap(), "{path}");
        }
    }

    const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (160, 50)];

    fn app(keys: &[Key]) -> App {
        let mut app = App {
            history: History::specimen(),
            list: list(),
            ranking: ranking(),
            ..App::default()
        };
        for key in keys {
            app.press(*key);
        }
        app
    }

    #[test]
    fn each_page_is_as_it_is_kept() {
        let connections = Key::Char('2');
        for (name, keys) in [
            ("overview", &[][..]),
            ("connections", &[connections, Key::Down]),
            (
                "filter",
                &[connections, Key::Char('/'), Key::Char('x'), Key::Enter],
            ),
            ("connection", &[connections, Key::Down, Key::Enter]),
            ("top", &[Key::Char('3')]),
            ("help", &[Key::Char('?')]),
        ] {
            let app = app(keys);
            for (width, height) in SIZES {
                let name = format!("{name}_{width}x{height}");
                assert_kept(&name, &page(&app, width, height));
            }
        }
    }

    #[test]
    fn the_chosen_connection_stands_out_without_colour() {
        let app = app(&[Key::Char('2'), Key::Down]);
        let shown = Shown {
            reading: &specimen::reading(),
            interval: Duration::from_secs(1),
            palette: Palette::Plain,
            app: &app,
        };
        let buffer = drawn(&shown, 80, 24);
        let reversed = (0..24).filter(|y| buffer[(1, *y)].modifier.contains(Modifier::REVERSED));
        assert_eq!(reversed.collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn observing_is_told_in_words_and_stands_out_without_colour() {
        let sample = Sample {
            enforcing: false,
            ..specimen::sample()
        };
        let reading = Reading::first(sample);
        let drawn = text(&reading, 80, 24);
        assert!(
            drawn.starts_with(" tcpguard 0.1.0   OBSERVE   nothing is dropped "),
            "{drawn}"
        );
        assert!(drawn.contains("would drop       /s   sent/s"), "{drawn}");
        let colored = screen(&reading, Palette::Colored, 80, 24);
        assert_eq!(colored[(18, 0)].fg, Color::Yellow);
        let plain = screen(&reading, Palette::Plain, 80, 24);
        assert!(plain[(18, 0)].modifier.contains(Modifier::REVERSED));
        assert!(
            plain.content.iter().all(|cell| cell.fg == Color::Reset),
            "NO_COLOR"
        );
    }

    #[test]
    fn the_last_row_tells_of_alarms() {
        let mut sample = specimen::sample();
        sample.alarms = [(Reason::FlagsNull, 4_160), (Reason::FlagsXmas, 30)]
            .map(|(reason, rate)| alarm::specimen(reason, rate))
            .to_vec();
        let reading = Reading::first(sample);
        let last = " q quit  ALARM flags-null 4 160/s, and 1 more: looks like a NULL flood";
        let drawn = text(&reading, 120, 24);
        assert!(drawn.lines().last().unwrap().starts_with(last), "{drawn}");
        let drawn = text(&reading, 40, 24);
        assert!(
            drawn.ends_with("\n q quit  ALARM flags-null 4 160/s, and…"),
            "{drawn}"
        );
    }

    #[test]
    fn a_guard_that_counted_nothing_says_so() {
        let drawn = text(&Reading::first(specimen::empty(&["eth0"])), 80, 24);
        assert!(
            drawn.contains(" Reason\n nothing objected to so far\n"),
            "{drawn}"
        );
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let names: Vec<_> = (0..32).map(|number| format!("veth{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let drawn = text(&Reading::first(specimen::empty(&names)), 80, 24);
        assert!(drawn.contains("\n … and 28 more\n\n Verdict"), "{drawn}");
        assert!(drawn.contains("\n veth3 "), "{drawn}");
    }

    #[test]
    fn trouble_with_connections_is_told_and_a_narrow_screen_cuts_no_number() {
        let mut sample = specimen::sample();
        sample.events.resync = 12;
        sample.events.table_full = 1_234;
        let reading = Reading::first(sample);
        let wide = text(&reading, 80, 24);
        let told =
            " Connections      1 196   table 0.5 %    adopted 3, resync 12, table full 1 234\n";
        assert!(wide.contains(told), "{wide}");
        let narrow = text(&reading, 60, 24);
        let row = "\n SYN-SENT        12 ESTABLISHED 1 108 LAST-ACK      3\n";
        assert!(narrow.contains(row), "{narrow}");
        let narrower = text(&reading, 50, 24);
        assert!(
            narrower.contains("\n Connections      1 196\n\n"),
            "{narrower}"
        );
        assert!(!narrower.contains("ESTABLISHED"), "{narrower}");
    }

    #[test]
    fn no_screen_is_too_small_or_too_large() {
        let reading = specimen::reading();
        let typed = [Key::Char('2'), Key::Down, Key::Enter, Key::Char('?')];
        for width in 1..=40 {
            for height in 1..=10 {
                screen(&reading, Palette::Colored, width, height);
                for keys in 1..=typed.len() {
                    page(&app(&typed[..keys]), width, height);
                }
                page(&app(&[Key::Char('3')]), width, height);
            }
        }
        screen(&reading, Palette::Colored, 500, 200);
        assert_eq!(
            text(&reading, 20, 2),
            "tcpguard 0.1.0   ENF\nq quit  2 connection"
        );
    }
}
