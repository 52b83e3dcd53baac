//! What is said of an alarm, once when it is raised and once when it is over.

use std::{fmt, time::Duration};

use super::{Alarm, Subject};
use crate::watch::number;

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Raised(Alarm),
    Over(Alarm),
}

impl Notice {
    /// How much it matters, as syslog numbers that: warning, and notice.
    pub(super) const fn priority(&self) -> u8 {
        match self {
            Self::Raised(_) => 4,
            Self::Over(_) => 5,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Raised(alarm) | Self::Over(alarm)) = self;
        let (subject, likeness) = (alarm.subject.as_str(), alarm.likeness());
        let lasted = number::uptime(rounded(alarm.lasted));
        match self {
            Self::Raised(_) => write!(
                f,
                "alarm: {subject} {}/s for {lasted}{}{}: looks like {likeness}",
                number::grouped(alarm.rate),
                fate(alarm),
                alarm.spread
            ),
            Self::Over(_) => write!(
                f,
                "alarm over: {subject} after {lasted}: {} {}, at most {}/s, like {likeness}",
                number::grouped(alarm.dropped + alarm.passed),
                counted(alarm.subject),
                number::grouped(alarm.peak)
            ),
        }
    }
}

/// The first of the alarms that are current, and how many there are beside it.
pub(crate) fn brief(alarms: &[Alarm]) -> Option<String> {
    let (first, others) = alarms.split_first()?;
    let more = match others.len() {
        0 => String::new(),
        others => format!(", and {others} more"),
    };
    Some(format!(
        "ALARM {} {}/s{more}: looks like {}",
        first.subject.as_str(),
        number::grouped(first.rate),
        first.likeness()
    ))
}

/// Readings are a second apart, but for a few milliseconds.
fn rounded(time: Duration) -> Duration {
    time + Duration::from_millis(500)
}

/// What became of them.
const fn fate(alarm: &Alarm) -> &'static str {
    match (alarm.subject, alarm.dropped, alarm.passed) {
        (Subject::HalfOpen, ..) => "",
        (Subject::Reason(_), _, 0) => ", dropped",
        (Subject::Reason(_), 0, _) => ", only counted",
        (Subject::Reason(_), ..) => ", not all of it dropped",
    }
}

const fn counted(subject: Subject) -> &'static str {
    match subject {
        Subject::Reason(_) => "segments",
        Subject::HalfOpen => "connections",
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use tcpguard_common::reason::Reason;

    use super::{super::Spread, *};

    fn alarm(subject: Subject, rate: u64, dropped: u64, passed: u64) -> Alarm {
        Alarm {
            subject,
            rate,
            peak: rate,
            dropped,
            passed,
            lasted: Duration::from_millis(1_999),
            spread: Spread::default(),
        }
    }

    #[test]
    fn it_says_what_how_fast_how_long_what_became_of_it_and_what_it_looks_like() {
        let said = |subject, rate, dropped, passed| {
            Notice::Raised(alarm(subject, rate, dropped, passed)).to_string()
        };
        let null = Subject::Reason(Reason::FlagsNull);
        assert_eq!(
            said(null, 400, 800, 0),
            "alarm: flags-null 400/s for 2s, dropped: looks like a NULL scan (nmap -sN)"
        );
        assert_eq!(
            said(null, 4_160, 0, 8_320),
            "alarm: flags-null 4 160/s for 2s, only counted: looks like a NULL flood"
        );
        assert_eq!(
            said(Subject::Reason(Reason::Denied), 60, 70, 50),
            "alarm: denied 60/s for 2s, not all of it dropped: looks like traffic of denied sources"
        );
        assert_eq!(
            said(Subject::HalfOpen, 5_000, 0, 10_000),
            "alarm: half-open 5 000/s for 2s: looks like a SYN flood"
        );
    }

    #[test]
    fn of_several_the_first_is_told_and_the_others_are_counted() {
        let first = alarm(Subject::HalfOpen, 5_000, 0, 10_000);
        let other = alarm(Subject::Reason(Reason::Denied), 60, 120, 0);
        assert_eq!(brief(&[]), None);
        assert_eq!(
            brief(slice::from_ref(&first)).as_deref(),
            Some("ALARM half-open 5 000/s: looks like a SYN flood")
        );
        assert_eq!(
            brief(&[first, other]).as_deref(),
            Some("ALARM half-open 5 000/s, and 1 more: looks like a SYN flood")
        );
    }

    #[test]
    fn its_end_says_how_much_it_was() {
        let over = Alarm {
            lasted: Duration::from_secs(72),
            rate: 0,
            peak: 4_160,
            ..alarm(Subject::Reason(Reason::NoConnection), 0, 250_000, 0)
        };
        assert_eq!(
            Notice::Over(over).to_string(),
            "alarm over: no-connection after 1m 12s: 250 000 segments, at most 4 160/s, like an ACK \
             flood"
        );
    }
}
