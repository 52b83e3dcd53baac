//! What a guard counts, read from its maps: by the process that attached it, or by any other.

use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use aya::{
    maps::{Map, MapData, PerCpuArray},
    programs::ProgramFd,
};
use tcpguard_common::{
    abi::{self, Hook, counter_index},
    counters::{Counters, Events},
    parse::Link,
    policy::ReasonSet,
};

use crate::{
    evidence::{Evidence, lookout::Lookout},
    flows::{Census, Flows},
    programs::Runs,
    sample::{Egress, Ingress, InterfaceSample, Sample},
};

/// An interface as the first slots of [`abi::Config::interfaces`] have them.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    /// What its frames begin with.
    pub(crate) link: Link,
    pub(crate) ingress: Ingress,
    pub(crate) egress: Egress,
}

/// What stays the same while a guard is read.
pub(crate) struct Guarded {
    pub(crate) places: Vec<Place>,
    /// When it was attached.
    pub(crate) since: Instant,
    /// Reasons that drop what arrives.
    pub(crate) drop: ReasonSet,
    /// Its programs.
    pub(crate) programs: Vec<(Hook, ProgramFd)>,
}

/// The maps of a guard that are read.
pub(crate) struct Reader {
    counters: PerCpuArray<MapData, Counters>,
    events: PerCpuArray<MapData, Events>,
    evidence: Map,
    flows: [Map; 2],
    census: Census,
    guarded: Guarded,
}

impl Reader {
    /// Of the maps that `take` returns by their names.
    pub(crate) fn new(
        mut take: impl FnMut(&str) -> Result<Map>,
        census: Census,
        guarded: Guarded,
    ) -> Result<Self> {
        let counters = take(abi::COUNTERS)?;
        let events = take(abi::EVENTS)?;
        Ok(Self {
            counters: counters.try_into().context("its counters have no CPUs")?,
            events: events.try_into().context("its events have no CPUs")?,
            evidence: take(abi::EVIDENCE)?,
            flows: [take(abi::FLOWS4)?, take(abi::FLOWS6)?],
            census,
            guarded,
        })
    }

    /// Reads all counters, and counts connections if it is time.
    pub(crate) fn sample(&mut self) -> Result<Sample> {
        let flows = &self.flows;
        let tables = self.census.tables(|| mapped(flows.each_ref()))?;
        Ok(Sample {
            taken: SystemTime::now(),
            uptime: self.guarded.since.elapsed(),
            enforcing: self.guarded.drop != ReasonSet::EMPTY,
            interfaces: self.interfaces()?,
            events: self.events()?,
            tables,
            runs: self.runs(),
            alarms: Vec::new(),
        })
    }

    /// Its tables, mapped for as long as they are looked at.
    pub(crate) fn flows(&self) -> Result<Flows> {
        mapped(self.flows.each_ref())
    }

    fn runs(&self) -> Vec<(Hook, Runs)> {
        let programs = self.guarded.programs.iter();
        programs
            .filter_map(|(hook, program)| Some((*hook, Runs::of(program)?)))
            .collect()
    }

    /// What it keeps of the frames that it objects to from now on.
    pub(crate) fn lookout(&self) -> Result<Lookout> {
        let links = self.guarded.places.iter().map(|place| place.link);
        let evidence = Evidence::from_now(&self.evidence)?;
        Ok(Lookout::new(evidence, links.collect()))
    }

    fn interfaces(&self) -> Result<Vec<InterfaceSample>> {
        let places = self.guarded.places.iter().enumerate();
        places
            .map(|(slot, place)| {
                let Place {
                    name,
                    ingress,
                    egress,
                    ..
                } = place.clone();
                Ok(InterfaceSample {
                    name,
                    ingress,
                    egress,
                    counters: [
                        self.counters(slot, Hook::Ingress)?,
                        self.counters(slot, Hook::Egress)?,
                    ],
                })
            })
            .collect()
    }

    fn counters(&self, slot: usize, hook: Hook) -> Result<Counters> {
        let index = u32::try_from(counter_index(slot, hook))?;
        let cpus = self.counters.get(&index, 0);
        let cpus = cpus.context("failed to read the counters")?;
        let mut sum = Counters::ZERO;
        for cpu in cpus.iter() {
            sum.add(cpu);
        }
        Ok(sum)
    }

    fn events(&self) -> Result<Events> {
        let cpus = self.events.get(&0, 0);
        let cpus = cpus.context("failed to read the events")?;
        let mut sum = Events::ZERO;
        for cpu in cpus.iter() {
            sum.add(cpu);
        }
        Ok(sum)
    }
}

/// Both tables in this process's memory.
pub(crate) fn mapped([v4, v6]: [&Map; 2]) -> Result<Flows> {
    Flows::new(array(v4)?, array(v6)?)
}

/// An array, which can be mapped.
pub(crate) fn array(map: &Map) -> Result<&MapData> {
    if let Map::Array(data) = map {
        return Ok(data);
    }
    bail!("its map is not an array")
}
