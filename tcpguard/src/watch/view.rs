//! The live table, drawn from a reading and nothing else.
//!
//! From top to bottom: what runs and in which mode, interfaces, verdicts (beside them, what passes
//! unjudged), connections, reasons, keys. A screen that is too low first loses the blank lines, then
//! the states of connections, then rows of interfaces and reasons, and says how many; one that is
//! too narrow loses columns.

use std::time::Duration;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    VERSION, census, number,
    reading::Reading,
    tables::{self, Detail},
    tone::{Palette, Tone},
};
use crate::alarm;

/// Everything that is on the screen.
pub(super) struct Shown<'a> {
    pub(super) reading: &'a Reading,
    pub(super) interval: Duration,
    pub(super) palette: Palette,
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
    let body = Paragraph::new(shown.body(width, height.saturating_sub(1)));
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
}

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

impl Shown<'_> {
    fn body(&self, width: usize, height: usize) -> Vec<Line<'static>> {
        let detail = Detail::of_screen(width);
        let gap = usize::from(height >= AIRY);
        let top = usize::from(height >= ROOMY);
        let counts = self.counts(width);
        let connections = self.connections(width, height);
        let reasons = self.reasons(width);
        // Interfaces and reasons share what the rest leaves.
        let taken = 1 + top + 3 * gap + counts.len() + connections.len();
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
        let mut body = vec![self.header(width)];
        let gaps = std::iter::once(top).chain(std::iter::repeat(gap));
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

    fn footer(&self, width: usize) -> Line<'static> {
        let mut left = vec![self.span("q", Tone::Title), self.span(" quit", Tone::Quiet)];
        if let Some(alarms) = alarm::brief(&self.reading.sample.alarms) {
            let room = width.saturating_sub("q quit  ".len());
            left.push("  ".into());
            left.push(self.span(number::shortened(&alarms, room), Tone::Bad));
        }
        let hints = [
            "totals since attach, rates over the last interval",
            "rates: last interval",
        ];
        self.justified(left, &hints.map(String::from), width)
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

    fn span(&self, text: impl Into<String>, tone: Tone) -> Span<'static> {
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

    use super::{super::specimen, *};
    use crate::sample::Sample;

    fn screen(reading: &Reading, palette: Palette, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let interval = Duration::from_secs(1);
        let shown = Shown {
            reading,
            interval,
            palette,
        };
        terminal.draw(|frame| draw(frame, &shown)).unwrap();
        terminal.backend().buffer().clone()
    }

    /// The rows as text, without the empty ones above the last.
    fn text(reading: &Reading, width: u16, height: u16) -> String {
        let buffer = screen(reading, Palette::Plain, width, height);
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

    const AT_80X24: &str = "
 tcpguard 0.1.0   ENFORCE                                  up 2m 05s   every 1s
 Interface  ingress  egress    received       /s     dropped       /s   sent/s
 eth0       native   tcx      7 573 008    1 241      38 643       34      980
 lo         generic  none        12 345        0           0        0        -

 Verdict        packets       /s   bit/s   share    Passed unjudged     packets
 accept      12 354 678    2 184  11.2 M  99.7 %    not-ip                   42
 ignore               0        0     0       0 %    not-tcp               4 321
 drop            38 643       34  16.3 k   0.3 %    fragment                  2
 bypass           4 365        3  2.88 k  <0.1 %    vlan-depth                0
 would drop           3        0     0    <0.1 %    extension-chain           0
 total       12 397 689    2 221  11.2 M   100 %    unreadable                0

 Connections      1 196                                               adopted 3
 SYN-SENT          12  ESTABLISHED   1 108  LAST-ACK        3  new/s      12
 SYN-SENT2          0  FIN-WAIT          4  TIME-WAIT      64  ended/s    10
 SYN-RECEIVED       3  CLOSE-WAIT        2  CLOSED          0  table   0.5 %

 Reason                 dropped  would drop       /s  meaning
 flags-null              34 567           0       30  None of SYN, FIN, RST…
 flags-xmas               4 064           0        4  FIN and URG without ACK…
 flags-syn-fin               12           0        0  SYN and FIN together…
 bad-length                   0           3        0  The IP length is shorter…
 q quit                       totals since attach, rates over the last interval";

    const AT_120X40: &str = "
 tcpguard 0.1.0   ENFORCE                                                                          up 2m 05s   every 1s

 Interface    ingress    egress          received         /s           dropped         /s              sent     sent/s
 eth0         native     tcx            7 573 008      1 241            38 643         34         4 812 336        980
 lo           generic    none              12 345          0                 0          0                 -          -

 Verdict              packets         /s     bit/s     share     bytes      Passed unjudged         packets       /s
 accept            12 354 678      2 184    11.2 M    99.7 %    11.0 G      not-ip                       42        0
 ignore                     0          0       0         0 %       0        not-tcp                   4 321        3
 drop                  38 643         34    16.3 k     0.3 %    2.33 M      fragment                      2        0
 bypass                 4 365          3    2.88 k    <0.1 %     522 k      vlan-depth                    0        0
 would drop                 3          0       0      <0.1 %     180        extension-chain               0        0
 total             12 397 689      2 221    11.2 M     100 %    11.0 G      unreadable                    0        0

 Connections      1 196                                                                                       adopted 3
 SYN-SENT            12 ▌            ESTABLISHED     1 108 █████████▌   LAST-ACK          3 ▌            new/s      12
 SYN-SENT2            0              FIN-WAIT            4 ▌            TIME-WAIT        64 █            ended/s    10
 SYN-RECEIVED         3 ▌            CLOSE-WAIT          2 ▌            CLOSED            0              table   0.5 %

 Reason                     dropped      would drop       /s  meaning
 flags-null                  34 567               0       30  None of SYN, FIN, RST, ACK and URG is set: a NULL scan
 flags-xmas                   4 064               0        4  FIN and URG without ACK, with or without PSH: a…
 flags-syn-fin                   12               0        0  SYN and FIN together: open and close at once
 bad-length                       0               3        0  The IP length is shorter than the headers or longer than…
 q quit                                                               totals since attach, rates over the last interval";

    #[test]
    fn at_80x24() {
        assert_eq!(
            text(&specimen::reading(), 80, 24),
            AT_80X24.trim_start_matches('\n')
        );
    }

    #[test]
    fn at_120x40() {
        assert_eq!(
            text(&specimen::reading(), 120, 40),
            AT_120X40.trim_start_matches('\n')
        );
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
            " Connections      1 196                  adopted 3, resync 12, table full 1 234\n";
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
        for width in 1..=40 {
            for height in 1..=10 {
                screen(&reading, Palette::Colored, width, height);
            }
        }
        screen(&reading, Palette::Colored, 500, 200);
        assert_eq!(text(&reading, 20, 2), "tcpguard 0.1.0   ENF\nq quit");
    }
}
