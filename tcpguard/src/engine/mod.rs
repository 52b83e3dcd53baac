//! Who decides about a frame that lies in memory: the core in this process, or the very bytecode in
//! the kernel.
//!
//! Both engines are asked the same question and must give the same answer; the tests hold every
//! vector and many random frames against both.

pub mod host;
pub mod kernel;
pub mod states;

use std::time::Duration;

use anyhow::Result;
use tcpguard_common::{
    abi::Adjudication,
    conn::time::{SECOND, Ticks},
    counters::{Counters, Events},
    cursor::SliceCursor,
    parse::Link,
    policy::Policy,
};

use self::states::States;
use crate::cli::{EngineKind, Pickup};

/// Octets of a large frame that an engine can read: what the first buffer of `BPF_PROG_TEST_RUN`
/// holds, a page of 4096 octets less headroom and buffer descriptor. Drivers show no more of a frame
/// in several buffers, and their programs find the rest of such a chain of headers unreadable.
pub const FIRST_BUFFER: usize = 3520;

/// A frame of a capture or a test.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What it begins with.
    pub link: Link,
    /// What is there of it.
    pub octets: &'a [u8],
    /// Its length on the wire: more than `octets` if a capture cut it.
    pub wire_len: u32,
    /// When it was seen.
    pub now: Ticks,
}

impl<'a> Frame<'a> {
    /// A frame that is there to its last octet.
    #[must_use]
    pub fn whole(link: Link, octets: &'a [u8]) -> Self {
        Self::captured(link, octets, 0)
    }

    /// A frame that had `wire_len` octets on the wire, of which a capture may have kept fewer.
    #[must_use]
    pub fn captured(link: Link, octets: &'a [u8], wire_len: u32) -> Self {
        let there = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        Self {
            link,
            octets,
            wire_len: wire_len.max(there),
            now: Ticks(0),
        }
    }

    /// The same frame, seen at this time since some start.
    #[must_use]
    pub const fn at(self, time: Duration) -> Self {
        let quarters = time.subsec_millis() as u64 / (1000 / SECOND as u64);
        #[expect(clippy::cast_possible_truncation, reason = "ticks wrap")]
        let now = Ticks((time.as_secs().wrapping_mul(SECOND as u64) + quarters) as u32);
        Self { now, ..self }
    }

    /// Whether a capture kept only its beginning.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        (self.octets.len() as u64) < u64::from(self.wire_len)
    }

    /// The frame as the parser reads it.
    #[must_use]
    pub fn cursor(&self) -> SliceCursor<'a> {
        let readable = self.octets.get(..FIRST_BUFFER).unwrap_or(self.octets);
        SliceCursor::captured(readable, self.wire_len)
    }
}

/// Decides about frames, one after the other, and counts them.
pub trait Engine {
    /// Decides about one frame.
    fn adjudicate(&mut self, frame: &Frame<'_>) -> Result<Adjudication>;

    /// Everything that was counted since the engine was made.
    fn counters(&self) -> Result<Counters>;

    /// What happened to connections since then.
    fn events(&self) -> Result<Events>;

    /// The connections that are remembered when the last frame was seen.
    fn states(&self) -> Result<States>;
}

/// What an engine holds a segment against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What is enforced.
    pub policy: Policy,
    /// Whether connections are tracked, and how it takes those of which it has not seen the
    /// beginning; `None` judges by what stands in a segment alone.
    pub tracking: Option<Pickup>,
}

impl Rules {
    /// Judges each segment by itself.
    #[must_use]
    pub const fn stateless(policy: Policy) -> Self {
        Self {
            policy,
            tracking: None,
        }
    }

    /// Judges segments by their connections.
    #[must_use]
    pub const fn tracking(policy: Policy, pickup: Pickup) -> Self {
        Self {
            policy,
            tracking: Some(pickup),
        }
    }
}

/// Connections that a replay has room for, of IPv4 and of IPv6 each.
pub const CONNECTIONS: u32 = 1 << 17;

/// The engine of this kind. The kernel's is loaded with the first frame that needs it.
#[must_use]
pub fn engine(kind: EngineKind, rules: Rules) -> Box<dyn Engine> {
    match kind {
        EngineKind::Host => Box::new(host::HostEngine::new(rules)),
        EngineKind::Kernel => Box::new(kernel::KernelEngine::new(rules)),
    }
}
