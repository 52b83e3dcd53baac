//! `tcpguard replay`: a capture adjudicated frame by frame.

pub mod capture;
pub mod link;
pub mod output;

use std::{
    env,
    io::{self, BufWriter, IsTerminal as _, Read},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tcpguard_common::{conn::ruling::Ruling, policy::Policy, verdict::Verdict};

use self::{
    capture::Capture,
    link::LinkType,
    output::{Json, Line, Output, SegmentLine, Summary, Text, Totals},
};
use crate::{
    cli::ReplayArgs,
    engine::{self, Engine, Rules},
};

/// Something was dropped.
const FINDING: u8 = 1;

/// Adjudicates a capture and prints what was decided about each frame.
pub fn replay(args: &ReplayArgs) -> Result<ExitCode> {
    let mut capture = Capture::open(&args.file)?;
    let mut engine = engine::engine(args.engine, Rules::tracking(Policy::ENFORCE, args.pickup));
    let stdout = io::stdout().lock();
    let colour = stdout.is_terminal() && env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let sink = Box::new(BufWriter::new(stdout));
    let mut output: Box<dyn Output> = if args.json {
        Box::new(Json(sink))
    } else {
        Box::new(Text::new(sink, colour))
    };

    let frames = each_line(&mut capture, engine.as_mut(), |line| Ok(output.line(line)?));
    // What was decided before something went wrong is printed all the same.
    output.flush()?;
    frames.with_context(|| args.file.display().to_string())?;

    let summary = Summary {
        counters: engine.counters()?,
        events: engine.events()?,
        states: engine.states()?,
    };
    output.summary(&summary)?;
    output.flush()?;
    Ok(status(Totals::new(&summary.counters).dropped))
}

/// How a command ends that was to find drops.
pub(crate) fn status(dropped: u64) -> ExitCode {
    if dropped > 0 {
        ExitCode::from(FINDING)
    } else {
        ExitCode::SUCCESS
    }
}

/// Adjudicates frame by frame, and hands on what was decided.
///
/// # Errors
///
/// With the number of the frame that it happened at: if the capture cannot be read on, or the work fails.
pub fn each_line<R: Read>(
    capture: &mut Capture<R>,
    engine: &mut dyn Engine,
    mut work: impl FnMut(&Line) -> Result<()>,
) -> Result<()> {
    let mut reading = Reading::default();
    while let Some(line) = reading
        .next_line(capture, engine)
        .with_context(|| format!("frame {}", reading.frame))?
    {
        work(&line)?;
    }
    Ok(())
}

/// How far a capture has been read.
#[derive(Default)]
struct Reading {
    /// Number of the frame that is being read, from 1.
    frame: u64,
    /// The latest time of a frame.
    latest: Duration,
    /// Where frames of foreign links are rewritten.
    scratch: Vec<u8>,
}

impl Reading {
    fn next_line<R: Read>(
        &mut self,
        capture: &mut Capture<R>,
        engine: &mut dyn Engine,
    ) -> Result<Option<Line>> {
        self.frame += 1;
        let Some(record) = capture.next_record()? else {
            return Ok(None);
        };
        // The clock of a guard never runs backwards; that of a capture of several interfaces does.
        self.latest = self.latest.max(record.time);
        let frame = LinkType::new(record.link_type)?
            .frame(&record, &mut self.scratch)
            .at(self.latest);
        let adjudication = engine.adjudicate(&frame)?;
        let verdict = Verdict::from_cell(adjudication.cell.into()).context("no judgement")?;
        Ok(Some(Line {
            frame: self.frame,
            time: record.time,
            verdict,
            ruling: Ruling::from_bits(adjudication.ruling),
            segment: SegmentLine::new(&frame, &adjudication),
        }))
    }
}
