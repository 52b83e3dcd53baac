//! `tcpguard run`: attach, watch, detach; or watch what `tcpguard attach` has attached.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Result, ensure};

use crate::{
    announcement,
    cli::{OutputArgs, RunArgs},
    config::{self, Output},
    found::{self, Found},
    guard::{Guard, Options},
    log,
    object::Log,
    pins, preflight, runtime, stats, watch,
};

/// Between two readings.
const INTERVAL: Duration = Duration::from_secs(1);

/// Guards until it is told to stop.
pub fn run(args: &RunArgs, verbose: bool) -> Result<ExitCode> {
    preflight::check()?;
    let file = config::given(args.guard.config.as_deref())?;
    let log = if verbose { Log::Debug } else { Log::Off };
    let options = Options::new(&args.guard, &file, log)?;
    let output = output(args.output, file.output, verbose);
    let interval = args.interval.or(file.interval).unwrap_or(INTERVAL);
    if let Some(found) = attached_before(&options.interfaces)? {
        check_changes(args, verbose, &found)?;
        let _ = writeln!(
            io::stderr(),
            "watching the guard on {} that `tcpguard attach` has attached; it stays",
            found.names().join(", ")
        );
        stats::follow(found, output, interval, args.duration)?;
        return Ok(ExitCode::SUCCESS);
    }
    runtime::block_on(async {
        let mut guard = Guard::attach(&options)?;
        announcement::announce(&guard);
        if options.log == Log::Debug {
            log::follow(guard.ebpf())?;
        }
        watch::watch(output, interval, args.duration, || guard.sample()).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The guard that is pinned on all of these interfaces.
fn attached_before(names: &[String]) -> Result<Option<Found>> {
    // To look for others takes more capabilities than to guard, and so does their directory.
    let pins = pins::listed().unwrap_or_default();
    if pins.is_empty() || preflight::check_reader().is_err() {
        return Ok(None);
    }
    let is_pinned = |found: &Found| {
        let mut interfaces = found.interfaces.iter();
        interfaces.all(|interface| pins.iter().any(|pin| pin.index == interface.index))
    };
    let is_on_all = |found: &Found| names.iter().all(|name| found.names().contains(name));
    let mut guards = found::guards()?;
    guards.retain(|found| is_pinned(found) && is_on_all(found));
    Ok(guards.pop())
}

/// A guard stays as it was attached: who asks for another one must not believe to have it.
fn check_changes(args: &RunArgs, verbose: bool, found: &Found) -> Result<()> {
    let change = args.guard.choice().or(verbose.then_some("--verbose"));
    let names = found.names().join(" --iface ");
    ensure!(
        change.is_none(),
        "{} is guarded already by `tcpguard attach`, and {} cannot change that: leave it out to watch \
         that guard, or take it off first (`tcpguard detach --iface {names}`)",
        found.names().join(", "),
        change.unwrap_or_default(),
    );
    Ok(())
}

/// As the flags say, or else the file. Log lines would tear the live table: with them, lines are the
/// default.
fn output(flags: OutputArgs, file: Option<Output>, verbose: bool) -> OutputArgs {
    if flags.json || flags.plain || flags.tui {
        return flags;
    }
    OutputArgs {
        json: file == Some(Output::Json),
        plain: file == Some(Output::Plain) || (file.is_none() && verbose),
        tui: file == Some(Output::Tui),
    }
}
