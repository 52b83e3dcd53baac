//! The core in this process: needs no privilege.

use anyhow::Result;
use tcpguard_common::{abi::Adjudication, counters::Counters, judge::judge, policy::Policy};

use super::{Engine, Frame};

/// Decides with the core that is linked into this binary.
#[derive(Clone, Debug)]
pub struct HostEngine {
    policy: Policy,
    counters: Counters,
}

impl HostEngine {
    /// An engine that enforces `policy`.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self {
            policy,
            counters: Counters::ZERO,
        }
    }

    /// Decides and counts, which does not fail here.
    pub(super) fn decide(&mut self, frame: &Frame<'_>) -> Adjudication {
        let outcome = judge(&mut frame.cursor(), frame.link).under(&self.policy);
        self.counters.count(&outcome, frame.wire_len);
        Adjudication::new(outcome.verdict, outcome.segment.as_ref())
    }

    /// Everything that was counted.
    pub(super) const fn counted(&self) -> &Counters {
        &self.counters
    }
}

impl Engine for HostEngine {
    fn adjudicate(&mut self, frame: &Frame<'_>) -> Result<Adjudication> {
        Ok(self.decide(frame))
    }

    fn counters(&self) -> Result<Counters> {
        Ok(self.counters)
    }
}
