//! The programs that are measured.

use std::path::Path;

use anyhow::{Context as _, Result};
use aya::{Ebpf, EbpfLoader, maps::PerCpuArray, programs::Xdp};
use tcpguard::{
    clock,
    object::{self, Log},
};
use tcpguard_common::{
    abi::{self, Config},
    conn::state::State,
    counters::Events,
    table,
};

static BASELINE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/baseline.bpf.o"));

/// A guard that tracks so many connections of IPv4 and of IPv6.
pub(crate) fn tracking([ipv4, ipv6]: [u32; 2]) -> Config {
    Config {
        tracking: 1,
        evidence: 1,
        sets: [table::sets_for(ipv4), table::sets_for(ipv6)],
        per_jiffy: clock::per_jiffy(),
        seed: table::key::Seed::known(1),
        ..Config::DEFAULT
    }
}

/// The guard as it is shipped.
pub(crate) fn guard(config: &Config) -> Result<Ebpf> {
    let mut object = object::open(config, Log::Off).context("failed to open the guard")?;
    load(&mut object)?;
    Ok(object)
}

/// What it is measured against, with room for `connections` in the hash maps.
pub(crate) fn baseline(config: &Config, connections: [u32; 2]) -> Result<Ebpf> {
    let mut object = open_baseline(config, connections)?;
    load(&mut object)?;
    Ok(object)
}

/// One of its programs over maps of a guard that are pinned in a directory, by the names of files there,
/// whose constants it needs as well.
pub(crate) fn baseline_over(
    config: &Config,
    pinned: &Path,
    names: &[&str],
    program: &str,
) -> Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    for name in names {
        loader.map_pin_path(name, pinned.join(name));
    }
    let mut object = open(loader, config, [1, 1])?;
    let found = object.program_mut(program);
    let found: &mut Xdp = found.context("no such program")?.try_into()?;
    found
        .load()
        .with_context(|| format!("failed to load {program}"))?;
    Ok(object)
}

/// Its maps alone.
pub(crate) fn open_baseline(config: &Config, connections: [u32; 2]) -> Result<Ebpf> {
    open(EbpfLoader::new(), config, connections)
}

fn open<'a>(
    mut loader: EbpfLoader<'a>,
    config: &'a Config,
    [ipv4, ipv6]: [u32; 2],
) -> Result<Ebpf> {
    loader
        .btf(None)
        .override_global(abi::CONFIG, config, true)
        .map_max_entries(abi::FLOWS4, config.sets[0])
        .map_max_entries(abi::FLOWS6, config.sets[1])
        .map_max_entries("HASH4", ipv4)
        .map_max_entries("HASH6", ipv6)
        .load(BASELINE)
        .context("failed to open the baseline")
}

fn load(object: &mut Ebpf) -> Result<()> {
    for (name, program) in object.programs_mut() {
        if let Ok(program) = TryInto::<&mut Xdp>::try_into(program) {
            program
                .load()
                .with_context(|| format!("failed to load {name}"))?;
        }
    }
    Ok(())
}

/// How often a connection was established, by the guard in this object.
pub(crate) fn established(object: &Ebpf) -> Result<u64> {
    let map = object.map(abi::EVENTS).context("no map of events")?;
    let map: PerCpuArray<_, Events> = map.try_into()?;
    let values = map.get(&0, 0).context("failed to read the events")?;
    let transition = |events: &Events| {
        events.transitions[State::SynReceived as usize][State::Established as usize]
    };
    Ok(values.iter().map(transition).sum())
}
