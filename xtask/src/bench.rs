//! `cargo xtask bench`: what a packet costs, measured in the running kernel.

use std::ffi::OsString;

use anyhow::Result;

use crate::{privilege::is_root, run::become_command, setup, test, workspace};

pub(crate) fn run(args: &[OsString]) -> Result<()> {
    setup::ensure()?;
    let mut cargo = workspace::cargo();
    cargo.args(["bench", "--package", "tcpguard", "--bench", "packet_path"]);
    if !is_root() {
        cargo.args(test::root_runner()?);
    }
    cargo.arg("--").args(args);
    match become_command(cargo)? {}
}
