//! For programs: one object a frame and a summary. The keys and their order are a contract.

use std::io;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tcpguard_common::{counters::Counters, verdict::VerdictKind};

use super::{Line, NONE, Output, Seconds, Sink, Summary, Totals, causes};
use crate::engine::states::States;

/// Prints JSON lines.
pub struct Json<'a>(pub Sink<'a>);

/// One frame.
#[derive(Serialize)]
pub(crate) struct FrameObject<'a> {
    frame: u64,
    /// Kept as text: a double has too few digits for nanoseconds since 1970.
    ts: &'a RawValue,
    verdict: &'static str,
    reason: &'static str,
    conn: String,
    dir: &'static str,
    flags: String,
    seq: u32,
    ack: u32,
    len: u32,
    before: &'static str,
    after: &'static str,
}

#[derive(Serialize)]
struct SummaryObject<'a> {
    summary: TotalsObject<'a>,
}

#[derive(Serialize)]
struct TotalsObject<'a> {
    frames: u64,
    tcp: u64,
    dropped: u64,
    /// Why frames were dropped, as in the other commands; those that bypass are not among them.
    reasons: DropReasons<'a>,
    /// Of the connections at the end, every state.
    states: ByState<'a>,
}

impl<'a> FrameObject<'a> {
    /// What was decided about one frame; `ts` is its time as it is printed.
    pub(crate) fn new(line: &Line, ts: &'a RawValue) -> Self {
        let segment = line.segment.as_ref();
        Self {
            frame: line.frame,
            ts,
            verdict: line.verdict.kind().as_str(),
            reason: line.verdict.cause(),
            conn: segment.map_or(NONE.into(), |segment| {
                let (source, destination) = segment.ends;
                format!("{source}>{destination}")
            }),
            dir: line.direction(),
            flags: segment.map_or(NONE.into(), |segment| segment.flags.to_string()),
            seq: segment.map_or(0, |segment| segment.seq),
            ack: segment.map_or(0, |segment| segment.ack),
            len: segment.map_or(0, |segment| segment.payload_len),
            before: line.before(),
            after: line.after(),
        }
    }
}

impl Output for Json<'_> {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        let ts = RawValue::from_string(Seconds(line.time).to_string())?;
        self.object(&FrameObject::new(line, &ts))
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        let Totals {
            frames,
            tcp,
            dropped,
        } = Totals::new(&summary.counters);
        let summary = TotalsObject {
            frames,
            tcp,
            dropped,
            reasons: DropReasons(&summary.counters),
            states: ByState(&summary.states),
        };
        self.object(&SummaryObject { summary })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Json<'_> {
    fn object(&mut self, object: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, object)?;
        self.0.write_all(b"\n")
    }
}

struct DropReasons<'a>(&'a Counters);

impl Serialize for DropReasons<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(causes(self.0, VerdictKind::Drop))
    }
}

struct ByState<'a>(&'a States);

impl Serialize for ByState<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let states = self.0.iter();
        serializer.collect_map(states.map(|(state, count)| (state.as_str(), count)))
    }
}
