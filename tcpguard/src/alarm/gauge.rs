//! Hysteresis: when the rate of one subject becomes an alarm, and when that is over.

use std::mem;

use super::{
    Alarm, Step, Subject,
    notice::Notice,
    suspects::{Ends, Spread},
};

/// Readings in a row at the threshold that raise an alarm.
const RAISED_AFTER: u32 = 2;
/// Readings in a row below half of the threshold after which it is over.
const OVER_AFTER: u32 = 10;

/// One subject, and how it stands.
pub(super) struct Gauge {
    subject: Subject,
    threshold: u64,
    phase: Phase,
}

#[derive(Default)]
enum Phase {
    #[default]
    Quiet,
    /// At the threshold for so many readings, too few for an alarm; and who was seen meanwhile.
    Rising(Alarm, u32, Vec<Ends>),
    /// Raised, and below half of the threshold since so many readings.
    Raised(Alarm, u32),
}

impl Gauge {
    pub(super) const fn new(subject: Subject, threshold: u64) -> Self {
        Self {
            subject,
            threshold,
            phase: Phase::Quiet,
        }
    }

    pub(super) const fn subject(&self) -> Subject {
        self.subject
    }

    /// The alarm that is raised.
    pub(super) const fn alarm(&self) -> Option<&Alarm> {
        match &self.phase {
            Phase::Quiet | Phase::Rising(..) => None,
            Phase::Raised(alarm, _) => Some(alarm),
        }
    }

    /// Goes on by one reading, in which these were seen, and returns what is to be said of it.
    pub(super) fn read(&mut self, step: Step, seen: &[Ends]) -> Option<Notice> {
        let rate = step.rate();
        let is_high = rate >= self.threshold;
        let is_low = rate < self.threshold.div_ceil(2);
        let (phase, notice) = match mem::take(&mut self.phase) {
            Phase::Quiet if is_high => (Phase::Rising(self.begun(step), 1, seen.to_vec()), None),
            Phase::Rising(alarm, readings, before) if is_high => {
                let ends = [&before, seen].concat();
                let alarm = Alarm {
                    spread: Spread::of(&ends),
                    ..grown(&alarm, step)
                };
                if readings + 1 == RAISED_AFTER {
                    let notice = Notice::Raised(alarm.clone());
                    (Phase::Raised(alarm, 0), Some(notice))
                } else {
                    (Phase::Rising(alarm, readings + 1, ends), None)
                }
            }
            Phase::Quiet | Phase::Rising(..) => (Phase::Quiet, None),
            Phase::Raised(alarm, low) if is_low && low + 1 == OVER_AFTER => {
                (Phase::Quiet, Some(Notice::Over(alarm)))
            }
            Phase::Raised(alarm, low) if is_low => {
                (Phase::Raised(Alarm { rate, ..alarm }, low + 1), None)
            }
            Phase::Raised(alarm, _) => (Phase::Raised(grown(&alarm, step), 0), None),
        };
        self.phase = phase;
        notice
    }

    fn begun(&self, step: Step) -> Alarm {
        Alarm {
            subject: self.subject,
            rate: step.rate(),
            peak: step.rate(),
            dropped: step.dropped,
            passed: step.passed,
            lasted: step.elapsed,
            spread: Spread::default(),
        }
    }
}

fn grown(alarm: &Alarm, step: Step) -> Alarm {
    let rate = step.rate();
    Alarm {
        rate,
        peak: alarm.peak.max(rate),
        dropped: alarm.dropped + step.dropped,
        passed: alarm.passed + step.passed,
        lasted: alarm.lasted + step.elapsed,
        ..*alarm
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tcpguard_common::reason::Reason;

    use super::*;

    const SUBJECT: Subject = Subject::Reason(Reason::FlagsNull);

    /// What is said at which reading, of rates that are read a second apart.
    fn said(threshold: u64, rates: &[u64]) -> Vec<(usize, Notice)> {
        let mut gauge = Gauge::new(SUBJECT, threshold);
        let steps = rates.iter().map(|rate| Step {
            elapsed: Duration::from_secs(1),
            dropped: *rate,
            passed: 0,
        });
        let notices = steps.map(|step| gauge.read(step, &[])).enumerate();
        notices
            .filter_map(|(at, notice)| Some((at, notice?)))
            .collect()
    }

    fn alarm(rate: u64, peak: u64, dropped: u64, seconds: u64) -> Alarm {
        Alarm {
            subject: SUBJECT,
            rate,
            peak,
            dropped,
            passed: 0,
            lasted: Duration::from_secs(seconds),
            spread: Spread::default(),
        }
    }

    #[test]
    fn two_readings_in_a_row_raise_it_and_once_only() {
        let raised = Notice::Raised(alarm(12, 12, 22, 2));
        assert_eq!(said(10, &[10, 12, 50, 50, 50]), [(1, raised)]);
        assert_eq!(said(10, &[10, 9, 10, 9, 10, 0, 1000, 0]), []);
        assert_eq!(said(10, &[9; 100]), []);
    }

    #[test]
    fn ten_readings_below_half_end_it_and_half_of_the_threshold_does_not() {
        let rates = [vec![10, 30], vec![4; 10]].concat();
        let over = Notice::Over(alarm(4, 30, 40, 2));
        assert_eq!(said(10, &rates)[1..], [(11, over)]);
        let wavering = [vec![10, 10], vec![5; 100]].concat();
        assert_eq!(said(10, &wavering).len(), 1, "it is not over");
        let nearly = [vec![10, 10], vec![4; 9], vec![5], vec![4; 9]].concat();
        assert_eq!(said(10, &nearly).len(), 1, "they are not in a row");
    }

    #[test]
    fn after_the_end_it_can_be_raised_again() {
        let once = [vec![10, 10], vec![0; 10]].concat();
        let twice = [once.clone(), once].concat();
        let at: Vec<_> = said(10, &twice).into_iter().map(|(at, _)| at).collect();
        assert_eq!(at, [1, 11, 13, 23]);
    }

    #[test]
    fn a_threshold_of_one_is_over_when_nothing_comes() {
        let rates = [vec![1, 1], vec![0; 10]].concat();
        assert_eq!(said(1, &rates).len(), 2);
    }

    #[test]
    fn who_was_seen_until_it_was_raised_is_remembered() {
        let mut gauge = Gauge::new(SUBJECT, 1);
        let step = Step {
            elapsed: Duration::from_secs(1),
            dropped: 9,
            passed: 0,
        };
        let ends = |port| ([192, 0, 2, 1].into(), port);
        let notices = [80, 81, 82].map(|port| gauge.read(step, &[ends(port)]));
        let [None, Some(Notice::Raised(alarm)), None] = notices else {
            panic!("{notices:?}")
        };
        assert_eq!(alarm.spread, Spread::of(&[ends(80), ends(81)]));
        assert_eq!(gauge.alarm().unwrap().spread, alarm.spread);
    }

    #[test]
    fn no_time_is_no_rate() {
        let mut gauge = Gauge::new(SUBJECT, 1);
        let burst = Step {
            dropped: 100,
            ..Step::default()
        };
        assert_eq!(gauge.read(burst, &[]), None);
        assert_eq!(gauge.read(burst, &[]), None);
        assert!(gauge.alarm().is_none());
    }
}
