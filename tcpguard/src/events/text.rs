//! Events as lines for people.

use std::fmt::Write as _;

use tcpguard_common::{abi::Hook, conn::state::State};

use crate::{
    evidence::archive::{Place, Sighting},
    replay::output::NONE,
    watch::number,
};

/// Ends of IPv4 with short numbers; longer ones push the rest of their line aside.
const ENDS: usize = 41;
const TIME: usize = "2026-01-02T03:04:05.678Z".len();

/// What stands above the columns.
pub(super) fn head() -> String {
    let (ends, state) = ("source > destination", "state");
    format!(
        "{:<TIME$}  {:<8} way  {ends:<ENDS$} {:<5} {:>10} {:>10} {:>5}  {state:<12} verdict\n",
        "time", "iface", "flags", "seq", "ack", "len"
    )
}

/// A frame.
pub(super) fn line(place: &Place, sighting: &Sighting) -> String {
    let exhibit = &sighting.exhibit;
    let time = humantime::format_rfc3339_millis(exhibit.time);
    let state = sighting.state().map_or(NONE, State::as_str);
    let (ends, flags, [seq, ack, len]) = match &sighting.segment {
        Some(segment) => {
            let [source, destination] = segment.ends();
            let numbers = [segment.seq.0, segment.ack.0, segment.payload_len];
            (
                format!("{source} > {destination}"),
                segment.flags.to_string(),
                numbers.map(|number| number.to_string()),
            )
        }
        None => (NONE.into(), NONE.into(), [NONE; 3].map(str::to_owned)),
    };
    let mut line = format!(
        "{time}  {:<8} {}  {ends:<ENDS$} {flags:<5} {seq:>10} {ack:>10} {len:>5}  {state:<12} {}",
        place.name,
        way(exhibit.hook),
        verdict(sighting),
    );
    if exhibit.skipped > 0 {
        // A String takes everything.
        let _ = write!(line, ", after {} alike", number::grouped(exhibit.skipped));
    }
    line
}

/// Verdict and reason: `drop flags-null`.
pub(crate) fn verdict(sighting: &Sighting) -> String {
    let verdict = sighting.exhibit.verdict;
    let kind = verdict.kind().as_str().replace('_', " ");
    format!("{kind} {}", verdict.cause())
}

const fn way(hook: Hook) -> &'static str {
    match hook {
        Hook::Ingress => "in ",
        Hook::Egress => "out",
    }
}

#[cfg(test)]
mod tests {
    use super::{super::specimen, *};

    #[test]
    fn a_line_stands_below_its_head() {
        let (place, sighting) = specimen::sighting(120);
        assert_eq!(
            head() + &line(&place, &sighting),
            "time                      iface    way  source > destination                      \
             flags        seq        ack   len  state        verdict\n\
             2025-11-22T12:03:04.250Z  eth0     in   192.0.2.1:40000 > 192.0.2.2:80            \
             -           1000          0     0  -            drop flags-null, after 120 alike"
        );
    }

    #[test]
    fn what_has_no_whole_header_has_no_numbers() {
        let (place, mut sighting) = specimen::sighting(0);
        sighting.segment = None;
        let told = line(&place, &sighting);
        assert!(told.contains("eth0     in   -   "), "{told}");
        assert!(told.ends_with("  drop flags-null"), "{told}");
    }
}
