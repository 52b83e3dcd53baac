//! One reading, for who looks once.

use anyhow::Result;

use super::{json, reading::Reading, summary};
use crate::sample::Sample;

/// The object that `run --json` prints, in a line.
pub(crate) fn json(sample: &Sample) -> Result<String> {
    Ok(json::line(sample)? + "\n")
}

/// The tables that a run ends with.
pub(crate) fn text(sample: Sample) -> String {
    summary::so_far(&Reading::first(sample), summary::WIDTH)
}
