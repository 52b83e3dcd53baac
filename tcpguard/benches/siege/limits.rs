//! What a guard may not do whatever comes: count wrongly, and take more memory.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::{maps::MapData, programs::loaded_programs};

use super::lab::{
    means::tcpguard,
    meter::Meter,
    place::{Place, RECEIVING},
};

/// What the kernel counts beside what the guard does.
pub(crate) struct Books<'a> {
    place: &'a Place,
    meter: Meter,
    /// Frames that the interface had taken before the guard counted its first.
    before: u64,
    /// Octets of all maps.
    memory: u64,
}

impl<'a> Books<'a> {
    /// Of a guard that has just been attached, before there is traffic.
    pub(crate) fn open(place: &'a Place) -> Result<Self> {
        let mut books = Self {
            place,
            meter: Meter::of(place)?,
            before: 0,
            memory: map_memory(place)?,
        };
        let (taken, counted) = books.counts()?;
        books.before = taken - counted;
        Ok(books)
    }

    /// Says if the guard has not counted each frame once, after all traffic.
    pub(crate) fn check_counters(&mut self) -> Result<Option<String>> {
        let (taken, counted) = self.counts()?;
        let taken = taken - self.before;
        let wrong =
            || format!("the interface has taken {taken} frames, and the guard counted {counted}");
        Ok((taken != counted).then(wrong))
    }

    /// Says if the maps have grown.
    pub(crate) fn check_memory(&self) -> Result<Option<String>> {
        let (before, now) = (self.memory, map_memory(self.place)?);
        Ok((now != before).then(|| format!("the maps had {before} octets, and have {now}")))
    }

    /// Frames that the interface has taken, and those that the guard has counted, at one moment.
    fn counts(&mut self) -> Result<(u64, u64)> {
        /// Now and then a stack says something by itself.
        const TRIES: usize = 100;
        const QUIET: Duration = Duration::from_millis(20);
        for _ in 0..TRIES {
            let taken = self.meter.taken()?;
            thread::sleep(QUIET);
            let counted = counted(self.place)?;
            if self.meter.taken()? == taken {
                return Ok((taken, counted));
            }
        }
        bail!("{RECEIVING} does not come to rest")
    }
}

/// All that has arrived, whatever became of it.
fn counted(place: &Place) -> Result<u64> {
    let prefix = format!("tcpguard_frames_total{{interface=\"{RECEIVING}\",hook=\"ingress\",");
    let page = tcpguard(&place.receiver, &["metrics", "--iface", RECEIVING])?;
    let samples = page.lines().filter(|line| line.starts_with(&prefix));
    let counts = samples.map(|line| {
        let (_, count) = line.rsplit_once(' ').context("a sample has no value")?;
        Ok(count.parse::<u64>()?)
    });
    let counts = counts.collect::<Result<Vec<_>>>()?;
    ensure!(
        !counts.is_empty(),
        "the metrics tell no frames of {RECEIVING}"
    );
    Ok(counts.iter().sum())
}

/// As the kernel tells it of each map of the program that is attached.
fn map_memory(place: &Place) -> Result<u64> {
    let id = place.guard()?.context("nothing is attached")?;
    let mut programs = loaded_programs().filter_map(Result::ok);
    let program = programs.find(|program| program.id() == id);
    let maps = program.context("the guard has gone")?.map_ids()?;
    let octets = maps.unwrap_or_default().into_iter().map(|id| {
        let map = MapData::from_id(id)?;
        let descriptor = map.fd().as_fd().as_raw_fd();
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("memlock:"));
        Ok(line
            .context("the kernel tells no memory of a map")?
            .trim()
            .parse::<u64>()?)
    });
    octets.sum()
}
