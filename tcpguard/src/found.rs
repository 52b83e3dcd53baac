//! The guards of this network namespace, seen from another process.
//!
//! Nothing is written down anywhere by a guard that could be stale: what is attached to the
//! interfaces is asked of the kernel, and from there it leads to the maps.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use aya::{
    maps::{Array, Map, MapData},
    programs::{ProgramFd, ProgramInfo, SchedClassifier, TcAttachType},
};
use tcpguard_common::{
    abi::{self, CONFIG_MAP, CONFIG_MAPS, Config, EGRESS_PROGRAM, Hook},
    conn::{seen::Voice, time::Ticks},
};

use crate::{
    admission::{
        self, Admission,
        cookies::Cookies,
        opening::{self, Opening},
        sources::Sources,
    },
    clock,
    evidence::Evidence,
    flows::{Census, Flows},
    netlink::{self, Interface},
    programs,
    reader::{self, Guarded, Place, Reader},
    sample::{Egress, Ingress},
};

/// A guard at work.
pub(crate) struct Found {
    /// Its ingress program; the newer one in the middle of an exchange.
    pub(crate) program: ProgramInfo,
    /// The interfaces that it is on, as they are listed.
    pub(crate) interfaces: Vec<Interface>,
    maps: BTreeMap<String, Map>,
}

/// All guards of this network namespace, by their first interface.
pub(crate) fn guards() -> Result<Vec<Found>> {
    let mut guards = Vec::new();
    for half in halves()? {
        join(&mut guards, half);
    }
    guards.sort_by_key(Found::names);
    Ok(guards)
}

/// Adds a guard; to another one if both work on the same table, as they do while the programs of a
/// guard of several interfaces are exchanged, or ever since that was killed.
fn join(guards: &mut Vec<Found>, guard: Found) {
    let table = guard.table().ok();
    let is_half = |it: &&mut Found| table.is_some() && it.table().ok() == table;
    let Some(half) = guards.iter_mut().find(is_half) else {
        guards.push(guard);
        return;
    };
    half.interfaces.extend(guard.interfaces);
    half.interfaces.sort_by_key(|it| it.index);
    if half.program.id() < guard.program.id() {
        half.program = guard.program;
        half.maps = guard.maps;
    }
}

/// The same, but a guard in the middle of an exchange is two: each with its own program.
pub(crate) fn halves() -> Result<Vec<Found>> {
    // A program that is exchanged while it is looked at takes its constants with it.
    look().or_else(|_| look()).or_else(|_| look())
}

fn look() -> Result<Vec<Found>> {
    let mut places = BTreeMap::<u32, Vec<Interface>>::new();
    for interface in netlink::interfaces()? {
        for id in &interface.xdp_programs {
            places.entry(*id).or_default().push(interface.clone());
        }
    }
    let mut guards = Vec::new();
    if places.is_empty() {
        return Ok(guards);
    }
    for program in programs::loaded()? {
        if let Some(interfaces) = places.remove(&program.id())
            && programs::is_guard(program.name())
        {
            guards.push(Found::open(program, interfaces)?);
        }
    }
    if let Some((id, interfaces)) = places.first_key_value() {
        let names: Vec<_> = interfaces.iter().map(|it| it.name.as_str()).collect();
        bail!("the program {id} on {} has gone", names.join(", "));
    }
    guards.sort_by_key(Found::names);
    Ok(guards)
}

/// All guards, for a command that makes no sense without any; `command` is what it is called.
pub(crate) fn at_least_one(command: &str) -> Result<Vec<Found>> {
    let guards = guards()?;
    if guards.is_empty() {
        bail!(
            "no guard on any interface of this network namespace: start one with \
             `tcpguard run --iface IF`, or enter the namespace where it runs \
             (nsenter --net=/run/netns/NAME tcpguard {command})"
        );
    }
    Ok(guards)
}

/// The only guard, for what is not done to several; `what` is.
pub(crate) fn single<T>(mut guards: Vec<T>, found: impl Fn(&T) -> &Found, what: &str) -> Result<T> {
    let names = guards.iter().map(|it| found(it).names().join(" and "));
    let names: Vec<_> = names.collect();
    match guards.pop() {
        Some(guard) if guards.is_empty() => Ok(guard),
        _ => bail!(
            "there are {} guards, and one {what} at a time: choose by --iface ({})",
            names.len(),
            names.join("; ")
        ),
    }
}

impl Found {
    fn open(program: ProgramInfo, interfaces: Vec<Interface>) -> Result<Self> {
        let ids = program.map_ids().context("failed to ask for its maps")?;
        let mut maps = BTreeMap::new();
        for id in ids.unwrap_or_default() {
            let map = MapData::from_id(id);
            let map = map.with_context(|| format!("failed to open its map {id}"))?;
            let name = String::from_utf8_lossy(map.info()?.name()).into_owned();
            maps.insert(name, Map::from_map_data(map)?);
        }
        Ok(Self {
            program,
            interfaces,
            maps,
        })
    }

    /// The names of its interfaces.
    pub(crate) fn names(&self) -> Vec<String> {
        self.interfaces.iter().map(|it| it.name.clone()).collect()
    }

    /// The constants that its programs were loaded with.
    pub(crate) fn config(&self) -> Result<Config> {
        let Some(map) = self.maps.get(CONFIG_MAP) else {
            bail!(self.foreign());
        };
        let map = Array::<_, Config>::try_from(map)?;
        map.get(&0, 0).context("failed to read its configuration")
    }

    /// What may be opened from outside, by its interfaces' slots.
    pub(crate) fn openings(&self) -> Result<Vec<Opening>> {
        let config = self.config()?;
        opening::read([self.map(abi::PORTS)?, self.map(abi::LIMITS)?], &config)
    }

    /// What is said of sources.
    pub(crate) fn sources(&self) -> Result<Sources> {
        self.config()?;
        Sources::of([self.map(abi::PREFIXES4)?, self.map(abi::PREFIXES6)?])
    }

    /// All that is said of who may.
    pub(crate) fn admission(&self) -> Result<Admission> {
        let config = self.config()?;
        Ok(Admission {
            openings: self.openings()?,
            source: admission::source_prefix(&config),
            sources: self.sources()?,
            cookies: Cookies::of(&config),
        })
    }

    /// The interfaces that it was attached to, by their slots; nothing where one is gone.
    pub(crate) fn slots(&self, config: &Config) -> impl Iterator<Item = Option<&Interface>> {
        let indices: Vec<_> = config.guarded().map(|slot| slot.index).collect();
        let of = |index| self.interfaces.iter().find(|it| it.index == index);
        indices.into_iter().map(of)
    }

    /// A map of it.
    pub(crate) fn map(&self, name: &str) -> Result<&Map> {
        let map = self.maps.get(name);
        map.with_context(|| missing(name))
    }

    /// Its tables.
    pub(crate) fn flows(&self) -> Result<Flows> {
        self.config()?;
        reader::mapped([self.map(abi::FLOWS4)?, self.map(abi::FLOWS6)?])
    }

    /// The frames that it has objected to, and those that it will object to.
    pub(crate) fn evidence(&self) -> Result<Evidence> {
        self.config()?;
        Evidence::new(self.map(abi::EVIDENCE)?)
    }

    /// The kernel's number of its table of IPv4.
    pub(crate) fn table(&self) -> Result<u32> {
        Ok(reader::array(self.map(abi::FLOWS4)?)?.info()?.id())
    }

    /// What it counts.
    pub(crate) fn reader(mut self) -> Result<Reader> {
        let config = self.config()?;
        let places = config.guarded().map(|slot| self.place(*slot, &config));
        let guarded = Guarded {
            places: places.collect(),
            since: since(self.age(&config)),
            drop: config.ingress.drop,
            programs: self.programs()?,
        };
        let census = Census::at_work(config.connections);
        let take = |name: &str| self.maps.remove(name).with_context(|| missing(name));
        Reader::new(take, census, guarded)
    }

    /// Its programs by hook; that of egress where the kernel tells of it.
    fn programs(&self) -> Result<Vec<(Hook, ProgramFd)>> {
        let mut programs = vec![(Hook::Ingress, self.program.fd()?)];
        let mut observers = self.interfaces.iter().filter_map(|it| observer(it).ok()?);
        if let Some((_, observer)) = observers.next() {
            programs.push((Hook::Egress, observer.fd()?));
        }
        Ok(programs)
    }

    /// An interface by the number under which the guard knows it.
    fn place(&self, slot: abi::Interface, config: &Config) -> Place {
        match self.interfaces.iter().find(|it| it.index == slot.index) {
            Some(interface) => Place {
                name: interface.name.clone(),
                link: slot.link(),
                ingress: ingress(interface),
                egress: egress(interface, config),
            },
            // It was deleted, and its name with it.
            None => Place {
                name: format!("#{}", slot.index),
                link: slot.link(),
                ingress: Ingress::Native,
                egress: Egress::None,
            },
        }
    }

    /// How long it has been attached: since its program was loaded, or, if that is not its first one,
    /// since its configuration was made.
    pub(crate) fn age(&self, config: &Config) -> Duration {
        let loaded = self.program.loaded_at();
        let loaded = loaded.and_then(|loaded| SystemTime::now().duration_since(loaded).ok());
        // Ticks are coarse: what is in the future by one or two is now.
        let early = Ticks(config.learn_from.0.wrapping_add(2));
        let configured = match clock::now().since(early) {
            ticks if ticks <= u32::MAX / 2 => clock::time(ticks),
            _ => Duration::ZERO,
        };
        loaded.unwrap_or_default().max(configured)
    }

    /// Why a guard of another version cannot be read.
    fn foreign(&self) -> String {
        let mut versions = self
            .maps
            .keys()
            .filter_map(|name| name.strip_prefix(CONFIG_MAPS));
        let theirs = versions
            .next_back()
            .map_or_else(String::new, |abi| format!(" (ABI {abi})"));
        format!(
            "another version of tcpguard made it{theirs}, which this one ({}, ABI {}) cannot read: \
             use that version",
            env!("CARGO_PKG_VERSION"),
            abi::ABI_VERSION
        )
    }
}

fn missing(name: &str) -> String {
    format!("it has no map {name}")
}

/// So long ago.
fn since(age: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(age).unwrap_or(now)
}

/// Where what arrives is judged.
pub(crate) fn ingress(interface: &Interface) -> Ingress {
    if interface.is_generic {
        Ingress::Generic
    } else {
        Ingress::Native
    }
}

/// Where what leaves is seen.
pub(crate) fn egress(interface: &Interface, config: &Config) -> Egress {
    if config.voice == u32::from(Voice::LONE.number()) {
        return Egress::Unseen;
    }
    if interface.is_loopback() {
        return Egress::None;
    }
    match observer(interface) {
        Ok(Some((egress, _))) => egress,
        Ok(None) | Err(_) => Egress::None,
    }
}

/// The program of ours that sees what leaves, and by which kind of hook.
pub(crate) fn observer(interface: &Interface) -> Result<Option<(Egress, ProgramInfo)>> {
    let tcx = SchedClassifier::query_tcx(&interface.name, TcAttachType::Egress);
    let (egress, programs) = if let Ok((_, programs)) = tcx {
        (Egress::Tcx, programs)
    } else {
        // Before Linux 6.6 there is no tcx to ask about.
        let filters = netlink::egress_filters(interface)?;
        let mut programs = programs::loaded()?;
        programs.retain(|program| filters.contains(&program.id()));
        (Egress::Clsact, programs)
    };
    let mut programs = programs.into_iter();
    let ours = programs.find(|it| programs::is_cut(it.name(), EGRESS_PROGRAM));
    Ok(ours.map(|program| (egress, program)))
}
