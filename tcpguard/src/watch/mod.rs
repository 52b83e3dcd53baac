//! Showing what a guard counts, as it counts.
//!
//! ```text
//! sample -> Reading (totals and their change) -> json    one object an interval
//!                                             -> plain   one line an interval
//!                                             -> view    a table that refreshes in place
//! ```
//!
//! Everything up to the text is pure. Only `output`, `screen` and `keys` touch a descriptor,
//! and only `ending` knows what ends a watch. Nothing here may keep a guard from being detached,
//! so a reader that stopped reading is waited for and never written at.

pub(crate) mod ending;
mod keys;
pub(crate) mod output;
mod screen;

mod app;
mod connections;
mod help;
mod lines;
mod overview;
mod table;
mod top;
mod trend;

mod json;
pub(crate) mod once;
mod plain;
mod summary;
mod view;

mod census;
mod tables;

mod grid;
pub(crate) mod number;
mod objection;
mod reading;
#[cfg(test)]
pub(crate) mod specimen;
mod tone;
pub(crate) mod turnover;

use std::{cell::RefCell, future::Future, io::IsTerminal as _, time::Duration};

use anyhow::{Result, bail};
use tokio::time::{Instant, MissedTickBehavior};

use self::{
    ending::{End, Ending},
    lines::{Lines, Style},
    reading::Reading,
    table::LiveTable,
};
use crate::{cli::OutputArgs, evidence::lookout::Lookout, flows::Flows, sample::Sample};

// Tests compare whole screens, which a release must not change.
const VERSION: &str = if cfg!(test) {
    "0.1.0"
} else {
    env!("CARGO_PKG_VERSION")
};

/// How long the last words may take where nobody reads.
const GRACE: Duration = Duration::from_secs(1);

/// What is behind the numbers of a guard, for who asks.
pub(crate) trait Insight {
    /// Its tables.
    fn flows(&self) -> Result<Flows>;

    /// What it keeps of the frames that it objects to from now on.
    fn lookout(&self) -> Result<Lookout>;
}

impl<I: Insight> Insight for RefCell<I> {
    fn flows(&self) -> Result<Flows> {
        self.borrow().flows()
    }

    fn lookout(&self) -> Result<Lookout> {
        self.borrow().lookout()
    }
}

/// Shows a sample each `interval`, and what `insight` gives to who asks for it, until a signal or a key
/// or the `ending` ends it.
///
/// One last sample is shown at the end, so a run that is shorter than an interval reports as well.
/// Fails with the [`std::io::Error`] of a broken pipe when the reader leaves.
pub(crate) async fn watch(
    output: OutputArgs,
    interval: Duration,
    ending: Ending,
    mut sample: impl FnMut() -> Result<Sample>,
    insight: &impl Insight,
) -> Result<()> {
    let form = Form::choose(output)?;
    let first = Reading::first(sample()?);
    let watched = Watched {
        interval,
        ending,
        sample,
    };
    match form {
        Form::Json => watched.show_in(Lines::new(Style::Json)?, first).await,
        Form::Plain => {
            watched
                .show_in(Lines::new(Style::Plain { interval })?, first)
                .await
        }
        Form::Table => {
            let table = LiveTable::new(interval, insight)?;
            watched.show_in(table, first).await
        }
    }
}

/// Whether what is asked for is a table, which other lines on its terminal would tear.
pub(crate) fn takes_screen(asked: OutputArgs) -> bool {
    std::io::stderr().is_terminal() && matches!(Form::choose(asked), Ok(Form::Table))
}

/// What readings are shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Plain,
    Table,
}

impl Form {
    fn choose(asked: OutputArgs) -> Result<Self> {
        let on_screen = std::io::stdout().is_terminal();
        Ok(match asked {
            OutputArgs { json: true, .. } => Self::Json,
            OutputArgs { plain: true, .. } => Self::Plain,
            OutputArgs { tui: true, .. } if on_screen => Self::Table,
            OutputArgs { tui: true, .. } => {
                bail!("the live table needs a terminal on stdout (try --plain or --json)")
            }
            // Without a terminal of its own the process can read no keys, and raw mode would take
            // Ctrl-C away.
            _ if on_screen && screen::is_capable() && keys::can_be_read() => Self::Table,
            _ => Self::Plain,
        })
    }
}

/// What the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// To end the watch.
    Quit,
    /// To draw again: something else is to be seen, or the terminal has another size now.
    Redraw,
}

/// Something that readings are shown on. Whatever waits can be cancelled and taken up again.
trait Display {
    /// Shows where the guard stands before the first interval has passed.
    fn begin(&mut self, reading: &Reading) -> Result<()>;

    /// Shows what an interval brought.
    fn show(&mut self, reading: &Reading) -> Result<()>;

    /// Shows the last reading and how it all went.
    fn end(&mut self, reading: &Reading) -> Result<()>;

    /// Waits until all that was shown is taken, so that the next can be shown without blocking.
    fn taken(&mut self) -> impl Future<Output = Result<()>>;

    /// What the user asks for; waits for ever where nobody can ask.
    fn input(&mut self) -> impl Future<Output = Result<Input>>;
}

/// A guard, how often it is looked at and for how long.
struct Watched<S> {
    interval: Duration,
    ending: Ending,
    sample: S,
}

impl<S: FnMut() -> Result<Sample>> Watched<S> {
    async fn show_in(mut self, mut display: impl Display, mut reading: Reading) -> Result<()> {
        display.begin(&reading)?;
        let end = self.refresh(&mut display, &mut reading).await?;
        reading.advance((self.sample)()?);
        let last_words = async {
            display.taken().await?;
            display.end(&reading)?;
            display.taken().await
        };
        match (end, tokio::time::timeout(GRACE, last_words).await) {
            // The reader has stopped reading, or the terminal is gone: nobody misses the end.
            (_, Err(_)) | (End::HungUp, Ok(_)) => Ok(()),
            (End::Asked | End::Elapsed, Ok(told)) => told,
        }
    }

    async fn refresh(&mut self, display: &mut impl Display, reading: &mut Reading) -> Result<End> {
        let mut ticks = tokio::time::interval_at(Instant::now() + self.interval, self.interval);
        // After a stall there is one reading, not a burst of them, and the ticks stay on the grid
        // that began with the watch.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                end = self.ending.comes() => return Ok(end),
                taken = display.taken() => taken?,
            }
            tokio::select! {
                biased;
                end = self.ending.comes() => return Ok(end),
                input = display.input() => match input? {
                    Input::Quit => return Ok(End::Asked),
                    Input::Redraw => display.show(reading)?,
                },
                _ = ticks.tick() => {
                    reading.advance((self.sample)()?);
                    display.show(reading)?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{specimen::sample, *};

    #[derive(Clone, Default)]
    struct Recorder {
        told: Rc<RefCell<Vec<String>>>,
        /// How many readings are taken before the reader stops reading.
        patience: Option<usize>,
    }

    impl Recorder {
        fn note(&self, what: &str, reading: &Reading) {
            let seconds = reading.sample.uptime.as_secs();
            self.told.borrow_mut().push(format!("{what} {seconds}"));
        }
    }

    impl Display for Recorder {
        fn begin(&mut self, reading: &Reading) -> Result<()> {
            self.note("begin", reading);
            Ok(())
        }

        fn show(&mut self, reading: &Reading) -> Result<()> {
            self.note("show", reading);
            Ok(())
        }

        fn end(&mut self, reading: &Reading) -> Result<()> {
            self.note("end", reading);
            Ok(())
        }

        async fn taken(&mut self) -> Result<()> {
            if self
                .patience
                .is_some_and(|patience| self.told.borrow().len() > patience)
            {
                std::future::pending::<()>().await;
            }
            Ok(())
        }

        async fn input(&mut self) -> Result<Input> {
            std::future::pending().await
        }
    }

    /// Runs to the limit and returns what was shown; the uptime of a sample is its number.
    async fn told(recorder: Recorder, interval: u64, limit: u64) -> Vec<String> {
        let mut taken = 0;
        let mut sample = || {
            taken += 1;
            Ok(Sample {
                uptime: Duration::from_secs(taken),
                ..sample()
            })
        };
        let first = Reading::first(sample().unwrap());
        let ending = Ending::new(Some(Duration::from_millis(limit))).unwrap();
        let watched = Watched {
            interval: Duration::from_millis(interval),
            ending,
            sample,
        };
        watched.show_in(recorder.clone(), first).await.unwrap();
        recorder.told.take()
    }

    #[tokio::test]
    async fn a_run_shorter_than_an_interval_still_reports() {
        assert_eq!(
            told(Recorder::default(), 60_000, 1).await,
            ["begin 1", "end 2"]
        );
    }

    #[tokio::test]
    async fn the_last_reading_takes_the_place_of_the_last_tick() {
        let told = told(Recorder::default(), 40, 160).await;
        assert_eq!(told, ["begin 1", "show 2", "show 3", "show 4", "end 5"]);
    }

    #[tokio::test]
    async fn a_reader_that_stops_reading_cannot_keep_it_from_ending() {
        let stuck = Recorder {
            patience: Some(1),
            ..Recorder::default()
        };
        assert_eq!(told(stuck, 10, 100).await, ["begin 1", "show 2"]);
    }

    #[test]
    fn what_is_asked_for_decides_the_form() {
        let asked = |json, plain| {
            Form::choose(OutputArgs {
                json,
                plain,
                tui: false,
            })
            .unwrap()
        };
        assert_eq!(asked(true, false), Form::Json);
        assert_eq!(asked(false, true), Form::Plain);
    }
}
