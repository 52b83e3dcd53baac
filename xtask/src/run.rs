//! `cargo xtask run -- ARGS`: from a checkout to a guarded interface.

use std::{convert::Infallible, ffi::OsString, os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Error, Result, ensure};

use crate::{privilege::as_root, process::cannot_start, setup, workspace};

pub(crate) fn run(args: &[OsString]) -> Result<()> {
    setup::ensure()?;
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "--package", "tcpguard"]);
    let status = cargo.status().with_context(|| cannot_start(&cargo))?;
    ensure!(status.success(), "tcpguard does not build");
    let mut guard = Command::new(workspace::target_dir().join("release/tcpguard"));
    guard.arg("run").args(args).env_remove("LD_LIBRARY_PATH");
    match become_command(as_root(guard, "attaching to an interface")?)? {}
}

/// Replaces this process, so that signals reach the command and its exit status the caller.
pub(crate) fn become_command(mut command: Command) -> Result<Infallible> {
    let error = command.exec();
    Err(Error::new(error).context(cannot_start(&command)))
}
