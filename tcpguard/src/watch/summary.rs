//! What a guard did, told once: at its end, or to who asks.

use tcpguard_common::verdict::{Bypass, Verdict};

use super::{
    census,
    grid::Grid,
    number,
    reading::Reading,
    tables::{self, Detail},
    tone::Palette,
    turnover::{ended, opened},
};

/// Where no screen limits it: wide enough for every meaning.
pub(super) const WIDTH: usize = 140;

/// Several lines, the last one ended: what was guarded for how long, then the tables of totals.
pub(super) fn summary(reading: &Reading, width: usize) -> String {
    let title = if reading.sample.enforcing {
        title(reading, "guarded", "")
    } else {
        title(reading, "observed", "; nothing was dropped")
    };
    format!("\n{}\n", sections(reading, title, width).join("\n\n"))
}

/// The same of a guard that goes on.
pub(super) fn so_far(reading: &Reading, width: usize) -> String {
    let title = if reading.sample.enforcing {
        title(reading, "has guarded", "")
    } else {
        title(reading, "has observed", "; nothing is dropped")
    };
    format!("{}\n", sections(reading, title, width).join("\n\n"))
}

fn sections(reading: &Reading, title: String, width: usize) -> Vec<String> {
    let table = |grid: Grid| {
        let lines = grid.lines(width, Palette::Plain);
        let lines = lines
            .iter()
            .map(|line| line.to_string().trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    };
    let sections = [
        Some(title),
        Some(table(tables::interfaces(reading, Detail::SUMMARY))),
        Some(table(tables::verdicts(reading, Detail::SUMMARY))),
        Some(tables::states(reading).map_or("No connection was seen.".into(), table)),
        connections(reading),
        Some(
            tables::reasons(reading, Detail::SUMMARY)
                .map_or("Nothing was objected to.".into(), table),
        ),
        bypasses(reading),
    ];
    sections.into_iter().flatten().collect()
}

fn title(reading: &Reading, verb: &str, remark: &str) -> String {
    let sample = &reading.sample;
    let names: Vec<_> = sample
        .interfaces
        .iter()
        .map(|interface| &*interface.name)
        .collect();
    let (names, uptime) = (names.join(", "), number::uptime(sample.uptime));
    format!("tcpguard {verb} {names} for {uptime}{remark}")
}

/// In one line: what came and went, and whether all of it was followed.
fn connections(reading: &Reading) -> Option<String> {
    let (tables, events) = (&reading.sample.tables, &reading.sample.events);
    let counts = [opened(events), ended(events), tables.entries()];
    let [new, ended, left] = counts.map(number::grouped);
    let share = number::share(tables.fuller(), tables.limit.into());
    let mut text =
        format!("Connections: {new} new, {ended} ended, {left} left; the table is {share} full");
    let trouble = census::trouble(events);
    if !trouble.is_empty() {
        text = format!("{text}; {trouble}");
    }
    let seen = counts.iter().any(|count| *count > 0) || !trouble.is_empty();
    seen.then_some(text)
}

/// In one line, because there is seldom more to it than ARP and UDP.
fn bypasses(reading: &Reading) -> Option<String> {
    let packets = |cause| reading.total.tally(Verdict::bypass(cause)).packets;
    let causes = Bypass::ALL.map(|cause| (cause.as_str(), packets(cause)));
    let seen = causes.iter().filter(|(_, packets)| *packets > 0);
    let seen: Vec<_> = seen
        .map(|(cause, packets)| format!("{cause} {}", number::grouped(*packets)))
        .collect();
    (!seen.is_empty()).then(|| format!("Passed unjudged: {}", seen.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{super::specimen, *};

    const EXPECTED: &str = "
tcpguard guarded eth0, lo for 2m 05s

Interface     ingress     egress           received            dropped               sent
eth0          native      tcx             7 573 008             38 643          4 812 336
lo            generic     none               12 345                  0                  -

Verdict               packets      share      bytes
accept             12 354 678     99.7 %     11.0 G
ignore                      0        0 %        0
drop                   38 643      0.3 %     2.33 M
bypass                  4 365     <0.1 %      522 k
would drop                  3     <0.1 %      180
total              12 397 689      100 %     11.0 G

State                       now            entered
SYN-SENT                     12              1 200
SYN-RECEIVED                  3              1 180
ESTABLISHED               1 108              1 180
FIN-WAIT                      4                 80
CLOSE-WAIT                    2                 75
LAST-ACK                      3                 73
TIME-WAIT                    64                 70
CLOSED                        0                  2

Connections: 1 203 new, 72 ended, 1 196 left; the table is 0.5 % full; adopted 3

Reason                      dropped       would drop   meaning
flags-null                   34 567                0   None of SYN, FIN, RST, ACK and URG is set: a NULL scan
flags-xmas                    4 064                0   FIN and URG without ACK, with or without PSH: a Christmas-tree scan
flags-syn-fin                    12                0   SYN and FIN together: open and close at once
bad-length                        0                3   The IP length is shorter than the headers or longer than the frame

Passed unjudged: not-ip 42, not-tcp 4 321, fragment 2
";

    #[test]
    fn it_tells_totals_and_what_they_mean() {
        assert_eq!(summary(&specimen::reading(), WIDTH), EXPECTED);
    }

    #[test]
    fn who_asks_is_told_the_same_of_a_guard_that_goes_on() {
        let expected = EXPECTED.trim_start().replace("guarded", "has guarded");
        assert_eq!(so_far(&specimen::reading(), WIDTH), expected);
    }

    #[test]
    fn a_guard_that_had_nothing_to_do_says_so() {
        let mut sample = specimen::empty(&["eth0"]);
        sample.enforcing = false;
        let text = summary(&Reading::first(sample), WIDTH);
        assert!(text.starts_with("\ntcpguard observed eth0 for 0s; nothing was dropped\n"));
        assert!(text.ends_with("\nNothing was objected to.\n"), "{text}");
    }
}
