//! `cargo xtask siege`: legitimate connections through floods and faults, behind several filters.
//!
//! It builds for release and becomes the benchmark `siege`, as root; the test target `live_siege` runs the quick one.

use anyhow::Result;
use clap::Args;

use crate::{
    run::become_command,
    setup::{self, test_tools},
    test, workspace,
};

#[derive(Args)]
pub(crate) struct SiegeArgs {
    /// How long it takes; as many floods as there is time for
    #[arg(long, value_name = "M", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// Each kind of flood once, in a minute and a half
    #[arg(long, conflicts_with = "minutes")]
    quick: bool,
    /// Faults come as in the run that has printed this
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// One JSON object instead of the tables
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &SiegeArgs) -> Result<()> {
    setup::ensure()?;
    test_tools::ensure()?;
    let mut cargo = workspace::cargo();
    cargo.args(["bench", "--package", "tcpguard", "--bench", "siege"]);
    test::start_as_root(&mut cargo)?;
    cargo.arg("--");
    if args.quick {
        cargo.arg("--quick");
    } else {
        cargo.args(["--minutes", &args.minutes.to_string()]);
    }
    if let Some(seed) = args.seed {
        cargo.args(["--seed", &seed.to_string()]);
    }
    if args.json {
        cargo.arg("--json");
    }
    match become_command(cargo)? {}
}
