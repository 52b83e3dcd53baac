//! `tcpguard upgrade`: the programs of this release in place of those of a pinned guard.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Result;

use crate::{
    cli::UpgradeArgs,
    exchange::{self, Pinned},
    pins::Pins,
    preflight,
    status::release,
    watch::number,
};

/// Upgrades the guards that `tcpguard attach` has attached.
pub fn upgrade(args: &UpgradeArgs) -> Result<ExitCode> {
    preflight::check()?;
    preflight::check_reader()?;
    let pins = Pins::open()?;
    let _sole = pins.sole()?;
    let mut failures = Vec::new();
    // One that is refused keeps no other from it, and neither does a reader who leaves.
    for guard in exchange::pinned(&pins, &args.interfaces)? {
        let names = guard.found.names().join(", ");
        match swap(&pins, &guard) {
            Ok(told) => {
                let _ = writeln!(io::stdout(), "upgraded {names}: {told}");
            }
            Err(error) => {
                failures.push(error.context(format!("cannot upgrade the guard on {names}")));
            }
        }
    }
    let Some(last) = failures.pop() else {
        return Ok(ExitCode::SUCCESS);
    };
    for failure in failures {
        let _ = writeln!(io::stderr(), "error: {failure:#}");
    }
    Err(last)
}

/// Returns what has become of it.
fn swap(pins: &Pins, guard: &Pinned) -> Result<String> {
    let config = guard.config()?;
    let connections = guard.found.flows()?.connections().len();
    let _former = guard.exchange(pins, &config, &guard.found.admission()?)?;
    Ok(format!(
        "release {} to {}; {} connections go on",
        release(&config),
        env!("CARGO_PKG_VERSION"),
        number::grouped(connections as u64),
    ))
}
