//! `cargo xtask fuzz`: chance against what reads frames, segments and files, for as long as one likes.

mod search;

use anyhow::Result;
use clap::Subcommand;

use self::search::Search;
use crate::{run::become_command, setup, test, workspace};

pub(crate) const HELP: &str = "\
All but `engines` are programs that libFuzzer drives, by the functions of tcpguard/fuzz. They begin with what the \
project has by hand and with tcpguard/fuzz/corpus, and leave the tree as it is unless --keep is said.

  cargo xtask fuzz tracker --minutes 60   searches
  cargo xtask fuzz tracker FILE           shows a finding again
  cargo xtask fuzz tracker --keep         searches, and adds what it reached to the corpus that the tests replay

They need a Rust toolchain with the address sanitizer, as every nightly of rustup has it, and a C++ compiler.";

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
    /// The parser, by frames, whole and cut
    Parser(Search),
    /// The tracker, by segments of two peers and of anybody else
    Tracker(Search),
    /// The configuration file
    Config(Search),
    /// The reader of captures
    Pcap(Search),
    /// What is read of the frames that a guard keeps
    Events(Search),
}

pub(crate) fn run(target: &Target) -> Result<()> {
    match target {
        Target::Engines { frames, seed } => engines(*frames, *seed),
        Target::Parser(search) => search.run("parser"),
        Target::Tracker(search) => search.run("tracker"),
        Target::Config(search) => search.run("config"),
        Target::Pcap(search) => search.run("pcap"),
        Target::Events(search) => search.run("events"),
    }
}

fn engines(frames: u64, seed: u64) -> Result<()> {
    setup::ensure()?;
    let mut cargo = workspace::cargo();
    cargo
        .args(["test", "--release", "--package", "tcpguard"])
        .args(["--test", "kernel_engines"])
        .env("TCPGUARD_FUZZ_FRAMES", frames.to_string())
        .env("TCPGUARD_FUZZ_SEED", seed.to_string());
    test::start_as_root(&mut cargo)?;
    cargo.args(["--", "--exact", "--nocapture"]);
    cargo.arg("fuzz::kernel_and_host_agree_on_whatever_comes");
    match become_command(cargo)? {}
}
