//! For programs: one object a frame and a summary. The keys and their order are a contract.

use std::io;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tcpguard_common::{counters::Counters, verdict::VerdictKind};

use super::{Line, Output, Seconds, Sink, Totals, causes};

/// Stands where there is nothing to say.
const NONE: &str = "-";

/// Prints JSON lines.
pub struct Json<'a>(pub Sink<'a>);

/// One frame. Without a tracker there is no direction and no state yet.
#[derive(Serialize)]
struct FrameObject<'a> {
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
    summary: Summary<'a>,
}

#[derive(Serialize)]
struct Summary<'a> {
    frames: u64,
    tcp: u64,
    dropped: u64,
    /// Why frames were dropped, as in the other commands; those that bypass are not among them.
    reasons: DropReasons<'a>,
    /// Of connections; nothing tracks them yet.
    states: States,
}

#[derive(Serialize)]
struct States {}

impl Output for Json<'_> {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        let ts = RawValue::from_string(Seconds(line.time).to_string())?;
        let segment = line.segment.as_ref();
        let object = FrameObject {
            frame: line.frame,
            ts: &ts,
            verdict: line.verdict.kind().as_str(),
            reason: line.verdict.cause(),
            conn: segment.map_or(NONE.into(), |segment| {
                let (source, destination) = segment.ends;
                format!("{source}>{destination}")
            }),
            dir: NONE,
            flags: segment.map_or(NONE.into(), |segment| segment.flags.to_string()),
            seq: segment.map_or(0, |segment| segment.seq),
            ack: segment.map_or(0, |segment| segment.ack),
            len: segment.map_or(0, |segment| segment.payload_len),
            before: NONE,
            after: NONE,
        };
        self.object(&object)
    }

    fn summary(&mut self, counters: &Counters) -> io::Result<()> {
        let Totals {
            frames,
            tcp,
            dropped,
        } = Totals::new(counters);
        let summary = Summary {
            frames,
            tcp,
            dropped,
            reasons: DropReasons(counters),
            states: States {},
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
