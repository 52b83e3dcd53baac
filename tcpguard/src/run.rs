//! `tcpguard run`: attach, watch, detach.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::{
    announcement,
    cli::{OutputArgs, RunArgs},
    guard::{Guard, Options},
    log,
    object::Log,
    preflight, watch,
};

/// Guards until it is told to stop.
pub fn run(args: &RunArgs, verbose: bool) -> Result<ExitCode> {
    preflight::check()?;
    let log = if verbose { Log::Debug } else { Log::Off };
    let options = Options::new(&args.guard, log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    runtime.block_on(async {
        let mut guard = Guard::attach(&options)?;
        announcement::announce(&guard);
        if options.log == Log::Debug {
            log::follow(guard.ebpf())?;
        }
        let output = output(args.output, verbose);
        watch::watch(output, args.interval, args.duration, || guard.sample()).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Log lines would tear the live table: with them, lines are the default.
fn output(chosen: OutputArgs, verbose: bool) -> OutputArgs {
    let none = !(chosen.json || chosen.plain || chosen.tui);
    OutputArgs {
        plain: chosen.plain || (none && verbose),
        ..chosen
    }
}
