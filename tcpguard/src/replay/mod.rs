//! `tcpguard replay`: a capture adjudicated frame by frame.

pub mod capture;
pub mod link;
pub mod output;

use std::{
    env,
    io::{self, BufWriter, IsTerminal as _, Read},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use tcpguard_common::{policy::Policy, verdict::Verdict};

use self::{
    capture::Capture,
    link::LinkType,
    output::{Json, Line, Output, SegmentLine, Text, Totals},
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

    let frames = adjudicate(&mut capture, engine.as_mut(), output.as_mut());
    // What was decided before something went wrong is printed all the same.
    output.flush()?;
    frames.with_context(|| args.file.display().to_string())?;

    let counters = engine.counters()?;
    output.summary(&counters)?;
    output.flush()?;
    let dropped = Totals::new(&counters).dropped;
    Ok(if dropped > 0 {
        ExitCode::from(FINDING)
    } else {
        ExitCode::SUCCESS
    })
}

/// Adjudicates frame by frame; an error names the frame that it happened at.
fn adjudicate<R: Read>(
    capture: &mut Capture<R>,
    engine: &mut dyn Engine,
    output: &mut dyn Output,
) -> Result<()> {
    let mut scratch = Vec::new();
    let mut number = 1;
    while let Some(line) = next_line(capture, engine, number, &mut scratch)
        .with_context(|| format!("frame {number}"))?
    {
        output.line(&line)?;
        number += 1;
    }
    Ok(())
}

fn next_line<R: Read>(
    capture: &mut Capture<R>,
    engine: &mut dyn Engine,
    number: u64,
    scratch: &mut Vec<u8>,
) -> Result<Option<Line>> {
    let Some(record) = capture.next_record()? else {
        return Ok(None);
    };
    let frame = LinkType::new(record.link_type)?
        .frame(&record, scratch)
        .at(record.time);
    let adjudication = engine.adjudicate(&frame)?;
    let verdict = Verdict::from_cell(adjudication.cell.into()).context("no judgement")?;
    let segment = SegmentLine::new(&frame, &adjudication);
    Ok(Some(Line {
        frame: number,
        time: record.time,
        verdict,
        segment,
    }))
}
