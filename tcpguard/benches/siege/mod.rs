//! A siege: legitimate connections of several kinds, through each flood, with faults thrown in meanwhile, behind several filters side by side.
//!
//! In each turn a filter stands before a server of its own (two namespaces and a cable, as in `benches/lab`) that
//! clients have connections to. Of tcpguard it is an error if one of them is lost, if a segment passes that is
//! known for one of the flood, if a frame is counted twice or not at all, or if it takes more memory than it may;
//! how fast anything is never is.
//!
//! `cargo xtask siege` runs it; the test target `live_siege` runs the quick one.

mod battle;
mod defence;
mod fault;
mod filter;
#[path = "../lab/mod.rs"]
mod lab;
mod limits;
mod report;
mod tap;
mod traffic;
mod wave;

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

pub(crate) use self::report::Siege;
use self::{
    filter::Filter,
    lab::{cpus::Cpus, interrupts::Interrupts},
    wave::Wave,
};

/// What is done, in this order.
pub(crate) struct Plan {
    /// What faults are drawn by.
    pub(crate) seed: u64,
    /// How long each flood lasts.
    turn: Duration,
    /// Floods; the first of them is none at all.
    waves: Vec<Option<Wave>>,
    /// After that no other flood begins: connections that are lost are waited for.
    longest: Duration,
    /// In how many of them the other filters have their turn, too.
    beside: usize,
}

impl Plan {
    /// So long at least may a flood last, and so long does it take to make a server and its connections, and to end
    /// them, unless they suffer.
    const SHORTEST: Duration = Duration::from_secs(3);
    const AROUND: Duration = Duration::from_secs(2);

    /// Each kind of flood once, in a minute and a half; the other filters only where there is none.
    pub(crate) fn quick(seed: u64) -> Self {
        Self {
            seed,
            turn: Duration::from_secs(1),
            waves: Wave::first(lab::flood::Flood::ALL.len()),
            longest: Duration::MAX,
            beside: 1,
        }
    }

    /// As many floods as there is time for, and all of them equally long.
    pub(crate) fn lasting(minutes: u32, seed: u64) -> Self {
        let filters = u32::try_from(filter::ALL.len()).unwrap_or(1);
        let each = Duration::from_mins(1) * minutes / filters;
        let number = each.as_secs() / (Self::SHORTEST + Self::AROUND).as_secs();
        let waves = Wave::first(usize::try_from(number).unwrap_or(usize::MAX));
        let number = u32::try_from(waves.len()).unwrap_or(u32::MAX);
        let turn = (each / number).saturating_sub(Self::AROUND);
        Self {
            seed,
            turn: turn.max(Self::SHORTEST),
            waves,
            longest: Duration::from_mins(1) * minutes,
            beside: usize::MAX,
        }
    }
}

/// Does it. That a filter fails is in the result; an error is that it cannot be tried.
pub(crate) fn run(plan: &Plan) -> Result<Siege> {
    let interrupts = Interrupts::catch()?;
    let cpus = Cpus::of_this_process()?;
    let mut siege = Siege::new(plan.seed, plan.turn);
    let start = Instant::now();
    for (number, wave) in plan.waves.iter().enumerate() {
        if start.elapsed() > plan.longest {
            break;
        }
        let is_for = |filter: &Filter| number < plan.beside || filter.is_tcpguard();
        for filter in filter::ALL.into_iter().filter(is_for) {
            interrupts.check()?;
            progress((number, plan.waves.len()), *wave, filter);
            let deck = fault::deal(plan.seed, number, plan.turn);
            let turn = battle::fight(cpus, filter, *wave, &deck, plan).with_context(|| {
                let (seed, flood) = (plan.seed, wave::name(*wave));
                format!("seed {seed}: {flood}, {}", filter.name)
            })?;
            siege.turns.push(turn);
        }
    }
    Ok(siege)
}

/// On one line that the next one overwrites, where somebody watches.
fn progress((done, of): (usize, usize), wave: Option<Wave>, filter: Filter) {
    if std::io::stderr().is_terminal() {
        let what = format!("{}, {}", wave::name(wave), filter.name);
        eprint!("\r{:>3} of {of}: {what:<70}\r", done + 1);
    }
}
