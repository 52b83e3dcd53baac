//! What a guard counts, read from its maps: by the process that attached it, or by any other.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Pod,
    maps::{Array, Map, MapData, PerCpuArray, PerCpuValues},
    programs::ProgramFd,
};
use tcpguard_common::{
    abi::{self, Hook, counter_index},
    cookie::pressure::Pressure,
    counters::{Counters, Events},
    parse::Link,
    policy::ReasonSet,
};

use crate::{
    evidence::{Evidence, lookout::Lookout},
    flows::{Census, Flows},
    object::KEPT,
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

/// What stays the same while a guard has the same programs.
pub(crate) struct Guarded {
    pub(crate) places: Vec<Place>,
    /// When it was attached.
    pub(crate) since: Instant,
    /// Reasons that drop what arrives.
    pub(crate) drop: ReasonSet,
    /// Its programs.
    pub(crate) programs: Vec<(Hook, ProgramFd)>,
}

/// What a guard has counted and remembers, which is read.
pub(crate) struct Reader {
    /// Those of [`KEPT`].
    maps: BTreeMap<&'static str, Map>,
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
        let maps = KEPT.into_iter().map(|name| Ok((name, take(name)?)));
        Ok(Self {
            maps: maps.collect::<Result<_>>()?,
            census,
            guarded,
        })
    }

    /// Makes a map that is kept a file in bpffs.
    pub(crate) fn pin(&self, name: &str, file: &Path) -> Result<()> {
        Ok(self.map(name)?.pin(file)?)
    }

    /// Other programs work on these maps now, which drop for these reasons.
    pub(crate) fn go_on_with(&mut self, programs: Vec<(Hook, ProgramFd)>, drop: ReasonSet) {
        self.guarded.programs = programs;
        self.guarded.drop = drop;
    }

    fn map(&self, name: &str) -> Result<&Map> {
        let map = self.maps.get(name);
        map.with_context(|| format!("it has no map {name}"))
    }

    /// Reads all counters, and counts connections if it is time.
    pub(crate) fn sample(&mut self) -> Result<Sample> {
        let Self { maps, census, .. } = self;
        let tables = census.tables(|| flows(maps))?;
        let arrived = self.events(Hook::Ingress)?;
        let mut events = self.events(Hook::Egress)?;
        events.add(&arrived);
        Ok(Sample {
            taken: SystemTime::now(),
            uptime: self.guarded.since.elapsed(),
            enforcing: self.guarded.drop != ReasonSet::EMPTY,
            interfaces: self.interfaces()?,
            events,
            arrived,
            pressure: Array::<_, Pressure>::try_from(self.map(abi::PRESSURE)?)?.get(&0, 0)?,
            tables,
            runs: self.runs(),
            alarms: Vec::new(),
        })
    }

    /// Its tables, mapped for as long as they are looked at.
    pub(crate) fn flows(&self) -> Result<Flows> {
        flows(&self.maps)
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
        let evidence = Evidence::from_now(self.map(abi::EVIDENCE)?)?;
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
        let mut sum = Counters::ZERO;
        for cpu in self.cpus::<Counters>(abi::COUNTERS, index)?.iter() {
            sum.add(cpu);
        }
        Ok(sum)
    }

    fn events(&self, hook: Hook) -> Result<Events> {
        let mut sum = Events::ZERO;
        for cpu in self.cpus::<Events>(abi::EVENTS, hook as u32)?.iter() {
            sum.add(cpu);
        }
        Ok(sum)
    }

    /// What each CPU has in a place of a map.
    fn cpus<T: Pod>(&self, name: &str, index: u32) -> Result<PerCpuValues<T>> {
        let map = PerCpuArray::<_, T>::try_from(self.map(name)?)?;
        let cpus = map.get(&index, 0);
        cpus.with_context(|| format!("failed to read {name}"))
    }
}

fn flows(maps: &BTreeMap<&'static str, Map>) -> Result<Flows> {
    let of = |name| maps.get(name).context("it has no table");
    mapped([of(abi::FLOWS4)?, of(abi::FLOWS6)?])
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
