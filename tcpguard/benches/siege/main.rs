//! `cargo xtask siege [--minutes M] [--quick] [--seed S] [--json]`: see the module.

#[path = "mod.rs"]
mod siege;

use std::{process::ExitCode, time::SystemTime};

use anyhow::Result;
use clap::Parser;

use self::siege::{Plan, run};

/// Legitimate connections through floods and faults, behind several filters.
#[derive(Parser)]
struct Args {
    /// How long it takes
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// Each kind of flood once, in a minute and a half
    #[arg(long, conflicts_with = "minutes")]
    quick: bool,
    /// Faults come as in the run that has printed this
    #[arg(long)]
    seed: Option<u64>,
    /// One JSON object instead of the tables
    #[arg(long)]
    json: bool,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let now = SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
    let seed = args.seed.unwrap_or(now);
    let plan = if args.quick {
        Plan::quick(seed)
    } else {
        Plan::lasting(args.minutes, seed)
    };
    eprintln!("seed {seed}");
    let siege = run(&plan)?;
    if args.json {
        siege.json();
    } else {
        siege.text();
    }
    let is_held = siege.defects().is_empty();
    Ok(if is_held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
