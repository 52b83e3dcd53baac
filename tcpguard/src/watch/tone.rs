//! What a text means, and how that looks.

use ratatui::style::{Color, Modifier, Style};

/// What a text means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// The name of a section.
    Title,
    /// The name of a column, a unit, a hint, a zero.
    Quiet,
    /// What passes.
    Good,
    /// What would be stopped.
    Warning,
    /// What is stopped.
    Bad,
    /// That the guard drops.
    Enforcing,
    /// That the guard only observes.
    Observing,
}

/// Whether meaning is also told by colour. It never is by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Palette {
    /// The sixteen colours that a terminal's theme defines.
    Colored,
    /// Bold, dim and reversed only.
    Plain,
}

impl Palette {
    /// How a text that means this looks.
    pub(super) fn style(self, tone: Tone) -> Style {
        let style = Style::new();
        match tone {
            Tone::Plain => style,
            Tone::Title => style.add_modifier(Modifier::BOLD),
            Tone::Quiet => style.add_modifier(Modifier::DIM),
            Tone::Good => self.in_color(style, Color::Green),
            Tone::Warning => self.in_color(style, Color::Yellow),
            Tone::Bad => self.in_color(style, Color::Red),
            Tone::Enforcing => self.badge(Color::Green),
            Tone::Observing => self.badge(Color::Yellow),
        }
    }

    fn in_color(self, style: Style, color: Color) -> Style {
        match self {
            Self::Colored => style.fg(color),
            Self::Plain => style,
        }
    }

    fn badge(self, color: Color) -> Style {
        self.in_color(Style::new(), color)
            .add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }
}
