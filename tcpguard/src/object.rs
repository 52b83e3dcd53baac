//! The kernel programs as they are embedded in this binary.

use std::path::Path;

use aya::{Ebpf, EbpfLoader};
use tcpguard_common::{
    abi::{self, Config},
    evidence,
};

/// The object file, part of this binary: one file to copy to a server.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tcpguard.bpf.o"));

/// Whether the kernel programs write debug records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// No record, and no code for one in the loaded programs.
    Off,
    /// A record for each segment that is objected to.
    Debug,
}

impl Log {
    /// `aya_log_common::Level` as the programs compare it; 0 is below every level.
    const fn level(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Debug => aya_log::Level::Debug as u8,
        }
    }
}

/// What a guard has counted and remembers, which the programs of another release can go on with.
pub(crate) const KEPT: [&str; 8] = [
    abi::COUNTERS,
    abi::EVENTS,
    abi::EVIDENCE,
    abi::FULLNESS,
    abi::LISTENERS,
    abi::PRESSURE,
    abi::FLOWS4,
    abi::FLOWS6,
];

/// Creates the maps and relocates the programs with `config` as their constants. Nothing is loaded
/// into the kernel yet but the maps.
pub fn open(config: &Config, log: Log) -> Result<Ebpf, aya::EbpfError> {
    open_over(config, log, None)
}

/// The same, but with the maps [`KEPT`] that are pinned in `maps`, whose shapes nobody checks.
pub(crate) fn open_over(
    config: &Config,
    log: Log,
    maps: Option<&Path>,
) -> Result<Ebpf, aya::EbpfError> {
    let config = &config.settled();
    let slots = (config.interface_count as usize).max(1) * abi::HOOKS;
    let slots = u32::try_from(slots).unwrap_or(u32::MAX);
    let level = log.level();
    let mut loader = EbpfLoader::new();
    if let Some(directory) = maps {
        for name in KEPT {
            loader.map_pin_path(name, directory.join(name));
        }
    }
    loader
        // The programs need no relocation against the kernel's types. aya has read and parsed them
        // by now all the same, which is the peak of this process's memory, and drops them here.
        .btf(None)
        .override_global(abi::CONFIG, config, true)
        .override_global(aya_log::LEVEL, &level, true)
        .map_max_entries(abi::COUNTERS, slots)
        .map_max_entries(abi::EVIDENCE, shelves(config))
        .map_max_entries(abi::PORTS, config.interface_count.max(1))
        .map_max_entries(abi::LIMITS, config.interface_count.max(1))
        .map_max_entries(abi::SOURCES, config.buckets.max(1))
        .map_max_entries(abi::PREFIXES4, config.prefixes[0].max(1))
        .map_max_entries(abi::PREFIXES6, config.prefixes[1].max(1))
        .map_max_entries(abi::FLOWS4, config.sets[0])
        .map_max_entries(abi::FLOWS6, config.sets[1])
        .load(OBJECT)
}

/// Of the frames that are kept, one for each reason and CPU that there can be.
fn shelves(config: &Config) -> u32 {
    let cpus = aya::util::nr_cpus().ok().map(u32::try_from);
    match cpus {
        Some(Ok(cpus)) if config.evidence != 0 => evidence::shelves(cpus),
        _ => 1,
    }
}
