//! Readings as lines, for pipes, files and logs.

use std::time::Duration;

use anyhow::Result;

use super::{Display, Input, Reading, json, output::Output, plain, summary};

/// What a line is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Style {
    /// A JSON object.
    Json,
    /// For people; the first line says how often there is another.
    Plain {
        /// Time between two lines.
        interval: Duration,
    },
}

/// Lines on stdout, each of them whole as soon as it is there.
pub(super) struct Lines {
    style: Style,
    output: Output,
}

impl Lines {
    pub(super) fn new(style: Style) -> Result<Self> {
        Ok(Self {
            style,
            output: Output::stdout()?,
        })
    }

    fn print(&mut self, line: &str) {
        self.output.push(line.as_bytes());
        self.output.push(b"\n");
    }
}

impl Display for Lines {
    fn begin(&mut self, reading: &Reading) -> Result<()> {
        if let Style::Plain { interval } = self.style {
            self.print(&plain::header(&reading.sample, interval));
        }
        Ok(())
    }

    fn show(&mut self, reading: &Reading) -> Result<()> {
        let line = match self.style {
            Style::Json => json::line(&reading.sample)?,
            Style::Plain { .. } => plain::line(reading),
        };
        self.print(&line);
        Ok(())
    }

    fn end(&mut self, reading: &Reading) -> Result<()> {
        match self.style {
            Style::Json => self.show(reading)?,
            Style::Plain { interval } => {
                // Rates over the moment between the last line and Ctrl-C would be noise.
                if reading.elapsed() * 2 >= interval {
                    self.show(reading)?;
                }
                let summary = summary::summary(reading, summary::WIDTH);
                self.output.push(summary.as_bytes());
            }
        }
        Ok(())
    }

    async fn taken(&mut self) -> Result<()> {
        Ok(self.output.taken().await?)
    }

    async fn input(&mut self) -> Result<Input> {
        std::future::pending().await
    }
}
