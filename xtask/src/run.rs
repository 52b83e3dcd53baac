//! `cargo xtask run -- ARGS`: from a checkout to a guarded interface.

use std::{convert::Infallible, ffi::OsString, os::unix::process::CommandExt, process::Command};

use anyhow::{Error, Result};

use crate::{privilege::as_root, process, setup, workspace};

pub(crate) fn run(args: &[OsString]) -> Result<()> {
    setup::ensure()?;
    process::run(workspace::cargo().args(["build", "--release", "--package", "tcpguard"]))?;
    let mut guard = Command::new(workspace::target_dir().join("release/tcpguard"));
    guard.arg("run").args(args).env_remove("LD_LIBRARY_PATH");
    match become_command(as_root(guard, "attaching to an interface")?)? {}
}

/// Replaces this process, so that signals reach the command and its exit status the caller.
pub(crate) fn become_command(mut command: Command) -> Result<Infallible> {
    let error = command.exec();
    Err(Error::new(error).context(format!("failed to start {}", process::shown(&command))))
}
