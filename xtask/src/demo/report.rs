//! The outcome for people and for programs.

use std::{
    env,
    io::{self, IsTerminal},
    time::Duration,
};

use serde_json::{Value, json};
use tcpguard_common::reason::Reason;
use xtask::lab::path::Path;

use super::outcome::{CONTROL, Counts, Outcome, SCANS};

/// Whether the text has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Colored,
}

/// How a part of the text looks where there are colours.
const BOLD: &str = "1";
const GOOD: &str = "1;32";
const BAD: &str = "1;31";

impl Paint {
    /// As a terminal wants it, and <https://no-color.org>.
    pub(super) fn of_stdout() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if io::stdout().is_terminal() && !unwanted {
            Self::Colored
        } else {
            Self::Plain
        }
    }

    fn paint(self, look: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colored => format!("\x1b[{look}m{text}\x1b[0m"),
        }
    }

    /// A count that should be zero.
    fn bad(self, count: u64) -> String {
        let cell = cell(count);
        if count == 0 {
            cell
        } else {
            self.paint(BAD, &cell)
        }
    }

    fn illegal(self, counts: Counts) -> String {
        cell(counts.sent) + &cell(counts.dropped) + &self.bad(counts.passed)
    }
}

/// Two tables and a verdict: no line beyond 80 columns, and all of it fits 24 lines.
pub(super) fn text(outcome: &Outcome, paint: Paint) -> String {
    let mut lines = vec![String::new()];
    lines.extend(path_table(outcome, paint));
    lines.push(String::new());
    lines.extend(scan_table(outcome, paint));
    lines.push(String::new());
    lines.push(verdict(outcome, paint));
    lines.join("\n") + "\n"
}

/// Who came how far on which path.
fn path_table(outcome: &Outcome, paint: Paint) -> Vec<String> {
    let above = format!("{:>46}   {:>30}", "legitimate requests", "illegal segments");
    let heads = ["made", "answered", "failed"].map(head).concat();
    let heads = format!("{:16}{heads}   {}", "path", COUNTS.map(head).concat());
    let mut lines = vec![above, paint.paint(BOLD, &heads)];
    let mut row = |name: &str, made: u64, answered: u64, counts: Counts| {
        let asked = cell(made) + &cell(answered) + &paint.bad(made - answered);
        lines.push(format!("{name:16}{asked}   {}", paint.illegal(counts)));
    };
    for (path, requests) in &outcome.requests {
        row(
            path_name(*path),
            requests.made,
            requests.answered,
            outcome.of_path(*path),
        );
    }
    row("all", outcome.made(), outcome.answered(), outcome.of_all());
    lines
}

/// What became of which scan.
fn scan_table(outcome: &Outcome, paint: Paint) -> Vec<String> {
    let heads = format!("{:16}{:33}{}", "scan", "reason", COUNTS.map(head).concat());
    let mut lines = vec![paint.paint(BOLD, &heads)];
    for scan in SCANS {
        let reason = scan.flags.offence().map_or("", Reason::as_str);
        let counts = paint.illegal(outcome.of_scan(scan.flags));
        lines.push(format!("{:16}{reason:33}{counts}", scan.name));
    }
    let Counts {
        sent,
        dropped,
        passed,
    } = outcome.of_scan(CONTROL);
    let counts = cell(sent) + &cell(dropped) + &cell(passed);
    lines.push(format!(
        "{:16}{:33}{counts}",
        "SYN with ECN", "legal: must pass"
    ));
    lines
}

const COUNTS: [&str; 3] = ["sent", "dropped", "passed"];

/// A count, in its column.
fn cell(count: u64) -> String {
    format!("{:>10}", number(count))
}

fn head(name: &str) -> String {
    format!("{name:>10}")
}

fn path_name(path: Path) -> &'static str {
    match path {
        Path::Ipv4 => "IPv4",
        Path::Ipv6 => "IPv6",
        Path::VlanIpv4 => "IPv4 in VLAN",
        Path::VlanIpv6 => "IPv6 in VLAN",
        Path::QinqIpv4 => "IPv4 in QinQ",
        Path::QinqIpv6 => "IPv6 in QinQ",
    }
}

fn verdict(outcome: &Outcome, paint: Paint) -> String {
    let findings = outcome.findings();
    if findings.is_empty() {
        let slowest = outcome.slowest().as_millis();
        let good = [
            format!(
                "Every request was answered (the slowest in {slowest} ms), every illegal segment was"
            ),
            "dropped, and the counts of attacker, witness and guard agree exactly.".to_owned(),
        ];
        good.map(|line| paint.paint(GOOD, &line)).join("\n")
    } else {
        let bad = findings
            .iter()
            .map(|finding| paint.paint(BAD, &format!("- {finding}")));
        bad.collect::<Vec<_>>().join("\n")
    }
}

/// With a space between thousands.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// One object in one line.
pub(super) fn json(outcome: &Outcome) -> String {
    let findings = outcome.findings();
    let paths = Path::ALL.map(|path| (path.as_str().to_owned(), counts(outcome.of_path(path))));
    let scans = SCANS.map(|scan| {
        let reason = scan.flags.offence().map_or("", Reason::as_str);
        (reason.to_owned(), counts(outcome.of_scan(scan.flags)))
    });
    let mut illegal = counts(outcome.of_all());
    illegal["reasons"] = object(scans);
    illegal["paths"] = object(paths);
    let control = outcome.of_scan(CONTROL);
    let object = json!({
        "ok": outcome.judge().is_ok(),
        "end": outcome.end.as_str(),
        "seconds": outcome.took.as_secs_f64(),
        "findings": findings,
        "requests": requests(outcome),
        "illegal": illegal,
        "control": {"flags": CONTROL.to_string(), "sent": control.sent, "passed": control.passed},
    });
    format!("{object}\n")
}

fn requests(outcome: &Outcome) -> Value {
    let paths = outcome.requests.iter().map(|(path, requests)| {
        let counts = json!({"made": requests.made, "answered": requests.answered,
            "failed": requests.failed(), "slowest_ms": milliseconds(requests.slowest)});
        (path.as_str().to_owned(), counts)
    });
    let (made, answered) = (outcome.made(), outcome.answered());
    json!({"made": made, "answered": answered, "failed": made - answered,
        "paths": object(paths)})
}

fn counts(counts: Counts) -> Value {
    json!({"sent": counts.sent, "dropped": counts.dropped, "passed": counts.passed})
}

fn object(pairs: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(pairs.into_iter().collect())
}

/// To the microsecond.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
