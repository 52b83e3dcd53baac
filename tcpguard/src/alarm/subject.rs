//! What an alarm can be about, and how it is counted.

use std::time::Duration;

use tcpguard_common::{
    abi::Hook,
    conn::state::State,
    counters::Events,
    reason::{Group, Reason},
    verdict::Verdict,
};

use super::{Step, suspects::Ends};
use crate::{
    sample::Sample,
    watch::turnover::{self, Transition},
};

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Arriving segments that are objected to for this reason.
    Reason(Reason),
    /// Connections that were begun by what arrives, and not established; a cookie that did not come back is one.
    HalfOpen,
}

/// The name of [`Subject::HalfOpen`], which is no reason: its segments are legal.
pub(super) const HALF_OPEN: &str = "half-open";

impl Subject {
    /// Every subject, in the order of the pipeline.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let reasons = Reason::ALL.into_iter().map(Self::Reason);
        reasons.chain([Self::HalfOpen])
    }

    /// The name that is the same everywhere.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Reason(reason) => reason.as_str(),
            Self::HalfOpen => HALF_OPEN,
        }
    }

    /// The group whose threshold holds for it as well.
    pub(super) const fn group(self) -> Option<Group> {
        match self {
            Self::Reason(reason) => Some(reason.group()),
            Self::HalfOpen => None,
        }
    }

    /// Who sent it to which ports, of all that was seen.
    pub(super) fn ends(self, seen: &[(Reason, Ends)]) -> Vec<Ends> {
        let of_it = seen.iter().filter(|(of, _)| Self::Reason(*of) == self);
        of_it.map(|(_, ends)| *ends).collect()
    }

    /// What was counted of it between two samples of the same guard.
    pub(super) fn step(self, earlier: &Sample, later: &Sample, elapsed: Duration) -> Step {
        let grown = |count: &dyn Fn(&Sample) -> u64| count(later).saturating_sub(count(earlier));
        match self {
            Self::Reason(reason) => Step {
                elapsed,
                dropped: grown(&|sample| arrived(sample, Verdict::dropped(reason))),
                passed: grown(&|sample| arrived(sample, Verdict::would_drop(reason))),
            },
            Self::HalfOpen => {
                let begun = grown(&|sample| begun(&sample.arrived));
                let established = grown(&|sample| established(&sample.arrived));
                Step {
                    elapsed,
                    dropped: 0,
                    passed: begun.saturating_sub(established),
                }
            }
        }
    }
}

/// Frames with this verdict at the ingress of all interfaces: of what leaves, nobody else is to blame.
fn arrived(sample: &Sample, verdict: Verdict) -> u64 {
    let interfaces = sample.interfaces.iter();
    let counters = interfaces.map(|interface| &interface.counters[Hook::Ingress as usize]);
    counters.map(|it| it.tally(verdict).packets).sum()
}

/// Connections that somebody wanted to open, those that were answered with a cookie included.
fn begun(events: &Events) -> u64 {
    turnover::entered(events, State::SynSent) + events.cookies_sent
}

/// Connections whose handshake was completed. By what arrives, those are the ones that it has begun: what this
/// host begins it completes itself.
fn established(events: &Events) -> u64 {
    let completes = |it: &Transition| is_half_open(it.before) && is_whole(it.after);
    let established = turnover::transitions(events).filter(completes);
    established.map(|it| it.count).sum::<u64>() + events.cookies_proved
}

const fn is_half_open(state: Option<State>) -> bool {
    matches!(
        state,
        Some(State::SynSent | State::SynSent2 | State::SynReceived)
    )
}

const fn is_whole(state: Option<State>) -> bool {
    !is_half_open(state) && !matches!(state, None | Some(State::Closed))
}
