//! Readings for those who scrape: taken when they ask, so that none is ever old.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::text;
use crate::sample::Sample;

/// How old an answer may be. Within it all are told the same, so asking often costs a guard nothing.
const FRESH: Duration = Duration::from_secs(1);

/// What is told of a guard: its metrics, or why it could not be read.
pub(super) type Told = Result<String, String>;

/// A guard as it is read for those who ask.
pub(super) struct Readings<S> {
    sample: S,
    last: Option<(Instant, Told)>,
    /// Readings that failed.
    errors: u64,
}

impl<S: FnMut() -> Result<Sample>> Readings<S> {
    pub(super) fn new(sample: S) -> Self {
        Self {
            sample,
            last: None,
            errors: 0,
        }
    }

    /// What is told to who asks `now`.
    pub(super) fn told(&mut self, now: Instant) -> Told {
        if let Some((taken, told)) = &self.last
            && now.saturating_duration_since(*taken) < FRESH
        {
            return told.clone();
        }
        let told = self.read();
        self.last = Some((now, told.clone()));
        told
    }

    fn read(&mut self) -> Told {
        match (self.sample)() {
            Ok(sample) => Ok(text(&sample, self.errors)),
            Err(error) => {
                self.errors += 1;
                Err(format!("{error:#}\n"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;
    use crate::watch::specimen;

    /// Readings of which only those named by their numbers fail; the uptime of the others is theirs.
    fn readings(failing: &'static [u64]) -> Readings<impl FnMut() -> Result<Sample>> {
        let mut taken = 0;
        Readings::new(move || {
            taken += 1;
            if failing.contains(&taken) {
                bail!("reading {taken} failed");
            }
            Ok(Sample {
                uptime: Duration::from_secs(taken),
                ..specimen::empty(&["eth0"])
            })
        })
    }

    /// Asks at these milliseconds for the number of the reading and of the errors before it.
    fn told(failing: &'static [u64], at: &[u64]) -> Vec<Result<[String; 2], String>> {
        let (start, mut readings) = (Instant::now(), readings(failing));
        let value = |text: &str, name| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(name));
            lines.map(|value| value.trim().to_owned()).collect()
        };
        let ask = |at: &u64| {
            let told = readings.told(start + Duration::from_millis(*at));
            told.map(|text| {
                [
                    "tcpguard_uptime_seconds",
                    "tcpguard_collection_errors_total",
                ]
                .map(|name| value(&text, name))
            })
        };
        at.iter().map(ask).collect()
    }

    /// A reading of this number, and how many have failed before it.
    fn numbers(reading: u64, errors: u64) -> [String; 2] {
        [reading, errors].map(|number| number.to_string())
    }

    #[test]
    fn a_guard_is_read_for_who_asks_but_once_a_second_at_most() {
        assert_eq!(
            told(&[], &[0, 1, 999, 1000, 1999, 5000]),
            [1, 1, 1, 2, 2, 3].map(|reading| Ok(numbers(reading, 0)))
        );
    }

    #[test]
    fn a_reading_that_failed_is_told_for_a_second_and_counted_once() {
        let failed = || Err("reading 2 failed\n".to_owned());
        assert_eq!(
            told(&[2], &[0, 1000, 1500, 2000]),
            [Ok(numbers(1, 0)), failed(), failed(), Ok(numbers(3, 1))]
        );
    }
}
