//! For people: aligned lines, and a summary with what each reason means.

use std::{io, time::Duration};

use tcpguard_common::{counters::Events, reason::Reason, verdict::VerdictKind};

use super::{Line, NONE, Output, SegmentLine, Sink, Summary, Totals, causes};
use crate::engine::states::States;

const RED: &str = "\x1b[31m";
const RESET: &str = "\x1b[0m";

/// Prints a table.
pub struct Text<'a> {
    sink: Sink<'a>,
    colour: bool,
    /// When the first frame was seen; times are told from there.
    first: Option<Duration>,
}

impl<'a> Text<'a> {
    /// A table with or without colour.
    #[must_use]
    pub fn new(sink: Sink<'a>, colour: bool) -> Self {
        Self {
            sink,
            colour,
            first: None,
        }
    }

    fn head(&mut self) -> io::Result<()> {
        let (ends, direction, flags, len) = ("source > destination", "dir", "flags", "len");
        writeln!(
            self.sink,
            "{:>5} {:>10}  {ends:<ENDS$} {direction:<5} {flags:<5} {len:>5}  {:<12} verdict",
            "frame", "time", "state"
        )
    }
}

/// Ends of IPv4 with short numbers; longer ones push the rest of their line aside.
const ENDS: usize = 31;

impl Output for Text<'_> {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        if self.first.is_none() {
            self.head()?;
        }
        let first = *self.first.get_or_insert(line.time);
        let (frame, time) = (line.frame, since(first, line.time));
        let (direction, state) = (line.direction(), line.after());
        let (ends, flags, len) = match &line.segment {
            Some(SegmentLine {
                ends: (source, destination),
                flags,
                payload_len,
                ..
            }) => (
                format!("{source} > {destination}"),
                flags.to_string(),
                payload_len.to_string(),
            ),
            None => (NONE.into(), NONE.into(), NONE.into()),
        };
        write!(
            self.sink,
            "{frame:>5} {time:>10}  {ends:<ENDS$} {direction:<5} {flags:<5} {len:>5}  {state:<12} "
        )?;
        let verdict = fate(line);
        if self.colour && line.verdict.is_drop() {
            writeln!(self.sink, "{RED}{verdict}{RESET}")
        } else {
            writeln!(self.sink, "{verdict}")
        }
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        let counters = &summary.counters;
        let Totals {
            frames,
            tcp,
            dropped,
        } = Totals::new(counters);
        if frames > 0 {
            writeln!(self.sink)?;
        }
        writeln!(
            self.sink,
            "{frames} frames, {tcp} of them TCP, {dropped} dropped"
        )?;
        for (name, count) in causes(counters, VerdictKind::Drop) {
            let meaning = Reason::from_name(name).map_or("", Reason::meaning);
            writeln!(self.sink, "{count:>8}  {name:<18}  {meaning}")?;
        }
        if tcp < frames {
            writeln!(self.sink, "{} passed unjudged", frames - tcp)?;
        }
        for (name, count) in causes(counters, VerdictKind::Bypass) {
            writeln!(self.sink, "{count:>8}  {name}")?;
        }
        self.connections(&summary.states, &summary.events)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Text<'_> {
    fn connections(&mut self, states: &States, events: &Events) -> io::Result<()> {
        let connections: u64 = states.iter().map(|(_, count)| count).sum();
        let noun = if connections == 1 {
            "connection"
        } else {
            "connections"
        };
        writeln!(self.sink, "{connections} {noun} at the end")?;
        for (state, count) in states.iter().filter(|(_, count)| *count > 0) {
            writeln!(self.sink, "{count:>8}  {}", state.as_str())?;
        }
        for (count, what) in [
            (events.adopted, "adopted: taken over in their middle"),
            (events.resync, "resync: numbers believed, not checked"),
            (events.table_full, "not remembered: the table was full"),
        ] {
            if count > 0 {
                writeln!(self.sink, "{count:>8}  {what}")?;
            }
        }
        Ok(())
    }
}

/// The verdict in words, and what is behind it.
pub(crate) fn fate(line: &Line) -> String {
    let kind = line.verdict.kind().as_str();
    match (line.verdict.cause(), line.remark()) {
        (NONE, None) => kind.to_owned(),
        (NONE, Some(remark)) => format!("{kind} {remark}"),
        (cause, _) => format!("{kind} {cause}"),
    }
}

/// Seconds from one frame to another, which may have been seen earlier.
pub(crate) fn since(first: Duration, time: Duration) -> String {
    let sign = if time < first { "-" } else { "" };
    let distance = time.abs_diff(first);
    format!(
        "{sign}{}.{:06}",
        distance.as_secs(),
        distance.subsec_micros()
    )
}
