//! How connections are tracked: the size of the table, what is learned, on whose word.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::rand::{GetRandomFlags, getrandom};
use tcpguard_common::{
    abi::Config,
    conn::seen::Voice,
    flow::{FlowKey4, FlowKey6},
    table::{Set, key::Seed, sets_for},
};

use crate::clock;

/// What an operator says about tracking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracking {
    /// Connections of each version of IP; `None` is what suits the memory.
    pub max_conns: Option<u32>,
    /// How long connections are learned; `None` is what suits the host.
    pub learn: Option<Duration>,
    /// Whether what leaves is never seen.
    pub ingress_only: bool,
}

/// How long connections through this host are learned after the start.
const LEARN: Duration = Duration::from_mins(1);
/// The default table takes this part of the memory there is.
const PART_OF_MEMORY: u64 = 256;

impl Tracking {
    /// What that comes to on this host. `bridges` tells whether a guarded interface is a port of a
    /// bridge.
    pub fn plan(&self, bridges: bool) -> Result<Plan> {
        let transit = bridges || forwards();
        Ok(Plan {
            transit,
            connections: match self.max_conns {
                Some(connections) => connections,
                None => suited_to(memory()?),
            },
            learning: match self.learn {
                Some(time) => time,
                // Of what goes through, to whomever, no socket here can tell.
                None if transit => LEARN,
                None => Duration::ZERO,
            },
            ingress_only: self.ingress_only,
        })
    }
}

/// How connections are tracked.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Connections of each version of IP that there is room for.
    pub connections: u32,
    /// How long connections are taken over that were there before.
    pub learning: Duration,
    /// Whether connections of others go through this host.
    pub transit: bool,
    /// Whether what leaves is never seen.
    pub ingress_only: bool,
}

impl Plan {
    /// The constants that follow.
    pub fn apply(&self, config: Config) -> Result<Config> {
        let sets = sets_for(self.connections);
        Ok(Config {
            tracking: 1,
            voice: if self.ingress_only { VOICE_LONE } else { 0 },
            learn_from: clock::now(),
            learn_for: clock::ticks(self.learning),
            transit: u32::from(self.transit),
            connections: self.connections,
            sets: [sets, sets],
            per_jiffy: clock::per_jiffy(),
            seed: seed()?,
            ..config
        })
    }
}

const VOICE_LONE: u32 = Voice::LONE.number() as u32;

/// Octets of kernel memory that the tables for so many connections take.
#[must_use]
pub fn octets(connections: u32) -> u64 {
    let set = size_of::<Set<FlowKey4>>() + size_of::<Set<FlowKey6>>();
    u64::from(sets_for(connections)) * set as u64
}

/// A power of two of connections, so that the tables take a small part of the memory.
fn suited_to(memory: u64) -> u32 {
    const FEWEST: u32 = 1 << 14;
    const MOST: u32 = 1 << 20;
    let mut connections = FEWEST;
    while connections < MOST && octets(connections * 2) <= memory / PART_OF_MEMORY {
        connections *= 2;
    }
    connections
}

/// Octets of memory of this machine.
fn memory() -> Result<u64> {
    const MEMINFO: &str = "/proc/meminfo";
    let text = fs::read_to_string(MEMINFO).with_context(|| format!("failed to read {MEMINFO}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kibibytes: u64 = kibibytes
        .and_then(|number| number.trim().parse().ok())
        .with_context(|| format!("{MEMINFO} does not tell MemTotal"))?;
    Ok(kibibytes * 1024)
}

/// Whether packets of others go through this host.
fn forwards() -> bool {
    ["ipv4/conf/all/forwarding", "ipv6/conf/all/forwarding"]
        .iter()
        .any(|name| {
            let value = fs::read_to_string(format!("/proc/sys/net/{name}"));
            value.is_ok_and(|value| value.trim() != "0")
        })
}

/// Fresh at each start, so that nobody outside can aim at a set.
fn seed() -> Result<Seed> {
    Seed::draw(|| {
        let mut octets = [0; size_of::<u64>()];
        let filled =
            getrandom(&mut octets, GetRandomFlags::empty()).context("failed to get a seed")?;
        ensure!(filled == octets.len(), "the kernel gave too short a seed");
        Ok(u64::from_ne_bytes(octets))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_default_table_grows_with_the_memory_between_bounds() {
        assert_eq!(suited_to(0), 1 << 14);
        assert_eq!(suited_to(24 * GIB), 1 << 18);
        assert_eq!(suited_to(4096 * GIB), 1 << 20);
    }

    #[test]
    fn a_connection_takes_what_is_promised() {
        let connections = 1 << 20;
        let sets = u64::from(sets_for(connections));
        let v4 = sets * size_of::<Set<FlowKey4>>() as u64;
        let v6 = sets * size_of::<Set<FlowKey6>>() as u64;
        assert!(v4 <= 110 * u64::from(connections), "{v4}");
        assert!(v6 <= 180 * u64::from(connections), "{v6}");
        assert_eq!(octets(connections), v4 + v6);
    }
}
