//! Reads a guard each second and says on stderr what its alarms are.

use std::{cell::RefCell, convert::Infallible, env, io, os::fd::AsFd as _, rc::Rc, time::Duration};

use anyhow::Result;
use tokio::time::{MissedTickBehavior, interval};

use super::{Alarm, Alarms, Suspects, Thresholds};
use crate::{sample::Sample, watch::output::Output};

/// Between two readings.
const INTERVAL: Duration = Duration::from_secs(1);
/// Where systemd says which file the journal reads.
const JOURNAL: &str = "JOURNAL_STREAM";

/// Who says it, and who has to be asked for the alarms of the moment.
pub(crate) struct Herald {
    alarms: Alarms,
    suspects: Suspects,
    current: Rc<RefCell<Vec<Alarm>>>,
    /// `None` where words would tear the screen.
    output: Option<Output>,
    is_journal: bool,
}

impl Herald {
    /// One who speaks, if he is `heard`.
    pub(crate) fn new(
        thresholds: &Thresholds,
        suspects: Suspects,
        heard: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            suspects,
            alarms: Alarms::new(thresholds),
            current: Rc::default(),
            output: heard.then(Output::stderr).transpose()?,
            is_journal: is_journal(env::var(JOURNAL).ok().as_deref()),
        })
    }

    /// The alarms of the moment, whenever they are asked for.
    pub(crate) fn current(&self) -> impl Fn() -> Vec<Alarm> + use<> {
        let current = Rc::clone(&self.current);
        move || current.borrow().clone()
    }

    /// Follows a guard until it is dropped.
    pub(crate) async fn follow(mut self, mut sample: impl FnMut() -> Result<Sample>) -> Infallible {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            // Who displays the guard says it as well, and ends.
            if let Ok(sample) = sample() {
                self.read(sample).await;
            }
        }
    }

    async fn read(&mut self, sample: Sample) {
        let notices = self.alarms.read(sample, &self.suspects.read());
        *self.current.borrow_mut() = self.alarms.current();
        let Some(output) = &mut self.output else {
            return;
        };
        for notice in notices {
            if self.is_journal {
                output.push(format!("<{}>", notice.priority()).as_bytes());
            }
            output.push(format!("{notice}\n").as_bytes());
        }
        // Nobody who closes stderr wants to hear of that.
        let _ = output.taken().await;
    }
}

/// Whether stderr is the file of the journal, which takes priorities at the beginning of lines.
fn is_journal(stream: Option<&str>) -> bool {
    let stderr = rustix::fs::fstat(io::stderr().as_fd());
    stderr.is_ok_and(|it| stream == Some(&format!("{}:{}", it.st_dev, it.st_ino)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stderr_is_the_journal_only_where_systemd_says_so() {
        let stderr = rustix::fs::fstat(io::stderr().as_fd()).unwrap();
        let own = format!("{}:{}", stderr.st_dev, stderr.st_ino);
        assert!(is_journal(Some(&own)));
        assert!(!is_journal(Some("0:0")));
        assert!(!is_journal(None));
    }
}
