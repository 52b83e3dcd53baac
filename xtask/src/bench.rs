//! `cargo xtask bench`: what a packet costs, measured in the running kernel.
//!
//! `packet_path` runs the program alone, through `BPF_PROG_TEST_RUN`; `receiver` sends floods over a cable
//! and tells what they cost the host that gets them, beside other filters.

use std::ffi::OsString;

use anyhow::Result;

use crate::{
    privilege::is_root,
    run::become_command,
    setup::{self, test_tools},
    test, workspace,
};

const BENCHMARKS: [&str; 2] = ["packet_path", "receiver"];

/// Runs the benchmark that the first of `args` names, or all of them, with the other arguments.
pub(crate) fn run(args: &[OsString]) -> Result<()> {
    setup::ensure()?;
    test_tools::ensure()?;
    let (chosen, args) = match args.split_first() {
        Some((name, others)) if BENCHMARKS.iter().any(|it| name == it) => {
            (vec![name.clone()], others)
        }
        _ => (BENCHMARKS.map(OsString::from).into(), args),
    };
    let mut cargo = workspace::cargo();
    cargo.args(["bench", "--package", "tcpguard"]);
    for name in chosen {
        cargo.arg("--bench").arg(name);
    }
    if !is_root() {
        cargo.args(test::root_runner()?);
    }
    cargo.arg("--").args(args);
    match become_command(cargo)? {}
}
