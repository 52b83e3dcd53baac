//! What every key does, over the page.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph},
};

use super::tone::{Palette, Tone};

const HELP: [(&str, &str); 16] = [
    ("1", "overview"),
    ("2", "connections"),
    ("3", "top: who moves most, and who is objected to most"),
    ("Tab", "the next page"),
    ("Ctrl-L", "draw it anew"),
    (
        "q, Ctrl-C",
        "end; a guard of `attach` stays, one of `run` goes with it",
    ),
    ("", ""),
    (
        "↑ ↓ PgUp PgDn",
        "choose a connection; Home and End, the first and the last",
    ),
    ("Enter", "show it with its two halves"),
    ("Esc", "go back"),
    (
        "/",
        "filter: states, a port, an address or a prefix, such as",
    ),
    ("", "  established 443 10.0.0.0/8"),
    ("s, S", "order by the next column; the other way around"),
    ("", ""),
    ("sent, back", "octets of who opened it, and of who answered"),
    ("any key", "leave this help"),
];

/// Draws it into the middle of an area, as much as has room.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, palette: Palette) {
    let line = |(key, does): &(&'static str, &'static str)| {
        Line::from(vec![
            Span::styled(format!(" {key:<14}"), palette.style(Tone::Title)),
            Span::raw(format!("{does} ")),
        ])
    };
    let lines: Vec<_> = HELP.iter().map(line).collect();
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let fits = |wanted: usize, room: u16| u16::try_from(wanted + 2).unwrap_or(room).min(room);
    let (width, height) = (fits(widest, area.width), fits(lines.len(), area.height));
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let title = Span::styled(" Keys ", palette.style(Tone::Title));
    frame.render_widget(Clear, place);
    frame.render_widget(
        Paragraph::new(lines).block(Block::bordered().title(title)),
        place,
    );
}
