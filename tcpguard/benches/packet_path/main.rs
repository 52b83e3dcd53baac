//! Nanoseconds a packet through `BPF_PROG_TEST_RUN`, beside programs that do next to nothing and
//! beside a tracker in the kernel's hash map that does no more than it must.
//!
//! All paths of a stage take turns in every round, and each is compared with the others of its own
//! round, so that the drift of a shared machine cancels out.
//! `cargo xtask bench packet_path [--rounds N] [--json] [--svg FILE] [--readme]`.

#[path = "../lab/figures.rs"]
mod figures;
mod plot;
mod readme;
mod report;
mod stages;
#[path = "../tracked/mod.rs"]
#[expect(dead_code, reason = "the footprint takes more of it")]
mod tracked;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Nanoseconds a packet of each path, in one run on this machine.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "a switch each")]
struct Args {
    /// Rounds; in each, every path runs once.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(7..=100))]
    rounds: u32,
    /// Packets a path and round.
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u32).range(1000..=10_000_000))]
    packets: u32,
    /// One round of few packets, to see that it works.
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of the tables.
    #[arg(long)]
    json: bool,
    /// Draws what a segment costs over the number of connections, as a picture in this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Puts the tables into README.md, and the picture beside it.
    #[arg(long, conflicts_with_all = ["quick", "only", "svg", "json"])]
    readme: bool,
    /// Only the stages whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let mut args = Args::parse();
    if args.quick {
        (args.rounds, args.packets) = (1, 10_000);
    }
    let mut stages = Vec::new();
    for stage in stages::ALL {
        if stage.name.contains(&args.only) {
            stages.push((stage.name, (stage.run)(&args)?));
        }
    }
    let picture = args.readme.then(readme::picture);
    if let Some(file) = args.svg.clone().or(picture) {
        let drawn = stages.iter().find(|(name, _)| *name == stages::BY_CHANCE);
        plot::draw(drawn.map_or(&[], |(_, paths)| paths), &file)?;
    }
    if args.json {
        report::json(&stages, &args);
        return Ok(());
    }
    let tables = report::text(&stages, &args)?;
    print!("{tables}");
    if args.readme {
        readme::replace(&tables)?;
    }
    Ok(())
}
