//! The outcome for people and for programs.

use std::{fmt::Display, time::Duration};

use serde_json::{Value, json};
use tcpguard_common::reason::Reason;
use xtask::lab::path::Path;

use super::outcome::{CONTROL, Counts, Outcome, SCANS};

/// Two tables and a verdict: no line beyond 80 columns, and all of it fits 24 lines.
pub(super) fn text(outcome: &Outcome) -> String {
    let mut lines = vec![
        format!("{:>46}   {:>30}", "legitimate requests", "illegal segments"),
        line(
            "path",
            ["made", "answered", "failed"].map(String::from),
            HEADS,
        ),
    ];
    for (path, requests) in &outcome.requests {
        let asked = [requests.made, requests.answered, requests.failed()];
        lines.push(line(
            path_name(*path),
            asked.map(number),
            cells(outcome.of_path(*path)),
        ));
    }
    let (made, answered) = (outcome.made(), outcome.answered());
    let asked = [made, answered, made - answered];
    lines.push(line("all", asked.map(number), cells(outcome.of_all())));
    lines.push(String::new());
    lines.push(scan_line("scan", "reason", HEADS));
    for scan in SCANS {
        let reason = scan.flags.offence().map_or("", Reason::as_str);
        lines.push(scan_line(
            scan.name,
            reason,
            cells(outcome.of_scan(scan.flags)),
        ));
    }
    lines.push(scan_line(
        "SYN with ECN",
        "legal: must pass",
        cells(outcome.of_scan(CONTROL)),
    ));
    lines.push(String::new());
    lines.push(verdict(outcome));
    lines.join("\n") + "\n"
}

const HEADS: [&str; 3] = ["sent", "dropped", "passed"];

fn line(name: &str, asked: [String; 3], counts: [impl Display; 3]) -> String {
    let [made, answered, failed] = asked;
    let [sent, dropped, passed] = counts;
    format!("{name:16}{made:>10}{answered:>10}{failed:>10}   {sent:>10}{dropped:>10}{passed:>10}")
}

fn scan_line(name: &str, reason: &str, counts: [impl Display; 3]) -> String {
    let [sent, dropped, passed] = counts;
    format!("{name:16}{reason:33}{sent:>10}{dropped:>10}{passed:>10}")
}

fn cells(counts: Counts) -> [String; 3] {
    [counts.sent, counts.dropped, counts.passed].map(number)
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

fn verdict(outcome: &Outcome) -> String {
    let findings = outcome.findings();
    if findings.is_empty() {
        format!(
            "Every request was answered (the slowest in {} ms), every illegal segment was\n\
             dropped, and the counts of attacker, witness and guard agree exactly.",
            outcome.slowest().as_millis()
        )
    } else {
        findings
            .iter()
            .map(|finding| format!("- {finding}"))
            .collect::<Vec<_>>()
            .join("\n")
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
        "ok": findings.is_empty(),
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
