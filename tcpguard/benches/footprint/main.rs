//! What tcpguard costs beside the packets, on a host with a million tracked connections: memory of the
//! kernel, the time until it guards, what its own process takes while it shows and counts, and what it costs
//! the packets that somebody reads the table.
//!
//! The connections are made by the guard's own code, in the very table of the guard that is attached.
//! `cargo xtask bench footprint [--connections N] [--quick] [--json]`.

mod crowd;
#[path = "../lab/figures.rs"]
#[expect(dead_code, reason = "the other benchmarks take more of it")]
mod figures;
mod loader;
mod memory;
mod place;
#[path = "../lab/process.rs"]
mod process;
mod reading;
mod report;
mod start;
#[path = "../tracked/mod.rs"]
#[expect(dead_code, reason = "`packet_path` takes more of it")]
mod tracked;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use xtask::lab::namespace;

use self::{place::Place, report::Section};

/// Memory, time and CPU that a guard takes beside the packets, in one run on this machine.
#[derive(Parser)]
struct Args {
    /// Connections that are tracked.
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(1000..=1 << 23))]
    connections: u32,
    /// Rounds of what is done again and again.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds that a running tcpguard is watched for.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Ten thousand connections and one round, to see that it works.
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of the tables.
    #[arg(long)]
    json: bool,
    /// Only the sections whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    const fn watched_for(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// A part of the benchmark.
struct Stage {
    name: &'static str,
    run: fn(&Place, &Args) -> Result<Section>,
}

/// All of them.
const STAGES: [Stage; 5] = [
    Stage {
        name: "memory of the kernel",
        run: memory::measure,
    },
    Stage {
        name: "until it guards",
        run: start::measure,
    },
    Stage {
        name: "running, a reading a second",
        run: loader::measure,
    },
    Stage {
        name: "one reading",
        run: reading::measure,
    },
    Stage {
        name: "packets meanwhile",
        run: reading::disturb,
    },
];

fn main() -> Result<()> {
    let mut args = Args::parse();
    if args.quick {
        (args.connections, args.rounds, args.seconds) = (10_000, 1, 1);
    }
    namespace::remove_leftovers()?;
    let place = Place::new()?;
    let mut sections = Vec::new();
    for Stage { name, run } in STAGES {
        if name.contains(&args.only) {
            sections.push((name, run(&place, &args)?));
        }
    }
    if args.json {
        report::json(&sections, &args);
    } else {
        report::text(&sections, &args);
    }
    Ok(())
}
