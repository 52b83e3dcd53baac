//! `tcpguard run`: attach, watch, detach.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::RunArgs;

/// Guards until it is told to stop.
pub fn run(_args: &RunArgs, _verbose: bool) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
