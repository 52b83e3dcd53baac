//! `tcpguard stats`: what a guard has counted, read from another process.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    cli::{OutputArgs, StatsArgs},
    found::{self, Found},
    netlink, preflight,
    reader::Reader,
    runtime,
    sample::Sample,
    watch::{self, once},
};

/// Prints one reading of each guard, or one of a single guard every interval.
pub fn stats(args: &StatsArgs) -> Result<ExitCode> {
    preflight::check_reader()?;
    let guards = chosen(found::at_least_one("stats")?, &args.interfaces)?;
    if let Some(interval) = args.interval {
        let output = OutputArgs {
            json: args.json,
            plain: !args.json,
            tui: false,
        };
        follow(single(guards)?, output, interval, args.duration)?;
        return Ok(ExitCode::SUCCESS);
    }
    for found in guards {
        let sample = Followed::new(found)?.sample()?;
        let text = if args.json {
            once::json(&sample)?
        } else {
            once::text(sample)
        };
        io::stdout().write_all(text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what a guard of another process counts, until the user or the guard ends.
pub(crate) fn follow(
    found: Found,
    output: OutputArgs,
    interval: Duration,
    limit: Option<Duration>,
) -> Result<()> {
    let mut followed = Followed::new(found)?;
    let sample = || followed.sample();
    runtime::block_on(watch::watch(output, interval, limit, sample))
}

/// A guard that is read, and whether it is still there.
struct Followed {
    names: String,
    program: u32,
    reader: Reader,
}

impl Followed {
    fn new(found: Found) -> Result<Self> {
        let names = found.names().join(", ");
        let program = found.program.id();
        let reader = found.reader();
        let reader = reader.with_context(|| format!("cannot read the guard on {names}"))?;
        Ok(Self {
            names,
            program,
            reader,
        })
    }

    /// Its maps live as long as they are read, and would seem to be a guard that sees nothing.
    fn sample(&mut self) -> Result<Sample> {
        let interfaces = netlink::interfaces()?;
        let is_there = interfaces
            .iter()
            .any(|it| it.xdp_programs.contains(&self.program));
        ensure!(is_there, "the guard on {} was taken off", self.names);
        self.reader.sample()
    }
}

/// The guards that are on any of the named interfaces; all if none is named.
fn chosen(mut guards: Vec<Found>, names: &[String]) -> Result<Vec<Found>> {
    for name in names {
        let is_on = |found: &Found| found.names().contains(name);
        if !guards.iter().any(is_on) {
            let guarded: Vec<_> = guards.iter().flat_map(Found::names).collect();
            bail!("no guard on {name}; there is one on {}", guarded.join(", "));
        }
    }
    if !names.is_empty() {
        guards.retain(|found| found.names().iter().any(|name| names.contains(name)));
    }
    Ok(guards)
}

/// The only one: readings of several would be told apart by nothing.
fn single(mut guards: Vec<Found>) -> Result<Found> {
    match guards.pop() {
        Some(found) if guards.is_empty() => Ok(found),
        last => {
            guards.extend(last);
            let names: Vec<_> = guards
                .iter()
                .map(|found| found.names().join(" and "))
                .collect();
            bail!(
                "there are {} guards, and one can be followed at a time: choose by --iface ({})",
                names.len(),
                names.join("; ")
            )
        }
    }
}
