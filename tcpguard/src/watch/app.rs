//! What is on the screen beside the numbers, and what keys do to that.

use anyhow::Result;

use super::{Insight, connections::List, keys::Key, trend::History};
use crate::top::live::Ranking;

/// What fills the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Page {
    /// Everything at a glance.
    #[default]
    Overview,
    /// Single connections.
    Connections,
    /// Who moves most, and who is objected to most.
    Top,
}

/// What is shown, and how far somebody has typed.
#[derive(Default)]
pub(super) struct App {
    pub(super) page: Page,
    pub(super) is_helping: bool,
    pub(super) list: List,
    pub(super) ranking: Ranking,
    pub(super) history: History,
}

/// What a key comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pressed {
    /// The watch is to end.
    Quit,
    /// It goes on, and may look different.
    Goes,
}

impl App {
    /// Does what a key does.
    pub(super) fn press(&mut self, key: Key) -> Pressed {
        let is_list = self.page == Page::Connections;
        match key {
            Key::Interrupt => return Pressed::Quit,
            Key::Repaint => {}
            _ if self.is_helping => self.is_helping = false,
            _ if is_list && self.list.is_typed_into() => self.list.press(key),
            Key::Char('q' | 'Q') => return Pressed::Quit,
            Key::Char('?') => self.is_helping = true,
            Key::Char('1') => self.page = Page::Overview,
            Key::Char('2') => self.page = Page::Connections,
            Key::Char('3') => self.page = Page::Top,
            Key::Tab => self.page = self.page.next(),
            _ if is_list && (key != Key::Escape || self.list.is_deep()) => self.list.press(key),
            Key::Escape => self.page = Page::Overview,
            Key::Char(_)
            | Key::Enter
            | Key::Backspace
            | Key::Up
            | Key::Down
            | Key::PageUp
            | Key::PageDown
            | Key::Home
            | Key::End => {}
        }
        Pressed::Goes
    }

    /// Looks at what the page shows beside the reading, where it is time to.
    pub(super) fn look(&mut self, insight: &impl Insight) -> Result<()> {
        // What was measured a while ago is no beginning of what is measured now.
        if self.page != Page::Top {
            self.ranking = Ranking::default();
        }
        match self.page {
            Page::Connections if self.list.is_due() => self.list.walk(|| insight.flows())?,
            Page::Top if self.ranking.is_due() => {
                let (map, open) = (|| insight.flows(), || insight.lookout());
                self.ranking.go_on(map, open)?;
            }
            Page::Overview | Page::Connections | Page::Top => {}
        }
        Ok(())
    }
}

impl Page {
    const fn next(self) -> Self {
        match self {
            Self::Overview => Self::Connections,
            Self::Connections => Self::Top,
            Self::Top => Self::Overview,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::connections::specimen::list, *};

    fn pressed(app: &mut App, keys: &[Key]) -> Pressed {
        let mut pressed = Pressed::Goes;
        for key in keys {
            pressed = app.press(*key);
        }
        pressed
    }

    #[test]
    fn q_and_ctrl_c_quit_and_no_other_key() {
        for key in [Key::Char('q'), Key::Char('Q'), Key::Interrupt] {
            assert_eq!(App::default().press(key), Pressed::Quit, "{key:?}");
        }
        // Who goes back once too often must not take the guard off.
        for key in [
            Key::Escape,
            Key::Char('x'),
            Key::Up,
            Key::Enter,
            Key::Repaint,
        ] {
            assert_eq!(App::default().press(key), Pressed::Goes, "{key:?}");
        }
    }

    #[test]
    fn pages_have_numbers_and_tab_goes_on() {
        let mut app = App::default();
        for (key, page) in [
            (Key::Char('2'), Page::Connections),
            (Key::Char('1'), Page::Overview),
            (Key::Char('3'), Page::Top),
            (Key::Escape, Page::Overview),
            (Key::Tab, Page::Connections),
            (Key::Tab, Page::Top),
            (Key::Tab, Page::Overview),
        ] {
            app.press(key);
            assert_eq!(app.page, page, "{key:?}");
        }
    }

    #[test]
    fn escape_goes_back_one_step_after_the_other() {
        let mut app = App {
            list: list(),
            ..App::default()
        };
        pressed(&mut app, &[Key::Char('2'), Key::Enter, Key::Char('?')]);
        assert!(app.is_helping);
        assert_eq!(app.press(Key::Escape), Pressed::Goes);
        assert!(!app.is_helping && app.list.is_deep());
        assert_eq!(app.press(Key::Escape), Pressed::Goes);
        assert!(!app.list.is_deep() && app.page == Page::Connections);
        assert_eq!(app.press(Key::Escape), Pressed::Goes);
        assert_eq!(app.page, Page::Overview);
    }

    #[test]
    fn while_a_filter_is_typed_only_ctrl_c_quits() {
        let mut app = App::default();
        pressed(&mut app, &[Key::Char('2'), Key::Char('/')]);
        for key in [Key::Char('q'), Key::Char('?'), Key::Char('1'), Key::Tab] {
            assert_eq!(app.press(key), Pressed::Goes, "{key:?}");
        }
        assert!(app.list.is_typed_into() && !app.is_helping);
        assert_eq!(app.press(Key::Interrupt), Pressed::Quit);
    }
}
