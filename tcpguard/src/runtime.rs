//! What runs the commands that wait.

use std::future::Future;

use anyhow::{Context as _, Result};

/// Runs it to its end, on this thread alone.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?
        .block_on(future)
}
