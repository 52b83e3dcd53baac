//! What came of it, and whether that is as it should be.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::Value;
use tcpguard_common::{flags::TcpFlags, reason::Reason};
use xtask::lab::{client::Requests, guard::dropped, path::Path, tally::Tally};

/// A scan of the demo.
pub(super) struct ScanKind {
    pub(super) name: &'static str,
    pub(super) flags: TcpFlags,
}

/// What the attacker sends, in the order of the tables.
pub(super) const SCANS: [ScanKind; 5] = [
    ScanKind {
        name: "NULL",
        flags: TcpFlags::NULL,
    },
    ScanKind {
        name: "FIN",
        flags: TcpFlags::FIN,
    },
    ScanKind {
        name: "XMAS",
        flags: TcpFlags::FIN.with(TcpFlags::PSH).with(TcpFlags::URG),
    },
    ScanKind {
        name: "SYN+FIN",
        flags: TcpFlags::SYN.with(TcpFlags::FIN),
    },
    ScanKind {
        name: "SYN+RST",
        flags: TcpFlags::SYN.with(TcpFlags::RST),
    },
];

/// A legal segment among them, which must arrive: else the witness is blind or the cable cut.
pub(super) const CONTROL: TcpFlags = TcpFlags::SYN.with(TcpFlags::ECE).with(TcpFlags::CWR);

/// Why it was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The time was up.
    Finished,
    /// A signal came, and all was brought to an end in order.
    Interrupted,
    /// The guard was gone before the attack was over, so nothing can be said.
    GuardLeft,
}

impl End {
    /// The name in JSON.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::GuardLeft => "guard-left",
        }
    }
}

/// Everything that was counted.
pub(super) struct Outcome {
    /// How long the attack went on.
    pub(super) took: Duration,
    pub(super) end: End,
    /// By path, in the order of [`Path::ALL`].
    pub(super) requests: Vec<(Path, Requests)>,
    /// What the attacker sent.
    pub(super) sent: Tally,
    /// What the witness saw behind the guard.
    pub(super) passed: Tally,
    /// The last words of the guard, if there was one.
    pub(super) guard: Option<Value>,
}

/// A row of a table: the attacker's count, the witness's, the guard's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) passed: u64,
    pub(super) dropped: u64,
}

impl Outcome {
    pub(super) fn made(&self) -> u64 {
        self.requests
            .iter()
            .map(|(_, requests)| requests.made)
            .sum()
    }

    pub(super) fn answered(&self) -> u64 {
        self.requests
            .iter()
            .map(|(_, requests)| requests.answered)
            .sum()
    }

    pub(super) fn slowest(&self) -> Duration {
        self.requests
            .iter()
            .map(|(_, requests)| requests.slowest)
            .max()
            .unwrap_or_default()
    }

    /// The counts of one flag set; what was dropped is what the guard says.
    pub(super) fn of_scan(&self, flags: TcpFlags) -> Counts {
        Counts {
            sent: self.sent.count(|of, _| of == flags),
            passed: self.passed.count(|of, _| of == flags),
            dropped: flags.offence().map_or(0, |reason| self.dropped_for(reason)),
        }
    }

    /// The counts of one path; a guard does not count by path, so the difference is what it dropped.
    pub(super) fn of_path(&self, path: Path) -> Counts {
        let illegal = |flags: TcpFlags, of: Path| of == path && !flags.is_legal();
        let (sent, passed) = (self.sent.count(illegal), self.passed.count(illegal));
        Counts {
            sent,
            passed,
            dropped: sent.saturating_sub(passed),
        }
    }

    /// All illegal segments; what was dropped is all that the guard dropped, for whatever reason.
    pub(super) fn of_all(&self) -> Counts {
        let dropped = Reason::ALL
            .into_iter()
            .map(|reason| self.dropped_for(reason))
            .sum();
        Counts {
            sent: self.sent.illegal(),
            passed: self.passed.illegal(),
            dropped,
        }
    }

    fn dropped_for(&self, reason: Reason) -> u64 {
        self.guard
            .as_ref()
            .map_or(0, |reading| dropped(reading, reason.as_str()))
    }

    /// An error unless everything is as it should be. What is not, the report has told.
    pub(super) fn judge(&self) -> Result<()> {
        let seconds = self.took.as_secs();
        ensure!(
            self.end != End::GuardLeft,
            "the guard ended after {seconds} s, before the attack did: nothing is judged"
        );
        ensure!(
            self.end != End::Interrupted,
            "interrupted after {seconds} s of the attack"
        );
        match self.findings().len() {
            0 => Ok(()),
            1 => bail!("one finding, told above"),
            findings => bail!("{findings} findings, told above"),
        }
    }

    /// Everything that is not as it should be, in words; without the guard, nothing should.
    pub(super) fn findings(&self) -> Vec<String> {
        if self.end == End::GuardLeft {
            return Vec::new();
        }
        let mut findings = self.harm();
        findings.extend(self.leaks());
        findings.extend(self.contradictions());
        findings
    }

    /// What happened to honest traffic.
    fn harm(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for (path, requests) in &self.requests {
            if requests.failed() > 0 {
                findings.push(format!(
                    "{} of {} legitimate requests by {} failed, the first because: {}",
                    requests.failed(),
                    requests.made,
                    path.as_str(),
                    requests.first_error.as_deref().unwrap_or("unknown"),
                ));
            }
            if requests.made == 0 {
                findings.push(format!("no legitimate request by {}", path.as_str()));
            }
        }
        let expected = Reason::ALL
            .into_iter()
            .filter(|reason| is_expected(*reason));
        let other = self.of_all().dropped - expected.map(|r| self.dropped_for(r)).sum::<u64>();
        if other > 0 {
            findings.push(format!(
                "tcpguard dropped {other} segments that nobody attacked with"
            ));
        }
        findings
    }

    /// What got past the guard.
    fn leaks(&self) -> Vec<String> {
        let passed = self.passed.illegal();
        let leak = format!(
            "{passed} of {} illegal segments passed",
            self.sent.illegal()
        );
        if passed > 0 { vec![leak] } else { Vec::new() }
    }

    /// Where attacker, witness and guard disagree.
    fn contradictions(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for path in Path::ALL {
            let control = |flags, of| flags == CONTROL && of == path;
            let (sent, passed) = (self.sent.count(control), self.passed.count(control));
            if sent != passed || sent == 0 {
                findings.push(format!(
                    "{passed} of {sent} legal SYNs by {} arrived, so the count is void",
                    path.as_str()
                ));
            }
        }
        for scan in SCANS {
            let Counts {
                sent,
                passed,
                dropped,
            } = self.of_scan(scan.flags);
            if passed + dropped != sent {
                findings.push(format!(
                    "{sent} {} segments were sent, but {passed} passed and {dropped} were dropped",
                    scan.name
                ));
            }
        }
        findings
    }
}

fn is_expected(reason: Reason) -> bool {
    SCANS
        .iter()
        .any(|scan| scan.flags.offence() == Some(reason))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each scan and the control once by each path, all of it dropped that should be.
    fn perfect() -> Outcome {
        let (mut sent, mut passed) = (Tally::default(), Tally::default());
        let mut reasons = json!({});
        for path in Path::ALL {
            sent.add(CONTROL, path);
            passed.add(CONTROL, path);
            for scan in SCANS {
                sent.add(scan.flags, path);
                let reason = scan.flags.offence().unwrap().as_str();
                reasons[reason] = json!({"dropped": Path::ALL.len()});
            }
        }
        let answered = Requests {
            made: 2,
            answered: 2,
            ..Requests::default()
        };
        Outcome {
            took: Duration::from_secs(1),
            end: End::Finished,
            requests: Path::ALL.map(|path| (path, answered.clone())).to_vec(),
            sent,
            passed,
            guard: Some(json!({"reasons": reasons})),
        }
    }

    fn finding(outcome: &Outcome) -> String {
        let findings = outcome.findings();
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings.concat()
    }

    #[test]
    fn perfect_outcome_has_no_findings() {
        assert_eq!(perfect().findings(), [""; 0]);
        assert!(perfect().judge().is_ok());
        assert_eq!(
            perfect().of_all(),
            Counts {
                sent: 30,
                passed: 0,
                dropped: 30
            }
        );
    }

    #[test]
    fn failed_request_is_a_finding() {
        let mut outcome = perfect();
        outcome.requests[3].1.made += 1;
        assert!(finding(&outcome).contains("1 of 3 legitimate requests by vlan-ipv6 failed"));
    }

    #[test]
    fn passed_segment_is_a_finding_though_counts_add_up() {
        let mut outcome = perfect();
        outcome.sent.add(TcpFlags::FIN, Path::Ipv6);
        outcome.passed.add(TcpFlags::FIN, Path::Ipv6);
        assert_eq!(finding(&outcome), "1 of 31 illegal segments passed");
    }

    #[test]
    fn lost_segment_is_a_finding() {
        let mut outcome = perfect();
        outcome.sent.add(TcpFlags::NULL, Path::Ipv4);
        assert!(finding(&outcome).contains("7 NULL segments were sent, but 0 passed and 6"));
    }

    #[test]
    fn blind_witness_is_a_finding() {
        let mut outcome = perfect();
        outcome.sent.add(CONTROL, Path::QinqIpv4);
        assert!(finding(&outcome).contains("1 of 2 legal SYNs by qinq-ipv4 arrived"));
    }

    #[test]
    fn other_drops_are_a_finding() {
        let mut outcome = perfect();
        if let Some(guard) = &mut outcome.guard {
            guard["reasons"]["no-connection"] = json!({"dropped": 2});
        }
        assert!(finding(&outcome).contains("dropped 2 segments that nobody attacked with"));
    }

    #[test]
    fn nothing_is_judged_without_the_guard_to_the_end() {
        let mut outcome = perfect();
        outcome.sent.add(TcpFlags::NULL, Path::Ipv4);
        outcome.end = End::GuardLeft;
        assert_eq!(outcome.findings(), [""; 0]);
        assert!(outcome.judge().is_err());
    }

    #[test]
    fn without_a_guard_nothing_adds_up() {
        let mut outcome = perfect();
        outcome.guard = None;
        assert_eq!(outcome.findings().len(), SCANS.len());
    }
}
