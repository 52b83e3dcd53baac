//! Memory of the kernel for each connection.

use std::{collections::HashMap, fs};

use anyhow::{Context as _, Result};
use aya::Ebpf;
use tcpguard::object::{self, Log};

use crate::{
    Args,
    place::Place,
    report::{Column, Section},
    tracked::objects,
};

/// That of the guard's tables, and that of the kernel's hash map for the same entries.
pub(crate) fn measure(_: &Place, args: &Args) -> Result<Section> {
    let all = args.connections;
    let small = objects::tracking([1, 1]);
    let mut rows = Vec::new();
    for (family, room) in [("IPv4", [all, 1]), ("IPv6", [1, all])] {
        let guard = held(|| Ok(object::open(&objects::tracking(room), Log::Off)?))?;
        let hash = held(|| objects::open_baseline(&small, room))?;
        for (name, octets) in [("guard", guard), ("kernel hash", hash)] {
            rows.push((format!("{name}, {family}"), vec![octets / f64::from(all)]));
        }
    }
    Ok(Section {
        columns: vec![Column::new("octets each", "octets_a_connection")],
        rows,
    })
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
