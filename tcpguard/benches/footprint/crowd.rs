//! Connections in the table of a guard at work.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::{
    Ebpf,
    maps::{Array, Map, MapData},
    programs::loaded_programs,
};
use tcpguard::flows::{Census, Connection, Flows};
use tcpguard_common::{
    abi::{self, CONFIG_MAP, Config},
    craft::TcpFrame,
};

use crate::{
    place::Place,
    tracked::{
        handshake::{establish, handshake},
        objects,
        path::{PASS, Path as Run},
        shuffle::Shuffle,
    },
};

/// The guard with another connection each time.
const GUARD: &str = "shuffled_guard";
/// What it works on, which is that of the guard at work.
const SHARED: [&str; 3] = [abi::FLOWS4, abi::FLOWS6, abi::EVENTS];

/// The guard's own code, over the tables of the one that is attached.
pub(crate) struct Crowd {
    object: Ebpf,
    /// A segment of one that is established.
    frame: Vec<u8>,
    connections: u32,
}

/// The tables of the guard that is attached, to be read.
pub(crate) struct Tables {
    maps: [Map; 2],
    /// That are there.
    connections: u32,
}

impl Crowd {
    /// Establishes so many connections with the guard that is attached.
    pub(crate) fn establish(place: &Place, connections: u32) -> Result<Self> {
        let maps = maps(place)?;
        let config = Array::<_, Config>::try_from(one(&maps, CONFIG_MAP)?)?.get(&0, 0)?;
        let directory = Directory::new()?;
        for name in SHARED {
            one(&maps, name)?.pin(directory.0.join(name))?;
        }
        let mut object = objects::baseline_over(&config, &directory.0, &SHARED, GUARD)?;
        let frames = handshake(&TcpFrame::ipv4());
        check(
            establish(&mut object, &[GUARD], &frames, [0, connections])?,
            connections,
        )?;
        Ok(Self {
            object,
            frame: frames[2].build(),
            connections,
        })
    }

    /// Nanoseconds that a segment of one of them by chance takes.
    pub(crate) fn hit(&mut self, packets: u32) -> Result<f64> {
        // A power of two: that is what chance chooses among.
        let among = Shuffle::among(0, 1 << self.connections.ilog2());
        among.set(&mut self.object)?;
        Run::new("established", GUARD, self.frame.clone(), PASS).run(&self.object, packets)
    }
}

impl Tables {
    pub(crate) fn new(place: &Place, connections: u32) -> Result<Self> {
        let mut maps = maps(place)?;
        let mut take = |name| {
            let map = maps.remove(name);
            map.with_context(|| format!("the guard has no map {name}"))
        };
        Ok(Self {
            maps: [take(abi::FLOWS4)?, take(abi::FLOWS6)?],
            connections,
        })
    }

    fn flows(&self) -> Result<Flows> {
        match &self.maps {
            [Map::Array(v4), Map::Array(v6)] => Flows::new(v4, v6),
            _ => bail!("the tables are no arrays"),
        }
    }

    /// Counts all connections by their states, as `run` does.
    pub(crate) fn count(&self) -> Result<()> {
        let counted = Census::at_work(self.connections).tables(|| self.flows())?;
        check(counted.entries(), self.connections)
    }

    /// Reads all connections.
    pub(crate) fn list(&self) -> Result<Vec<Connection>> {
        let connections = self.flows()?.connections();
        check(u64::try_from(connections.len())?, self.connections)?;
        Ok(connections)
    }
}

/// Whether as many are there as there should be. By the guard's own seed, a few may find both of their sets
/// full; of a small table and addresses one after the other, now and then some per cent.
fn check(found: u64, expected: u32) -> Result<()> {
    ensure!(
        found * 10 > u64::from(expected) * 9,
        "{found} of {expected} connections are there"
    );
    Ok(())
}

/// The maps of the guard that is attached, by their names.
fn maps(place: &Place) -> Result<BTreeMap<String, Map>> {
    let id = place.program()?.context("nothing is attached")?;
    let mut programs = loaded_programs().filter_map(Result::ok);
    let program = programs.find(|it| it.id() == id);
    let ids = program.context("the guard has gone")?.map_ids()?;
    let open = |id| {
        let map = MapData::from_id(id)?;
        let name = String::from_utf8_lossy(map.info()?.name()).into_owned();
        Ok((name, Map::from_map_data(map)?))
    };
    ids.unwrap_or_default().into_iter().map(open).collect()
}

fn one<'a>(maps: &'a BTreeMap<String, Map>, name: &str) -> Result<&'a Map> {
    let map = maps.get(name);
    map.with_context(|| format!("the guard has no map {name}"))
}

/// In bpffs, until it is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self> {
        let path = Path::new("/sys/fs/bpf").join(format!("footprint-{}", process::id()));
        fs::create_dir(&path).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("warning: {}: {error}", self.0.display());
        }
    }
}
