//! What is printed of a replay: a line a frame and a summary, for people or for programs.

mod json;
mod text;

use std::{
    fmt,
    io::{self, Write},
    net::SocketAddr,
    time::Duration,
};

use tcpguard_common::{
    abi::Adjudication,
    conn::{
        ruling::{Direction, Ruling},
        state::State,
    },
    counters::{Counters, Events},
    flags::TcpFlags,
    parse::parse,
    segment::Segment,
    verdict::{Verdict, VerdictKind},
};

pub(crate) use self::{
    json::FrameObject,
    text::{fate, since},
};
pub use self::{json::Json, text::Text};
use crate::engine::{Frame, states::States};

/// Stands where there is nothing to say.
pub(crate) const NONE: &str = "-";

/// Prints a replay.
pub trait Output {
    /// Prints what was decided about one frame.
    fn line(&mut self, line: &Line) -> io::Result<()>;

    /// Prints what it all came to.
    fn summary(&mut self, summary: &Summary) -> io::Result<()>;

    /// Hands everything that was printed on.
    fn flush(&mut self) -> io::Result<()>;
}

/// What was decided about one frame.
#[derive(Clone, Copy)]
pub struct Line {
    /// Number in the file, from 1.
    pub frame: u64,
    /// When it was seen, since 1970.
    pub time: Duration,
    /// Its fate.
    pub verdict: Verdict,
    /// What the tracker decided; `None` if it was not asked.
    pub ruling: Option<Ruling>,
    /// `None` if it gave no segment.
    pub segment: Option<SegmentLine>,
}

impl Line {
    /// Which direction of its connection the segment goes.
    pub(crate) fn direction(&self) -> &'static str {
        let direction = self.ruling.and_then(Ruling::direction);
        direction.map_or(NONE, Direction::as_str)
    }

    /// The connection's state before the frame.
    pub(crate) fn before(&self) -> &'static str {
        let state = self.ruling.and_then(Ruling::before);
        state.map_or(NONE, State::as_str)
    }

    /// The connection's state after the frame.
    pub(crate) fn after(&self) -> &'static str {
        let state = self.ruling.and_then(Ruling::after);
        state.map_or(NONE, State::as_str)
    }

    /// What is particular about how the tracker came to its decision.
    pub(crate) fn remark(&self) -> Option<&'static str> {
        let ruling = self.ruling?;
        if ruling.is_adopted() {
            Some("adopted")
        } else if ruling.is_resync() {
            Some("resync")
        } else if ruling.is_table_full() {
            Some("table full")
        } else {
            None
        }
    }
}

/// What a replay came to.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// What the engine has counted of frames.
    pub counters: Counters,
    /// What it has counted of connections.
    pub events: Events,
    /// The connections at the end.
    pub states: States,
}

/// What is printed of a segment.
#[derive(Clone, Copy, Debug)]
pub struct SegmentLine {
    /// Source and destination as they stand in this frame.
    pub ends: (SocketAddr, SocketAddr),
    /// The flags.
    pub flags: TcpFlags,
    /// SEG.SEQ
    pub seq: u32,
    /// SEG.ACK
    pub ack: u32,
    /// Payload in octets.
    pub payload_len: u32,
}

impl SegmentLine {
    /// The judged segment of `frame`. The engines write no addresses down; the frame has them.
    #[must_use]
    pub fn new(frame: &Frame<'_>, adjudication: &Adjudication) -> Option<Self> {
        let mut segment = Segment::EMPTY;
        parse(&mut frame.cursor(), frame.link, &mut segment).ok()?;
        (adjudication.segment != 0).then(|| Self {
            ends: segment.ends().into(),
            flags: TcpFlags::new(adjudication.flags),
            seq: adjudication.seq,
            ack: adjudication.ack,
            payload_len: adjudication.payload_len,
        })
    }
}

/// The numbers of a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Frames of the file.
    pub frames: u64,
    /// Those that are TCP, broken ones included: all that were not passed by unjudged.
    pub tcp: u64,
    /// Those that the guard would have stopped.
    pub dropped: u64,
}

impl Totals {
    /// What these counters come to.
    #[must_use]
    pub fn new(counters: &Counters) -> Self {
        let frames = counters.tallies().map(|tally| tally.packets).sum();
        let bypassed = counters.total(VerdictKind::Bypass).packets;
        let dropped = counters.total(VerdictKind::Drop).packets;
        Self {
            frames,
            tcp: frames - bypassed,
            dropped,
        }
    }
}

/// How many frames had each verdict of a kind, without those that never occurred, in the order of
/// the pipeline.
pub fn causes(
    counters: &Counters,
    kind: VerdictKind,
) -> impl Iterator<Item = (&'static str, u64)> + '_ {
    let verdicts = (0..Verdict::CELLS).filter_map(Verdict::from_cell);
    verdicts
        .filter(move |verdict| verdict.kind() == kind)
        .map(|verdict| (verdict.cause(), counters.tally(verdict).packets))
        .filter(|(_, frames)| *frames > 0)
}

/// Seconds with nine digits of fraction at most and one at least, exactly as they were captured.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:09}", self.0.subsec_nanos());
        let digits = fraction.trim_end_matches('0');
        write!(
            f,
            "{}.{}",
            self.0.as_secs(),
            if digits.is_empty() { "0" } else { digits }
        )
    }
}

/// Writes to both kinds of output need no more than this.
pub(crate) type Sink<'a> = Box<dyn Write + 'a>;
