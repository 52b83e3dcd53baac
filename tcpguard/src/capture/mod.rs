//! `tcpguard capture`: a sample of the frames that are objected to, as a file for Wireshark.
//!
//! ```text
//! evidence -> Archive (chosen reasons and interfaces) -> pcapng (blocks) -> Sink  a file, or stdout
//! ```

pub mod pcapng;
mod sink;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Result;
use tcpguard_common::policy::ReasonSet;

use self::{pcapng::Blocks, sink::Sink};
use crate::{
    cli::CaptureArgs,
    evidence::archive::{Archive, Place, Sighting, Wish},
    preflight, runtime,
    watch::{ending::Ending, number},
};

/// Writes what the guards of this network namespace keep, and what comes, until it is told to stop.
pub fn capture(args: &CaptureArgs) -> Result<ExitCode> {
    preflight::check_reader()?;
    let reasons = args.reasons.map_or(ReasonSet::ALL, |list| list.0);
    let mut archive = Archive::open("capture", &args.interfaces, reasons)?;
    let mut blocks = Blocks::new(archive.places())?;
    let head = blocks.take();
    let mut draft = Draft {
        blocks,
        sink: Sink::open(&args.write, args.force, &head)?,
        left: args.count,
        captured: 0,
        skipped: 0,
    };
    let _ = writeln!(
        io::stderr(),
        "capturing what the guard on {} objects to; Ctrl-C ends it",
        archive.names()
    );
    runtime::block_on(async {
        let mut ending = Ending::new(args.duration)?;
        let take = async |_: &[Place], seen: Vec<Sighting>| draft.write(seen).await;
        let over = archive.follow(&mut ending, take).await?;
        // If the guard has gone or is out of sight, what was captured is all that there is of it.
        draft.end().await?;
        over.into_result()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A capture that is being written.
struct Draft {
    blocks: Blocks,
    sink: Sink,
    /// How many are still wanted; no end to them if there is no number.
    left: Option<u64>,
    captured: u64,
    /// Counted in between, and not kept.
    skipped: u64,
}

impl Draft {
    async fn write(&mut self, seen: Vec<Sighting>) -> Result<Wish> {
        for sighting in &seen {
            if self.left == Some(0) {
                break;
            }
            self.blocks.packet(sighting)?;
            self.captured += 1;
            self.skipped += sighting.exhibit.skipped;
            self.left = self.left.map(|left| left - 1);
        }
        self.sink.put(&self.blocks.take()).await?;
        Ok(if self.left == Some(0) {
            Wish::Enough
        } else {
            Wish::More
        })
    }

    /// Finishes the file, and says what is in it.
    async fn end(self) -> Result<()> {
        let place = self.sink.finish().await?;
        let captured = number::grouped(self.captured);
        let skipped = match self.skipped {
            0 => String::new(),
            skipped => format!(
                "; {} alike were counted before them, and not kept",
                number::grouped(skipped)
            ),
        };
        let _ = writeln!(
            io::stderr(),
            "captured {captured} frames into {place}{skipped}"
        );
        Ok(())
    }
}
