//! What is paid once: memory and time to load.

use std::{collections::HashMap, fs, time::Instant};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    programs::{SchedClassifier, Xdp},
};
use tcpguard::object::{self, Log};
use tcpguard_common::abi::{Config, EGRESS_PROGRAM, INGRESS_PROGRAM};

use crate::objects;

/// Connections that memory is divided by.
const CONNECTIONS: u32 = 1 << 20;

/// One figure.
pub(crate) struct Cost {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) amount: f64,
}

/// What the command line calls this stage.
pub(crate) const NAME: &str = "memory and loading";

/// All of them.
pub(crate) fn measure() -> Result<Vec<Cost>> {
    let mut costs = Vec::new();
    let mut note = |name, unit, amount| costs.push(Cost { name, unit, amount });
    for (family, room) in [
        ("guard, IPv4", [CONNECTIONS, 1]),
        ("guard, IPv6", [1, CONNECTIONS]),
    ] {
        let octets = held(|| Ok(object::open(&objects::tracking(room), Log::Off)?))?;
        note(
            family,
            "octets a connection",
            octets / f64::from(CONNECTIONS),
        );
    }
    let small = objects::tracking([1, 1]);
    for (family, room) in [
        ("kernel hash, IPv4", [CONNECTIONS, 1]),
        ("kernel hash, IPv6", [1, CONNECTIONS]),
    ] {
        let octets = held(|| objects::open_baseline(&small, room))?;
        note(
            family,
            "octets a connection",
            octets / f64::from(CONNECTIONS),
        );
    }
    for (name, config) in [
        ("both programs loaded, without tracking", &Config::DEFAULT),
        ("both programs loaded, with tracking", &small),
    ] {
        note(name, "ms", load(config)?);
    }
    Ok(costs)
}

/// Octets of kernel memory that the maps take which `open` makes.
fn held(open: impl FnOnce() -> Result<Ebpf>) -> Result<f64> {
    let before = memory_of_maps()?;
    let object = open()?;
    let after = memory_of_maps()?;
    drop(object);
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^52 octets")]
    Ok((after - before) as f64)
}

/// As the kernel tells it of each map that this process holds.
fn memory_of_maps() -> Result<u64> {
    let mut maps = HashMap::new();
    for entry in fs::read_dir("/proc/self/fdinfo").context("failed to list open files")? {
        // The listing itself is a file that is closed by now.
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse::<u64>().ok()
        };
        if let (Some(map), Some(octets)) = (field("map_id:"), field("memlock:")) {
            maps.insert(map, octets);
        }
    }
    Ok(maps.values().sum())
}

/// Milliseconds until the kernel has checked both programs.
fn load(config: &Config) -> Result<f64> {
    let mut object = object::open(config, Log::Off)?;
    let start = Instant::now();
    let ingress = object.program_mut(INGRESS_PROGRAM);
    let ingress: &mut Xdp = ingress.context("no ingress program")?.try_into()?;
    ingress.load()?;
    let egress = object.program_mut(EGRESS_PROGRAM);
    let egress: &mut SchedClassifier = egress.context("no egress program")?.try_into()?;
    egress.load()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}
