//! `tcpguard upgrade`: the programs of this release in place of those of a pinned guard.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use tcpguard_common::abi::Config;

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
    for guard in exchange::pinned(&pins, &args.interfaces)? {
        let names = guard.found.names().join(", ");
        let before = swap(&pins, &guard);
        let before = before.with_context(|| format!("cannot upgrade the guard on {names}"))?;
        writeln!(
            io::stdout(),
            "upgraded {names}: release {} to {}; {} connections go on",
            release(&before),
            env!("CARGO_PKG_VERSION"),
            number::grouped(guard.found.flows()?.connections().len() as u64),
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns what the old programs were made with, as are the new ones.
fn swap(pins: &Pins, guard: &Pinned) -> Result<Config> {
    let config = guard.config()?;
    guard.exchange(pins, &config)?;
    Ok(config)
}
