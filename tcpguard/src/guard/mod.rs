//! A guard at work: programs loaded, attached to interfaces, read, and gone when it is dropped.
//!
//! The process owns every link. However it ends, by its own will or by kill -9, the kernel takes the
//! programs off with the last file descriptor; unless links are pinned, and the guard is left. Only
//! where tcx is missing (before Linux 6.6) a filter outlives a kill; the next guard on that interface
//! removes it.

mod attach;
mod error;

use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf,
    maps::{Map, MapData, PerCpuArray},
    programs::links::FdLink,
};
use tcpguard_common::{
    abi::{self, Hook, counter_index},
    counters::{Counters, Events},
    policy::{Policy, ReasonSet},
};

pub use self::error::AttachError;
use crate::{
    cli::{GuardArgs, Mode},
    enforce,
    flows::{Census, Flows},
    object::Log,
    pins::{Pin, Pins},
    sample::{Egress, Ingress, InterfaceSample, Sample},
    tracking::{Plan, Tracking},
};

/// How to guard.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names of the interfaces.
    pub interfaces: Vec<String>,
    /// Where the ingress program runs.
    pub mode: Mode,
    /// What is enforced.
    pub policy: Policy,
    /// Whether what is objected to is logged.
    pub log: Log,
    /// How connections are tracked.
    pub tracking: Tracking,
}

/// Programs at work on interfaces.
pub struct Guard {
    ebpf: Ebpf,
    attached: Vec<Attached>,
    plan: Plan,
    census: Census,
    since: Instant,
    enforcing: bool,
}

/// A guarded interface. Dropping the links takes the programs off it.
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Where what arrives is judged.
    pub ingress: Ingress,
    /// Why it is not judged in the driver, if the driver was asked and refused.
    pub refusal: Option<String>,
    /// Where what leaves is seen.
    pub egress: Egress,
    index: u32,
    links: Vec<(Hook, FdLink)>,
}

impl Options {
    /// As the command line has it.
    #[must_use]
    pub fn new(args: &GuardArgs, log: Log) -> Self {
        Self {
            interfaces: args.interfaces.clone(),
            mode: args.mode,
            policy: enforce::policy(args.observe, args.enforce),
            log,
            tracking: Tracking {
                max_conns: args.max_conns,
                learn: args.learn,
                ingress_only: args.ingress_only,
            },
        }
    }
}

impl Guard {
    /// Loads the programs and attaches them. If that fails anywhere, nothing stays attached.
    pub fn attach(options: &Options) -> Result<Self, AttachError> {
        let (ebpf, attached, plan) = attach::attach(options)?;
        let enforcing = options.policy.drop != ReasonSet::EMPTY;
        Ok(Self {
            ebpf,
            attached,
            census: Census::new(plan.connections),
            plan,
            since: Instant::now(),
            enforcing,
        })
    }

    /// Pins all links, so that the guard can be left. If that fails anywhere, nothing stays pinned.
    pub(crate) fn pin(&mut self, pins: &Pins) -> Result<()> {
        let mut made = Vec::new();
        if let Err(error) = self.pin_links(pins, &mut made) {
            for pin in made {
                // Of two failures the first is told.
                let _ = pin.remove();
            }
            return Err(error);
        }
        Ok(())
    }

    /// Leaves it at work when this process ends, if its links are pinned.
    pub(crate) fn leave(self) {
        // A clsact filter is not held by a link, and dropping the program would take it off.
        std::mem::forget(self.ebpf);
    }

    /// What leaves comes first: if this process is killed on the way, what stays only observes, or
    /// judges what arrives with both directions in sight.
    fn pin_links(&mut self, pins: &Pins, made: &mut Vec<Pin>) -> Result<()> {
        for hook in [Hook::Egress, Hook::Ingress] {
            for attached in &mut self.attached {
                for (_, link) in attached.links.extract_if(.., |(of, _)| *of == hook) {
                    made.push(pins.pin(link, attached.index, hook)?);
                }
            }
        }
        Ok(())
    }

    /// The guarded interfaces, in the order in which they were named.
    #[must_use]
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// How connections are tracked.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The maps and programs, for the log.
    pub fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Reads all counters, and counts connections if it is time.
    pub fn sample(&mut self) -> Result<Sample> {
        let ebpf = &self.ebpf;
        let tables = self.census.tables(|| flows(ebpf))?;
        Ok(Sample {
            taken: SystemTime::now(),
            uptime: self.since.elapsed(),
            enforcing: self.enforcing,
            interfaces: self.interfaces()?,
            events: self.events()?,
            tables,
        })
    }

    fn interfaces(&self) -> Result<Vec<InterfaceSample>> {
        let map = self
            .ebpf
            .map(abi::COUNTERS)
            .context("the object has no counters")?;
        let map: PerCpuArray<_, Counters> = map.try_into().context("the counters have no CPUs")?;
        let read = |slot, hook| -> Result<Counters> {
            let index = u32::try_from(counter_index(slot, hook))?;
            let mut sum = Counters::ZERO;
            for cpu in map
                .get(&index, 0)
                .context("failed to read the counters")?
                .iter()
            {
                sum.add(cpu);
            }
            Ok(sum)
        };
        self.attached
            .iter()
            .enumerate()
            .map(|(slot, attached)| {
                Ok(InterfaceSample {
                    name: attached.name.clone(),
                    ingress: attached.ingress,
                    egress: attached.egress,
                    counters: [read(slot, Hook::Ingress)?, read(slot, Hook::Egress)?],
                })
            })
            .collect()
    }

    fn events(&self) -> Result<Events> {
        let map = self
            .ebpf
            .map(abi::EVENTS)
            .context("the object has no events")?;
        let map: PerCpuArray<_, Events> = map.try_into().context("the events have no CPUs")?;
        let mut sum = Events::ZERO;
        let cpus = map.get(&0, 0).context("failed to read the events")?;
        cpus.iter().for_each(|cpu| sum.add(cpu));
        Ok(sum)
    }
}

fn flows(ebpf: &Ebpf) -> Result<Flows> {
    Flows::new(table(ebpf, abi::FLOWS4)?, table(ebpf, abi::FLOWS6)?)
}

fn table<'a>(ebpf: &'a Ebpf, name: &str) -> Result<&'a MapData> {
    let Some(Map::Array(data)) = ebpf.map(name) else {
        bail!("the object has no table {name}");
    };
    Ok(data)
}
