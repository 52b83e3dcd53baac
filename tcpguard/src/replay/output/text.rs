//! For people: aligned lines, and a summary with what each reason means.

use std::{io, time::Duration};

use tcpguard_common::{counters::Counters, reason::Reason, verdict::VerdictKind};

use super::{Line, Output, Sink, Totals, causes};

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
        let (ends, flags) = ("source > destination", "flags");
        let (seq, ack, len) = ("seq", "ack", "len");
        writeln!(
            self.sink,
            "{:>6} {:>12}  {ends:<45} {flags:<9} {seq:>10} {ack:>10} {len:>6}  verdict",
            "frame", "time"
        )
    }
}

impl Output for Text<'_> {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        if self.first.is_none() {
            self.head()?;
        }
        let first = *self.first.get_or_insert(line.time);
        write!(
            self.sink,
            "{:>6} {:>12}  ",
            line.frame,
            since(first, line.time)
        )?;
        match &line.segment {
            Some(segment) => {
                let ends = format!("{} > {}", segment.ends.0, segment.ends.1);
                let flags = segment.flags.to_string();
                let (seq, ack, len) = (segment.seq, segment.ack, segment.payload_len);
                write!(
                    self.sink,
                    "{ends:<45} {flags:<9} {seq:>10} {ack:>10} {len:>6}  "
                )?;
            }
            None => write!(self.sink, "{0:<45} {0:<9} {0:>10} {0:>10} {0:>6}  ", "-")?,
        }
        let verdict = match line.verdict.cause() {
            "-" => line.verdict.kind().as_str().to_owned(),
            cause => format!("{:<7} {cause}", line.verdict.kind().as_str()),
        };
        if self.colour && line.verdict.is_drop() {
            writeln!(self.sink, "{RED}{verdict}{RESET}")
        } else {
            writeln!(self.sink, "{verdict}")
        }
    }

    fn summary(&mut self, counters: &Counters) -> io::Result<()> {
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
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// Seconds from one frame to another, which may have been seen earlier.
fn since(first: Duration, time: Duration) -> String {
    let sign = if time < first { "-" } else { "" };
    let distance = time.abs_diff(first);
    format!(
        "{sign}{}.{:06}",
        distance.as_secs(),
        distance.subsec_micros()
    )
}
