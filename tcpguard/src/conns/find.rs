//! The guards of this network namespace, seen from another process.
//!
//! Nothing is written down anywhere by a guard that could be stale: what is attached to the
//! interfaces is asked of the kernel, and from there it leads to the tables.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use aya::{maps::MapData, programs::ProgramInfo};
use tcpguard_common::abi;

use crate::{flows::Flows, netlink, programs};

/// A guard at work.
pub(super) struct Found {
    /// The interfaces that it is on, as they are listed.
    pub(super) interfaces: Vec<String>,
    /// Its tables.
    pub(super) flows: Flows,
}

/// All guards of this network namespace, by their first interface.
pub(super) fn guards() -> Result<Vec<Found>> {
    let mut places = BTreeMap::<u32, Vec<String>>::new();
    for interface in netlink::interfaces()? {
        for id in interface.xdp_programs {
            places.entry(id).or_default().push(interface.name.clone());
        }
    }
    let mut guards = Vec::new();
    if !places.is_empty() {
        for program in programs::loaded()? {
            if programs::is_guard(program.name())
                && let Some(interfaces) = places.remove(&program.id())
            {
                let names = interfaces.join(", ");
                let found = guard(&program, interfaces);
                guards.push(found.with_context(|| format!("cannot read the guard on {names}"))?);
            }
        }
    }
    if guards.is_empty() {
        bail!(
            "no guard on any interface of this network namespace: start one with \
             `tcpguard run --iface IF`, or enter the namespace where it runs \
             (nsenter --net=/run/netns/NAME tcpguard conns)"
        );
    }
    guards.sort_by(|one, two| one.interfaces.cmp(&two.interfaces));
    Ok(guards)
}

fn guard(program: &ProgramInfo, interfaces: Vec<String>) -> Result<Found> {
    let ids = program.map_ids().context("failed to ask for its maps")?;
    let mut maps = Vec::new();
    for id in ids.unwrap_or_default() {
        let map = MapData::from_id(id).with_context(|| format!("failed to open its map {id}"))?;
        maps.push(map);
    }
    let named = |name: &str| -> Result<&MapData> {
        for map in &maps {
            let info = map.info()?;
            if info.name() == name.as_bytes() {
                return Ok(map);
            }
        }
        bail!("it has no map {name}, so another version made it (use that one)")
    };
    let flows = Flows::new(named(abi::FLOWS4)?, named(abi::FLOWS6)?)?;
    Ok(Found { interfaces, flows })
}
