//! What a frame costs the host that receives it, driver included: nanoseconds of its CPU under floods, with
//! nothing in front of the stack, with a bare XDP program, with tcpguard, and with what else there is.
//!
//! One thread of the kernel takes all frames off the receiver's interface (threaded NAPI), and its time is
//! what is measured; who sends has another CPU, if there are two. In every round each filter has its turn,
//! and is compared with the others of its own round, so that the drift of a shared machine cancels out.
//! `cargo xtask bench receiver [--rounds N] [--json]`.

#[path = "../figures/mod.rs"]
mod figures;
mod filter;
mod flood;
mod place;
mod report;

use anyhow::{Result, ensure};
use clap::Parser;

use self::{
    filter::Filter,
    flood::{Flood, Generator},
    place::Place,
    report::Figures,
};

/// Nanoseconds of the receiver's CPU a frame, in one run on this machine.
#[derive(Parser)]
struct Args {
    /// Rounds; in each, every filter has its turn.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Frames that are sent to a filter in each round of a flood.
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u32).range(1000..=10_000_000))]
    frames: u32,
    /// One round, to see that it works.
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of the tables.
    #[arg(long)]
    json: bool,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let mut args = Args::parse();
    if args.quick {
        args.rounds = 1;
    }
    let mut place = Place::new()?;
    filter::make_conntrack_strict(&place)?;
    let generator = Generator::new(&place)?;
    let mut figures = Figures::default();
    // The first round warms up.
    for round in 0..=args.rounds {
        for filter in filter::ALL {
            let on = filter.put_on(&place)?;
            for flood in Flood::ALL {
                let nanos = measure(&mut place, &generator, filter, flood, args.frames)?;
                if round > 0 {
                    figures.add(filter, flood, nanos);
                }
            }
            filter.take_off(on, &place)?;
        }
    }
    if args.json {
        figures.json(&args);
    } else {
        figures.text(&args);
    }
    Ok(())
}

/// Nanoseconds a frame that got to the receiver; fails if its filter lets pass what it drops, or drops what it
/// lets pass.
fn measure(
    place: &mut Place,
    generator: &Generator,
    filter: Filter,
    flood: Flood,
    frames: u32,
) -> Result<f64> {
    place.settle()?;
    let before = place.counts()?;
    generator.send(place, flood, frames)?;
    place.settle()?;
    let after = place.counts()?;
    let [taken, delivered] = [
        after.taken - before.taken,
        after.delivered - before.delivered,
    ];
    ensure!(
        taken > u64::from(frames) / 100,
        "{taken} of {frames} frames got to the receiver: the flood goes astray"
    );
    let expected = if filter.drops.contains(&flood) {
        0
    } else {
        taken
    };
    ensure!(
        delivered.abs_diff(expected) <= taken / 100,
        "{}: {delivered} of {taken} frames of {} got to the stack, where {expected} is right",
        filter.name,
        flood.name()
    );
    #[expect(clippy::cast_precision_loss, reason = "millions")]
    Ok(after.spent.saturating_sub(before.spent).as_secs_f64() * 1e9 / taken as f64)
}
