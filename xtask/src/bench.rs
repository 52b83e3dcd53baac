//! `cargo xtask bench`: what a packet costs, measured in the running kernel.
//!
//! `packet_path` runs the program alone, through `BPF_PROG_TEST_RUN`; `receiver` sends floods over a cable
//! and tells what they cost the host that gets them, beside other filters; `traffic` tells what good
//! connections lose by these filters, with no attack and under floods; `footprint` what is paid beside the
//! packets.

use std::ffi::OsString;

use anyhow::Result;

use crate::{
    run::become_command,
    setup::{self, test_tools},
    test, workspace,
};

const BENCHMARKS: [&str; 4] = ["packet_path", "receiver", "traffic", "footprint"];

/// Runs the benchmark that the first of `args` names, with the other arguments; without any, all; and with
/// arguments alone the first one, whose arguments they are.
pub(crate) fn run(args: &[OsString]) -> Result<()> {
    setup::ensure()?;
    let (chosen, args) = match args.split_first() {
        None => (BENCHMARKS.to_vec(), args),
        Some((first, others)) => match BENCHMARKS.into_iter().find(|name| first == name) {
            Some(name) => (vec![name], others),
            None => (vec![BENCHMARKS[0]], args),
        },
    };
    // The first one alone sends nothing over a cable.
    if chosen != [BENCHMARKS[0]] {
        test_tools::ensure()?;
    }
    let mut cargo = workspace::cargo();
    cargo.args(["bench", "--package", "tcpguard"]);
    for name in chosen {
        cargo.arg("--bench").arg(name);
    }
    test::start_as_root(&mut cargo)?;
    cargo.arg("--").args(args);
    match become_command(cargo)? {}
}
