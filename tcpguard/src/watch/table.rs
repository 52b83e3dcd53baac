//! Readings as a table that refreshes in place.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{
    Display, Input, Insight, Reading,
    app::{App, Pressed},
    keys::{Key, Keys},
    output::Output,
    screen::{self, Screen},
    summary,
    tone::Palette,
    view::{self, Shown},
};

/// The live table on a terminal, and the summary that stays behind in its scrollback.
pub(super) struct LiveTable<'a, I> {
    /// `None` once the terminal is given back.
    screen: Option<Screen>,
    keys: Keys,
    interval: Duration,
    palette: Palette,
    output: Output,
    app: App,
    /// For pages of more than the reading has.
    insight: &'a I,
}

impl<'a, I: Insight> LiveTable<'a, I> {
    pub(super) fn new(interval: Duration, insight: &'a I) -> Result<Self> {
        let palette = if screen::is_colored() {
            Palette::Colored
        } else {
            Palette::Plain
        };
        let keys = Keys::new()?;
        let output = Output::stdout()?;
        let screen = Screen::take()
            .context("failed to prepare the terminal for the live table (try --plain)")?;
        Ok(Self {
            screen: Some(screen),
            keys,
            interval,
            palette,
            output,
            app: App::default(),
            insight,
        })
    }

    /// Takes what is new into what is shown beside the reading.
    fn go_on(&mut self, reading: &Reading) {
        self.app.history.add(reading);
        // If something cannot be opened the guard has gone, which the next sample says.
        let _ = self.app.look(self.insight);
    }
}

impl<I: Insight> Display for LiveTable<'_, I> {
    fn begin(&mut self, reading: &Reading) -> Result<()> {
        self.show(reading)
    }

    fn show(&mut self, reading: &Reading) -> Result<()> {
        self.go_on(reading);
        let shown = Shown {
            app: &self.app,
            reading,
            interval: self.interval,
            palette: self.palette,
        };
        if let Some(screen) = &mut self.screen {
            screen.draw(|frame| view::draw(frame, &shown))?;
        }
        Ok(())
    }

    fn end(&mut self, reading: &Reading) -> Result<()> {
        if let Some(screen) = self.screen.take() {
            let width = screen.width();
            drop(screen);
            self.output
                .push(summary::summary(reading, width).as_bytes());
        }
        Ok(())
    }

    async fn taken(&mut self) -> Result<()> {
        if let Some(screen) = &mut self.screen {
            screen.taken().await?;
        }
        Ok(self.output.taken().await?)
    }

    async fn input(&mut self) -> Result<Input> {
        for key in self.keys.typed().await? {
            if let (Key::Repaint, Some(screen)) = (key, &mut self.screen) {
                screen.forget()?;
            }
            if self.app.press(key) == Pressed::Quit {
                return Ok(Input::Quit);
            }
        }
        Ok(Input::Redraw)
    }
}
