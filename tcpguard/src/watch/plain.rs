//! Readings as lines for people and logs.

use std::{fmt::Write as _, time::Duration};

use tcpguard_common::{abi::Hook, verdict::VerdictKind};

use super::{
    VERSION, number,
    objection::{Objection, objections},
    reading::{Pace, Rate, Reading, passed},
    turnover::{ended, opened},
};
use crate::sample::{Egress, InterfaceSample, Sample};

/// Reasons that are named on a line; of further ones only the number is told.
const NAMED: usize = 5;
/// Rates up to 99 999 do not move what stands behind them.
const RATE: usize = 8;

/// What is guarded, and how.
pub(super) fn header(sample: &Sample, interval: Duration) -> String {
    let interfaces: Vec<_> = sample.interfaces.iter().map(place).collect();
    let mode = if sample.enforcing {
        "enforcing"
    } else {
        "observing, nothing is dropped"
    };
    format!(
        "tcpguard {VERSION} on {}: {mode}; a line every {}",
        interfaces.join(", "),
        humantime::format_duration(interval),
    )
}

/// What happened in an interval. What came in and went out is what passed and was dropped, so that
/// each line can be checked by itself.
pub(super) fn line(reading: &Reading) -> String {
    let seen = objections(reading);
    let dropped = reading.overall(|counters| counters.total(VerdictKind::Drop));
    let would_drop = reading.overall(|counters| counters.total(VerdictKind::WouldDrop));
    let mut line = format!(
        "{} +{} {}  in {:>RATE$}  out {:>RATE$}  pass {:>RATE$}  drop {:>RATE$}{}",
        number::clock(reading.sample.taken),
        number::uptime(reading.sample.uptime),
        names(&reading.sample.interfaces),
        per_second(reading.at(Hook::Ingress)),
        per_second(reading.at(Hook::Egress)),
        per_second(reading.overall(passed)),
        per_second(dropped),
        causes(&seen, |objection| objection.dropped),
    );
    if would_drop.packets > Rate::Zero || !reading.sample.enforcing {
        let causes = causes(&seen, |objection| objection.would_drop);
        // A String takes everything.
        let _ = write!(
            line,
            "  would drop {:>RATE$}{causes}",
            per_second(would_drop)
        );
    }
    line.push_str(&connections(reading));
    line
}

/// How many connections there are, and what happened to them in the interval.
fn connections(reading: &Reading) -> String {
    let tables = &reading.sample.tables;
    let mut text = format!(
        "  conns {:>RATE$}  new {:>RATE$}  ended {:>RATE$}",
        number::grouped(tables.entries()),
        each_second(reading.growth(opened)),
        each_second(reading.growth(ended)),
    );
    if tables.fuller() > 0 {
        let share = number::share(tables.fuller(), tables.limit.into());
        // A String takes everything.
        let _ = write!(text, "  table {share}");
    }
    let troubles = [
        ("adopted", reading.growth(|events| events.adopted)),
        ("resync", reading.growth(|events| events.resync)),
        ("table-full", reading.growth(|events| events.table_full)),
        ("cookies", reading.growth(|events| events.cookies_sent)),
    ];
    for (name, rate) in troubles {
        if rate > Rate::Zero {
            let _ = write!(text, "  {name} {}", each_second(rate));
        }
    }
    text
}

fn place(interface: &InterfaceSample) -> String {
    let egress = match interface.egress {
        Egress::None | Egress::Unseen => "no egress".to_owned(),
        Egress::Tcx | Egress::Clsact => format!("egress {}", interface.egress.as_str()),
    };
    format!(
        "{} ({}, {egress})",
        interface.name,
        interface.ingress.as_str()
    )
}

fn names(interfaces: &[InterfaceSample]) -> String {
    match interfaces {
        [only] => only.name.clone(),
        [first, second] => format!("{}+{}", first.name, second.name),
        many => format!("{} interfaces", many.len()),
    }
}

fn per_second(pace: Pace) -> String {
    each_second(pace.packets)
}

fn each_second(rate: Rate) -> String {
    format!("{}/s", number::rate(rate, usize::MAX))
}

/// The reasons of what happened in this interval: ` (flags-null 30/s, flags-xmas 4/s)`.
fn causes(seen: &[Objection], pace: impl Fn(&Objection) -> Pace) -> String {
    let active = seen
        .iter()
        .filter(|objection| pace(objection).packets > Rate::Zero);
    let mut causes: Vec<_> = active
        .map(|objection| format!("{} {}", objection.reason, per_second(pace(objection))))
        .collect();
    if causes.is_empty() {
        return String::new();
    }
    let further = causes.len().saturating_sub(NAMED);
    causes.truncate(NAMED);
    if further > 0 {
        causes.push(format!("{further} more"));
    }
    format!(" ({})", causes.join(", "))
}

#[cfg(test)]
mod tests {
    use tcpguard_common::{reason::Reason, verdict::Verdict};

    use super::{super::specimen, *};

    #[test]
    fn the_header_says_what_is_guarded_and_how() {
        let mut sample = specimen::sample();
        assert_eq!(
            header(&sample, Duration::from_secs(1)),
            "tcpguard 0.1.0 on eth0 (native, egress tcx), lo (generic, no egress): enforcing; \
             a line every 1s"
        );
        sample.enforcing = false;
        assert!(
            header(&sample, Duration::from_millis(500))
                .ends_with("observing, nothing is dropped; a line every 500ms")
        );
    }

    #[test]
    fn a_line_adds_up_and_names_the_reasons() {
        assert_eq!(
            line(&specimen::reading()),
            "12:03:04Z +2m 05s eth0+lo  in  1 241/s  out    980/s  pass  2 187/s  drop     34/s \
             (flags-null 30/s, flags-xmas 4/s)  conns    1 196  new     12/s  ended     10/s  \
             table 0.5 %"
        );
    }

    #[test]
    fn a_quiet_interval_is_short() {
        let reading = Reading::first(specimen::empty(&["a", "b", "c"]));
        assert_eq!(
            line(&reading),
            "12:03:04Z +0s 3 interfaces  in      0/s  out      0/s  pass      0/s  drop      0/s  \
             conns        0  new      0/s  ended      0/s"
        );
    }

    #[test]
    fn what_the_tracker_was_not_sure_of_is_told_when_it_happens() {
        let mut reading = Reading::first(specimen::empty(&["eth0"]));
        let mut sample = specimen::empty(&["eth0"]);
        sample.uptime = Duration::from_secs(2);
        sample.events.adopted = 8;
        sample.events.table_full = 2;
        reading.advance(sample.clone());
        let told = line(&reading);
        assert!(told.ends_with("  adopted 4/s  table-full 1/s"), "{told}");
        reading.advance(sample);
        assert!(!line(&reading).contains("adopted"), "not in this interval");
    }

    #[test]
    fn observing_tells_what_would_be_dropped_and_many_reasons_are_counted() {
        let mut sample = specimen::empty(&["eth0"]);
        sample.enforcing = false;
        let mut reading = Reading::first(sample.clone());
        sample.uptime = Duration::from_secs(1);
        for (reason, packets) in Reason::ALL.into_iter().zip(1..=7) {
            let verdict = Verdict::would_drop(reason);
            specimen::count(&mut sample, 0, Hook::Ingress, verdict, packets, 0);
        }
        reading.advance(sample);
        assert_eq!(
            line(&reading),
            "12:03:04Z +1s eth0  in     28/s  out      0/s  pass     28/s  drop      0/s  \
             would drop     28/s (flags-syn-fin 7/s, flags-null 6/s, port-zero 5/s, \
             tiny-fragment 4/s, bad-length 3/s, 2 more)  conns        0  new      0/s  ended      0/s"
        );
    }
}
