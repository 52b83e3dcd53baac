//! What sort of disagreement it is: the same cause gives the same class.

use std::fmt;

use tcpguard_common::{
    conn::{
        ruling::{Direction, Ruling},
        state::State,
    },
    flags::TcpFlags,
    reason::Reason,
};
use xtask::lab::conntrack::{CtState, Observed, entry::Tracked};

use super::{ours::Judged, peer::Who};

/// How far a connection has got, as far as both trackers mean the same by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// There is none, or it was reset.
    Closed,
    /// One or two SYNs.
    Opening,
    /// SYN and SYN+ACK.
    Answered,
    /// The handshake is complete.
    Open,
    /// A FIN. Whether it is acknowledged the kernel only guesses: any ACK will do.
    Closing,
}

impl Phase {
    pub(crate) const fn ours(state: Option<State>) -> Self {
        match state {
            None | Some(State::Closed) => Self::Closed,
            Some(State::SynSent | State::SynSent2) => Self::Opening,
            Some(State::SynReceived) => Self::Answered,
            Some(State::Established) => Self::Open,
            Some(State::FinWait | State::CloseWait | State::LastAck | State::TimeWait) => {
                Self::Closing
            }
        }
    }

    pub(crate) const fn kernels(entry: Option<Tracked>) -> Self {
        match entry {
            None | Some(Tracked::None | Tracked::Close) => Self::Closed,
            Some(Tracked::SynSent | Tracked::SynSent2) => Self::Opening,
            Some(Tracked::SynRecv) => Self::Answered,
            Some(Tracked::Established) => Self::Open,
            Some(Tracked::FinWait | Tracked::CloseWait | Tracked::LastAck | Tracked::TimeWait) => {
                Self::Closing
            }
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Opening => "opening",
            Self::Answered => "answered",
            Self::Open => "open",
            Self::Closing => "closing",
        }
    }
}

/// A disagreement about one segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class {
    pub(crate) who: Who,
    /// Our state before, with a question mark if its numbers are not anchored by a handshake.
    pub(crate) before: String,
    pub(crate) direction: &'static str,
    /// Flags without those that decide nothing.
    pub(crate) flags: String,
    /// Our verdict or reason, and the kernel's verdict; or, where both let it pass, the phases that
    /// they are in then.
    pub(crate) ours: &'static str,
    pub(crate) kernels: &'static str,
}

impl Class {
    /// Whether, and how, the two disagree.
    pub(crate) fn of(who: Who, ours: &Judged, kernels: Observed) -> Option<Self> {
        let verdict = ours.verdict;
        let passes = kernels.verdict != CtState::Invalid && kernels.verdict != CtState::Dropped;
        let phases = (Phase::ours(ours.after()), Phase::kernels(kernels.entry));
        let (say, says) = if verdict.is_drop() == passes {
            let say = if verdict.is_drop() {
                verdict.cause()
            } else {
                verdict.kind().as_str()
            };
            (say, kernels.verdict.as_str())
        } else if passes && phases.0 != phases.1 {
            (phases.0.as_str(), phases.1.as_str())
        } else {
            return None;
        };
        let telling = [
            TcpFlags::SYN,
            TcpFlags::FIN,
            TcpFlags::RST,
            TcpFlags::ACK,
            TcpFlags::URG,
        ];
        let mask = telling.into_iter().fold(TcpFlags::NULL, TcpFlags::with);
        Some(Self {
            who,
            before: ours.before().map_or_else(
                || "-".to_owned(),
                |state| state.as_str().to_owned() + if ours.loose { "?" } else { "" },
            ),
            direction: ours
                .ruling
                .and_then(Ruling::direction)
                .map_or("-", Direction::as_str),
            flags: TcpFlags::new(ours.segment.flags & mask.bits()).to_string(),
            ours: say,
            kernels: says,
        })
    }
}

impl Class {
    /// Whether we drop what a sane stack has sent, which no table explains.
    pub(crate) fn is_harm(&self) -> bool {
        self.who.is_sane() && Reason::from_name(self.ours).is_some()
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self.who {
            Who::Honest => "honest",
            Who::After => "after",
            Who::Forged => "forged",
            Who::Told => "told",
        };
        write!(
            f,
            "{who} {:13} {:5} {:2} {:18} {}",
            self.before, self.direction, self.flags, self.ours, self.kernels
        )
    }
}
