//! What a frame costs the host that receives it, driver included: nanoseconds of its CPU, with nothing in
//! front of the stack, with a bare XDP program, with tcpguard, and with what else there is. First under
//! floods, then among established connections.
//!
//! One thread of the kernel takes all frames off the receiver's interface (threaded NAPI), and its time is
//! what is measured; who sends has another CPU, if there are two. In every round each filter has its turn,
//! and is compared with the others of its own round, so that the drift of a shared machine cancels out.
//! `cargo xtask bench receiver [--rounds N] [--json] [--only PART]`.

mod connections;
mod filter;
#[path = "../lab/mod.rs"]
mod lab;
mod report;
#[path = "../tracked/shuffle.rs"]
#[expect(dead_code, reason = "here all that changes is whose segment arrives")]
mod shuffle;

use std::net::TcpListener;

use anyhow::{Result, ensure};
use clap::Parser;

use self::{
    filter::{FLOODS, Filter},
    lab::{
        cpus::Cpus,
        flood::{Flood, Origin},
        generator::Generator,
        interrupts::Interrupts,
        means::absorb_answers,
        meter::{self, Meter},
        place::{Place, SERVER},
    },
    report::Figures,
};

/// Nanoseconds of the receiver's CPU a frame, in one run on this machine.
#[derive(Parser)]
struct Args {
    /// Rounds; in each, every filter has its turn.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Frames that are sent to a filter in each round of a flood, or of a number of connections.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..=10_000_000))]
    frames: u32,
    /// One round of few frames, and fewer connections, to see that it works.
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of the tables.
    #[arg(long)]
    json: bool,
    /// Only the part whose name contains this: `floods`, or `established connections`.
    #[arg(long, default_value = "")]
    only: String,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What the command line calls the first part.
const UNDER_FLOODS: &str = "floods";

fn main() -> Result<()> {
    let mut args = Args::parse();
    if args.quick {
        (args.rounds, args.frames) = (1, 100_000);
    }
    let parts = [UNDER_FLOODS, connections::NAME].map(|name| name.contains(&args.only));
    ensure!(
        parts.contains(&true),
        "no part has {} in its name: there are {UNDER_FLOODS} and {}",
        args.only,
        connections::NAME
    );
    let interrupts = Interrupts::catch()?;
    let flooded = parts[0].then(|| floods(&args, &interrupts)).transpose()?;
    let followed = parts[1]
        .then(|| connections::run(&args, &interrupts))
        .transpose()?;
    if args.json {
        report::json(flooded.as_ref(), followed.as_deref(), &args);
    } else {
        report::text(flooded.as_ref(), followed.as_deref(), &args);
    }
    Ok(())
}

fn floods(args: &Args, interrupts: &Interrupts) -> Result<Figures> {
    let place = Place::new(Cpus::of_this_process()?)?;
    let mut meter = Meter::of(&place)?;
    filter::make_conntrack_strict(&place)?;
    // Whose cookies the stack and its proxies send.
    let _server = place
        .receiver
        .within(|| TcpListener::bind((SERVER, 80)))??;
    let _absorbing = absorb_answers(&place)?;
    let generator = Generator::new(&place, Origin::Everywhere.program())?;
    let mut figures = Figures::default();
    // The first round warms up.
    for round in 0..=args.rounds {
        for filter in filter::ALL {
            interrupts.check()?;
            let on = filter.means.put_on(&place)?;
            for flood in FLOODS {
                let send = || generator.send(&place, &flood.frame(), args.frames);
                let nanos = measure(&mut meter, send, filter, flood, args.frames)?;
                if round > 0 {
                    figures.add(filter, flood, nanos);
                }
            }
            on.take_off()?;
        }
    }
    Ok(figures)
}

/// Nanoseconds a frame that got to the receiver; fails if its filter lets pass what it drops, or drops what it
/// lets pass.
fn measure(
    meter: &mut Meter,
    send: impl FnOnce() -> Result<()>,
    filter: Filter,
    flood: Flood,
    frames: u32,
) -> Result<f64> {
    meter.settle()?;
    let before = meter.counts()?;
    send()?;
    meter.settle()?;
    let after = meter.counts()?;
    let (taken, nanos) = meter::nanos(&before, &after, frames)?;
    if flood == Flood::Syn && !filter.drops.contains(&flood) {
        // How many get to the stack, a table that is full decides.
        return Ok(nanos);
    }
    let delivered = after.delivered - before.delivered;
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
    Ok(nanos)
}
