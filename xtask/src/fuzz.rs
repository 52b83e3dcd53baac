//! `cargo xtask fuzz`: chance against the core for as long as one likes.

use anyhow::Result;
use clap::Subcommand;

use crate::{privilege::is_root, run::become_command, setup, test, workspace};

#[derive(Subcommand)]
pub(crate) enum Target {
    /// The core and the bytecode in the kernel, until an answer differs
    Engines {
        /// How many frames both are given
        #[arg(long, value_name = "N", default_value_t = 10_000_000)]
        frames: u64,
        /// The first seed; each 100 000 frames have another
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
    },
}

pub(crate) fn run(target: &Target) -> Result<()> {
    let Target::Engines { frames, seed } = target;
    setup::ensure()?;
    let mut cargo = workspace::cargo();
    cargo
        .args(["test", "--release", "--package", "tcpguard"])
        .args(["--test", "kernel_engines"])
        .env("TCPGUARD_FUZZ_FRAMES", frames.to_string())
        .env("TCPGUARD_FUZZ_SEED", seed.to_string());
    if !is_root() {
        cargo.args(test::root_runner()?);
    }
    cargo.args(["--", "--exact", "--nocapture"]);
    cargo.arg("fuzz::kernel_and_host_agree_on_whatever_comes");
    match become_command(cargo)? {}
}
