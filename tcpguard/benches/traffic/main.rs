//! What good connections lose by a filter: in bulk, in requests and in new connections a second, with no
//! attack and under floods.
//!
//! Server and clients are two namespaces with a cable between them, each with a CPU of its own if there are
//! two; the server's also deals with all that arrives (threaded NAPI). In every round each filter has its
//! turn, and is compared with another one of its own round, so that the drift of a shared machine cancels
//! out. `cargo xtask bench traffic [--rounds N] [--only peace|attack] [--json]`.

mod attack;
mod bulk;
mod filter;
#[path = "../lab/mod.rs"]
mod lab;
mod peace;
mod report;

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};

use self::{
    attack::{Attack, FLOODS},
    filter::{AT_PEACE, UNDER_ATTACK},
    lab::{cpus::Cpus, interrupts::Interrupts},
    report::{Attacked, Peaceful},
};

/// What good connections lose by a filter, in one run on this machine.
#[derive(Parser)]
struct Args {
    /// Rounds; in each, every filter has its turn.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Frames a second of each flood.
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 300_000],
          value_parser = clap::value_parser!(u32).range(1000..=10_000_000))]
    rates: Vec<u32>,
    /// Seconds of each transfer in bulk: what it loses on its way makes short ones differ by a quarter.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    bulk_seconds: u32,
    /// One of both halves.
    #[arg(long)]
    only: Option<Half>,
    /// One short round, to see that it works.
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of the tables.
    #[arg(long)]
    json: bool,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Half {
    /// Good traffic alone.
    Peace,
    /// Good traffic under floods.
    Attack,
}

/// How long each measurement lasts.
#[derive(Clone, Copy)]
struct Timing {
    bulk_seconds: u32,
    lasting: Duration,
}

impl Timing {
    /// What so many in a measurement are in a second.
    fn a_second(self, number: u32) -> f64 {
        f64::from(number) / self.lasting.as_secs_f64()
    }
}

fn main() -> Result<()> {
    let mut args = Args::parse();
    let mut lasting = Duration::from_millis(500);
    if args.quick {
        lasting = Duration::from_millis(200);
        args.bulk_seconds = 1;
        args.rounds = 1;
        args.rates.truncate(1);
    }
    let timing = Timing {
        bulk_seconds: args.bulk_seconds,
        lasting,
    };
    let bench = Bench {
        interrupts: Interrupts::catch()?,
        cpus: Cpus::of_this_process()?,
        timing,
        rounds: args.rounds,
    };
    let wanted = |half| args.only.is_none_or(|only| only == half);
    let peaceful = wanted(Half::Peace).then(|| bench.peace()).transpose()?;
    let attacked = wanted(Half::Attack).then(|| bench.attack(&args.rates));
    let attacked = attacked.transpose()?;
    if args.json {
        report::json(peaceful.as_ref(), attacked.as_ref(), &args);
    } else {
        report::text(peaceful.as_ref(), attacked.as_ref(), &args);
    }
    Ok(())
}

/// What all turns have in common.
struct Bench {
    interrupts: Interrupts,
    cpus: Cpus,
    timing: Timing,
    rounds: u32,
}

impl Bench {
    fn peace(&self) -> Result<Peaceful> {
        let mut figures = Peaceful::default();
        for _ in 0..self.rounds {
            for filter in AT_PEACE {
                self.interrupts.check()?;
                let values = peace::measure(self.cpus, filter, self.timing)
                    .with_context(|| format!("{} must harm no connection", filter.name))?;
                figures.add(filter, values);
            }
        }
        Ok(figures)
    }

    fn attack(&self, rates: &[u32]) -> Result<Attacked> {
        let of = |flood| rates.iter().map(move |rate| Attack { flood, rate: *rate });
        let mut figures = Attacked::of(FLOODS.into_iter().flat_map(of).collect());
        for _ in 0..self.rounds {
            for attack in figures.attacks.clone() {
                for filter in UNDER_ATTACK {
                    self.interrupts.check()?;
                    let turn = attack::measure(self.cpus, filter, attack, self.timing)?;
                    figures.add(attack, filter, turn);
                }
            }
        }
        Ok(figures)
    }
}
