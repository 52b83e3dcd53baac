//! `tcpguard run`: attach, watch, detach; or watch what `tcpguard attach` has attached.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Result, ensure};

use crate::{
    announcement,
    cli::{OutputArgs, RunArgs},
    found::{self, Found},
    guard::{Guard, Options},
    log,
    object::Log,
    pins, preflight, runtime, stats, watch,
};

/// Guards until it is told to stop.
pub fn run(args: &RunArgs, verbose: bool) -> Result<ExitCode> {
    preflight::check()?;
    let output = output(args.output, verbose);
    if let Some(found) = attached_before(&args.guard.interfaces)? {
        check_changes(args, verbose, &found)?;
        let _ = writeln!(
            io::stderr(),
            "watching the guard on {} that `tcpguard attach` has attached; it stays",
            found.names().join(", ")
        );
        stats::follow(found, output, args.interval, args.duration)?;
        return Ok(ExitCode::SUCCESS);
    }
    let log = if verbose { Log::Debug } else { Log::Off };
    let options = Options::new(&args.guard, log);
    runtime::block_on(async {
        let mut guard = Guard::attach(&options)?;
        announcement::announce(&guard);
        if options.log == Log::Debug {
            log::follow(guard.ebpf())?;
        }
        watch::watch(output, args.interval, args.duration, || guard.sample()).await
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

/// Log lines would tear the live table: with them, lines are the default.
fn output(chosen: OutputArgs, verbose: bool) -> OutputArgs {
    let none = !(chosen.json || chosen.plain || chosen.tui);
    OutputArgs {
        plain: chosen.plain || (none && verbose),
        ..chosen
    }
}
