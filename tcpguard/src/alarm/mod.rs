//! Alarms: when segments are objected to so fast that somebody should know, and what it looks like.
//!
//! ```text
//! samples -> Alarms (a rate and a threshold for each subject) -> Notice   said once, on stderr
//!                                                             -> Alarm    current, for displays
//! ```
//!
//! An alarm is raised by two readings in a row at its threshold, and is over after ten below half of
//! it: a rate that wavers around the threshold is one alarm and not many. Readings are a second apart
//! however rarely a run displays. Only `herald` reads a clock or writes anything.

mod gauge;
mod herald;
mod likeness;
mod notice;
mod subject;
mod suspects;
mod threshold;

use std::time::Duration;

use tcpguard_common::reason::Reason;

use self::{
    gauge::Gauge,
    notice::Notice,
    subject::Subject,
    suspects::{Ends, Spread},
};
pub(crate) use self::{herald::Herald, notice::brief, suspects::Suspects, threshold::Thresholds};
use crate::{sample::Sample, watch::number};

/// Something that is objected to at or above its threshold, and has not been over for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    /// What is counted.
    subject: Subject,
    /// How many a second at the last reading.
    rate: u64,
    /// How many a second at most.
    peak: u64,
    /// How many were dropped since it began.
    dropped: u64,
    /// How many passed.
    passed: u64,
    /// From its first reading at the threshold to the last that was not below half of it.
    lasted: Duration,
    /// Who sent them to which ports before it was raised, as far as that is known.
    spread: Spread,
}

impl Alarm {
    /// What it looks like, with its article.
    const fn likeness(&self) -> &'static str {
        likeness::likeness(self.subject, self.peak, &self.spread)
    }
}

/// What is counted of a subject between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Step {
    elapsed: Duration,
    dropped: u64,
    passed: u64,
}

impl Step {
    /// How many a second.
    fn rate(self) -> u64 {
        let count = self.dropped.saturating_add(self.passed);
        // No time has no rate, and must reach no threshold.
        if self.elapsed.is_zero() {
            0
        } else {
            number::per_second(count, self.elapsed)
        }
    }
}

/// Every subject that has a threshold, as far as it was followed.
struct Alarms {
    gauges: Vec<Gauge>,
    last: Option<Sample>,
}

impl Alarms {
    fn new(thresholds: &Thresholds) -> Self {
        let gauge = |subject| Some(Gauge::new(subject, thresholds.of(subject)?));
        Self {
            gauges: Subject::all().filter_map(gauge).collect(),
            last: None,
        }
    }

    /// Goes on to a later sample, and to what was seen of single segments since the one before; returns
    /// what is to be said of it.
    fn read(&mut self, sample: Sample, seen: &[(Reason, Ends)]) -> Vec<Notice> {
        let mut notices = Vec::new();
        if let Some(last) = &self.last {
            let elapsed = sample.uptime.saturating_sub(last.uptime);
            for gauge in &mut self.gauges {
                let subject = gauge.subject();
                let step = subject.step(last, &sample, elapsed);
                notices.extend(gauge.read(step, &subject.ends(seen)));
            }
        }
        self.last = Some(sample);
        notices
    }

    /// Those that are not over, the fastest first.
    fn current(&self) -> Vec<Alarm> {
        let mut current: Vec<_> = self.gauges.iter().filter_map(Gauge::alarm).collect();
        current.sort_by_key(|alarm| std::cmp::Reverse(alarm.rate));
        current.into_iter().cloned().collect()
    }
}

#[cfg(test)]
pub(crate) fn specimen(reason: Reason, rate: u64) -> Alarm {
    Alarm {
        subject: Subject::Reason(reason),
        rate,
        peak: rate,
        dropped: 2 * rate,
        passed: 0,
        lasted: Duration::from_millis(1_999),
        spread: Spread::default(),
    }
}

#[cfg(test)]
mod tests {
    use tcpguard_common::{abi::Hook, conn::state::State, reason::Reason, verdict::Verdict};

    use super::*;
    use crate::watch::specimen::{count, empty, happened};

    #[test]
    fn a_rate_is_told_to_the_nearest_and_no_time_has_none() {
        let step = |elapsed| Step {
            elapsed: Duration::from_secs(elapsed),
            dropped: 2,
            passed: 3,
        };
        assert_eq!(step(3).rate(), 2);
        assert_eq!(step(0).rate(), 0);
    }

    /// What is said at the end of each second, of counts that each of them adds to.
    fn said(seconds: &[&dyn Fn(&mut Sample)]) -> Vec<String> {
        let mut alarms = Alarms::new(&Thresholds::default());
        let mut sample = empty(&["eth0", "eth1"]);
        let mut said = Vec::new();
        alarms.read(sample.clone(), &[]);
        for second in seconds {
            sample.uptime += Duration::from_secs(1);
            second(&mut sample);
            let notices = alarms.read(sample.clone(), &[]);
            said.extend(notices.iter().map(ToString::to_string));
        }
        said
    }

    fn seen(hook: Hook, verdict: Verdict, packets: u64) -> impl Fn(&mut Sample) {
        move |sample| {
            for interface in [0, 1] {
                count(sample, interface, hook, verdict, packets, 0);
            }
        }
    }

    #[test]
    fn all_interfaces_count_together_and_what_is_only_counted_counts_as_well() {
        let scan = seen(Hook::Ingress, Verdict::dropped(Reason::FlagsNull), 200);
        let told = "alarm: flags-null 400/s for 2s, dropped: looks like a NULL scan (nmap -sN)";
        assert_eq!(said(&[&scan, &scan, &scan]), [told]);
        let observed = seen(Hook::Ingress, Verdict::would_drop(Reason::FlagsNull), 600);
        let told = "alarm: flags-null 1 200/s for 2s, only counted: looks like a NULL flood";
        assert_eq!(said(&[&observed, &observed]), [told]);
    }

    #[test]
    fn what_this_host_sends_is_no_alarm() {
        let own = seen(
            Hook::Egress,
            Verdict::would_drop(Reason::NoConnection),
            5_000,
        );
        assert!(said(&[&own, &own, &own]).is_empty());
    }

    #[test]
    fn connections_that_are_begun_and_not_established_are_a_syn_flood() {
        let handshakes = |begun, established| {
            move |sample: &mut Sample| {
                let events = &mut sample.arrived;
                happened(events, None, State::SynSent, begun);
                happened(events, Some(State::SynSent), State::SynReceived, begun);
                happened(
                    events,
                    Some(State::SynReceived),
                    State::Established,
                    established,
                );
            }
        };
        let (busy, flood) = (handshakes(9_000, 8_900), handshakes(9_000, 500));
        assert!(said(&[&busy, &busy, &busy]).is_empty());
        let told = "alarm: half-open 8 500/s for 2s: looks like a SYN flood";
        assert_eq!(said(&[&flood, &flood]), [told]);
    }

    #[test]
    fn a_flood_that_is_answered_with_cookies_is_one_as_well() {
        let answered = |sent, proved| {
            move |sample: &mut Sample| {
                sample.arrived.cookies_sent += sent;
                sample.arrived.cookies_proved += proved;
            }
        };
        let (busy, flood) = (answered(9_000, 8_900), answered(9_000, 500));
        assert!(said(&[&busy, &busy, &busy]).is_empty());
        let told = "alarm: half-open 8 500/s for 2s: looks like a SYN flood";
        assert_eq!(said(&[&flood, &flood]), [told]);
    }

    #[test]
    fn connections_that_this_host_begins_are_no_alarm() {
        let scan = |sample: &mut Sample| {
            happened(&mut sample.events, None, State::SynSent, 9_000);
        };
        assert!(said(&[&scan, &scan, &scan]).is_empty());
    }

    #[test]
    fn the_fastest_alarm_is_the_first_of_the_current_ones() {
        let mut alarms = Alarms::new(&Thresholds::default());
        let mut sample = empty(&["eth0"]);
        for _ in 0..3 {
            alarms.read(sample.clone(), &[]);
            sample.uptime += Duration::from_secs(1);
            for (reason, packets) in [(Reason::FlagsNull, 100), (Reason::FlagsXmas, 2_000)] {
                let verdict = Verdict::dropped(reason);
                count(&mut sample, 0, Hook::Ingress, verdict, packets, 0);
            }
        }
        let current = alarms.current();
        let subjects: Vec<_> = current.iter().map(|alarm| alarm.subject.as_str()).collect();
        assert_eq!(subjects, ["flags-xmas", "flags-null"]);
    }
}
