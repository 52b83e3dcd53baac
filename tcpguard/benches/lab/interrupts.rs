//! Ctrl-C and what else asks a benchmark to end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Result, ensure};
use xtask::process::stop_on_signal;

/// Ends a benchmark between two measurements, so that its namespaces and what is attached go with it.
pub(crate) struct Interrupts(Arc<AtomicBool>);

impl Interrupts {
    pub(crate) fn catch() -> Result<Self> {
        stop_on_signal().map(Self)
    }

    /// Fails once one was asked for.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(!self.0.load(Ordering::Relaxed), "interrupted");
        Ok(())
    }
}
