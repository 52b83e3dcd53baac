//! `tcpguard stats`: what a guard has counted, read from another process.

use std::{
    cell::RefCell,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    cli::{MetricsArgs, OutputArgs, StatsArgs},
    evidence::lookout::Lookout,
    flows::Flows,
    found::{self, Found},
    metrics,
    netlink::{self, Interface},
    preflight,
    reader::Reader,
    runtime,
    sample::Sample,
    watch::{self, Insight, ending::Ending, once},
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
        let followed = RefCell::new(Followed::new(single(guards)?)?);
        let sample = || followed.borrow_mut().sample();
        runtime::block_on(async {
            let ending = Ending::new(args.duration)?;
            watch::watch(output, interval, ending, sample, &followed).await
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut texts = Vec::new();
    for found in guards {
        let sample = Followed::new(found)?.sample()?;
        texts.push(if args.json {
            once::json(&sample)?
        } else {
            once::text(sample)
        });
    }
    // Tables of several guards need a line between them, objects do not.
    let separator = if args.json { "" } else { "\n" };
    io::stdout().write_all(texts.join(separator).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints one reading of a guard as metrics.
pub fn metrics(args: &MetricsArgs) -> Result<ExitCode> {
    preflight::check_reader()?;
    let found = single(chosen(found::at_least_one("metrics")?, &args.interfaces)?)?;
    let sample = Followed::new(found)?.sample()?;
    io::stdout().write_all(metrics::text(&sample, 0).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// A guard that is read, and whether it is still there.
pub(crate) struct Followed {
    names: String,
    program: u32,
    /// The kernel's number of its table, which stays when its programs are exchanged.
    table: u32,
    reader: Reader,
}

impl Followed {
    pub(crate) fn new(found: Found) -> Result<Self> {
        let names = found.names().join(", ");
        let program = found.program.id();
        let open = || -> Result<_> { Ok((found.table()?, found.reader()?)) };
        let opened = open().with_context(|| format!("cannot read the guard on {names}"));
        let (table, reader) = opened?;
        Ok(Self {
            names,
            program,
            table,
            reader,
        })
    }

    /// Its maps live as long as they are read, and would seem to be a guard that sees nothing.
    pub(crate) fn sample(&mut self) -> Result<Sample> {
        let interfaces = netlink::interfaces()?;
        let is_here = |it: &Interface| it.xdp_programs.contains(&self.program);
        if !interfaces.iter().any(is_here) {
            *self = self.successor()?;
        }
        self.reader.sample()
    }

    /// The guard with other programs, as after a reload, and so perhaps another policy.
    fn successor(&self) -> Result<Self> {
        let mut guards = found::guards()?.into_iter();
        let successor = guards.find(|found| found.table().is_ok_and(|table| table == self.table));
        match successor {
            Some(found) => Self::new(found),
            None => bail!("the guard on {} was taken off", self.names),
        }
    }
}

/// What it keeps stays with its table, whatever programs it has.
impl Insight for Followed {
    fn flows(&self) -> Result<Flows> {
        self.reader.flows()
    }

    fn lookout(&self) -> Result<Lookout> {
        self.reader.lookout()
    }
}

/// The guards that are on any of the named interfaces; all if none is named.
pub(crate) fn chosen(mut guards: Vec<Found>, names: &[String]) -> Result<Vec<Found>> {
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
fn single(guards: Vec<Found>) -> Result<Found> {
    found::single(guards, |found| found, "can be followed")
}
