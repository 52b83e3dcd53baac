//! `tcpguard events`: single frames that were objected to, as a sample of them is kept.

mod json;
#[cfg(test)]
mod specimen;
mod text;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use tcpguard_common::policy::ReasonSet;

pub(crate) use self::text::verdict;
use crate::{
    cli::EventsArgs,
    evidence::archive::{Archive, Place, Sighting, Wish},
    preflight, runtime,
    watch::{ending::Ending, output::Output},
};

/// Prints what the guards of this network namespace keep, oldest first.
pub fn events(args: &EventsArgs) -> Result<ExitCode> {
    preflight::check_reader()?;
    let reasons = args.reasons.map_or(ReasonSet::ALL, |list| list.0);
    let mut archive = Archive::open("events", &args.interfaces, reasons)?;
    runtime::block_on(async {
        let mut printer = Printer {
            output: Output::stdout().context("failed to open stdout")?,
            json: args.json,
            limit: args.limit,
        };
        if !args.json {
            printer.output.push(text::head().as_bytes());
        }
        let mut ending = Ending::new(None)?;
        let follow = args.follow;
        let take = async |places: &[Place], seen: Vec<Sighting>| {
            printer.print(places, &seen).await?;
            if follow {
                return Ok(Wish::More);
            }
            if seen.is_empty() {
                let _ = writeln!(io::stderr(), "nothing like that was objected to so far");
            }
            Ok(Wish::Enough)
        };
        archive.follow(&mut ending, take).await?.into_result()
    })?;
    Ok(ExitCode::SUCCESS)
}

struct Printer {
    output: Output,
    json: bool,
    /// Of what is there at first, as many are printed at most; then it is used up.
    limit: Option<usize>,
}

impl Printer {
    async fn print(&mut self, places: &[Place], seen: &[Sighting]) -> Result<()> {
        let older = match self.limit.take() {
            Some(limit) => seen.len().saturating_sub(limit),
            None => 0,
        };
        if older > 0 {
            let _ = writeln!(io::stderr(), "{older} older ones left out by --limit");
        }
        for sighting in seen.iter().skip(older) {
            let Some(place) = places.get(sighting.place) else {
                continue;
            };
            let line = line(place, sighting, self.json)?;
            self.output.push(line.as_bytes());
            self.output.push(b"\n");
        }
        Ok(self.output.taken().await?)
    }
}

/// A frame as a line, for people or as an object.
///
/// # Errors
///
/// If it cannot be an object.
pub fn line(place: &Place, sighting: &Sighting, as_json: bool) -> Result<String> {
    if as_json {
        json::line(place, sighting)
    } else {
        Ok(text::line(place, sighting))
    }
}
