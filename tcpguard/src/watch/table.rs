//! Readings as a table that refreshes in place.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{
    Display, Reading,
    keys::{Input, Keys},
    output::Output,
    screen::{self, Screen},
    summary,
    tone::Palette,
    view::{self, Shown},
};

/// The live table on a terminal, and the summary that stays behind in its scrollback.
pub(super) struct LiveTable {
    /// `None` once the terminal is given back.
    screen: Option<Screen>,
    keys: Keys,
    interval: Duration,
    palette: Palette,
    output: Output,
}

impl LiveTable {
    pub(super) fn new(interval: Duration) -> Result<Self> {
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
        })
    }
}

impl Display for LiveTable {
    fn begin(&mut self, reading: &Reading) -> Result<()> {
        self.show(reading)
    }

    fn show(&mut self, reading: &Reading) -> Result<()> {
        let shown = Shown {
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
        let input = self.keys.input().await?;
        if let (Input::Redraw, Some(screen)) = (input, &mut self.screen) {
            screen.forget()?;
        }
        Ok(input)
    }
}
