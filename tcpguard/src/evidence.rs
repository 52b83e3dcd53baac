//! The frames that a guard keeps of what it objects to, read through mmap while it goes on.
//!
//! Reading takes nothing away, so as many as like may read at once. Each [`Evidence`] remembers how
//! far it has read.

pub mod archive;
pub(crate) mod lookout;

use std::{
    collections::HashMap,
    mem::offset_of,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use aya::maps::{Map, MapData};
use tcpguard_common::{
    abi::{HOOKS, Hook},
    conn::ruling::Ruling,
    evidence::{KEPT, Record, Shelf},
    judge::judge,
    parse::Link,
    reason::Reason,
    segment::Segment,
    verdict::Verdict,
};

use crate::{clock, engine::Frame, mapped::Mapped, reader};

/// What a guard keeps, and how far it has been read.
pub struct Evidence {
    shelves: Mapped<Shelf>,
    /// By shelf, the number of the last record that was read.
    read: Vec<u64>,
    counted: Counted,
}

/// How many frames had been counted when the last one was kept that was read, by whom they were counted: CPU,
/// place and cell.
#[derive(Debug, Default)]
pub struct Counted(HashMap<(usize, u16, u16), u64>);

/// A frame that was objected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhibit {
    /// When it was judged.
    pub time: SystemTime,
    /// The slot of its interface in [`Config::interfaces`](tcpguard_common::abi::Config::interfaces).
    pub slot: usize,
    /// Which way it went.
    pub hook: Hook,
    /// A drop, or what would have been one.
    pub verdict: Verdict,
    /// What the tracker said, where it was asked.
    pub ruling: Option<Ruling>,
    /// Octets of the whole frame.
    pub octets: u32,
    /// Its first octets.
    pub frame: Vec<u8>,
    /// How many frames with the same verdict were not kept, or not read in time, since the one before
    /// it; of the first, since the guard was attached.
    pub skipped: u64,
    /// Whether it is the first with its verdict that was read here.
    pub is_first: bool,
}

impl Evidence {
    /// All that is still there of the past, and what comes.
    ///
    /// # Errors
    ///
    /// If the map is another than a guard's of this version, or cannot be mapped.
    pub fn new(map: &Map) -> Result<Self> {
        let shelves = Self::mapped(reader::array(map)?);
        let shelves = shelves.context("failed to read the evidence that it keeps")?;
        Ok(Self {
            read: vec![0; shelves.count()],
            shelves,
            counted: Counted::default(),
        })
    }

    /// Of what comes only.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn from_now(map: &Map) -> Result<Self> {
        let mut evidence = Self::new(map)?;
        evidence.read();
        Ok(evidence)
    }

    fn mapped(map: &MapData) -> Result<Mapped<Shelf>> {
        Mapped::new(map)
    }

    /// What has been kept since the last time, in the order of time. At most [`KEPT`] frames of a reason
    /// and CPU are there to be read.
    pub fn read(&mut self) -> Vec<Exhibit> {
        let boot = clock::boot();
        let mut exhibits = Vec::new();
        for shelf in 0..self.shelves.count() {
            let written = self.shelves.read::<u64>(shelf, offset_of!(Shelf, written));
            let kept = written.saturating_sub(KEPT as u64);
            for number in self.last_read(shelf).max(kept) + 1..=written {
                if let Some(record) = self.record(shelf, number) {
                    let cpu = shelf / Reason::COUNT;
                    exhibits.extend(self.counted.exhibit(cpu, &record, boot));
                }
            }
            if let Some(read) = self.read.get_mut(shelf) {
                *read = written;
            }
        }
        exhibits.sort_by_key(|it| it.time);
        exhibits
    }

    fn last_read(&self, index: usize) -> u64 {
        self.read.get(index).copied().unwrap_or_default()
    }

    /// The record with a number; `None` if it has given way meanwhile.
    fn record(&self, index: usize, number: u64) -> Option<Record> {
        let place = usize::try_from(number - 1).ok()? % KEPT;
        let offset = offset_of!(Shelf, records) + place * size_of::<Record>();
        let record: Record = self.shelves.read(index, offset);
        let again: u64 = self
            .shelves
            .read(index, offset + offset_of!(Record, number));
        (record.number == number && again == number).then_some(record)
    }
}

impl Counted {
    /// What the record of a CPU says; `None` if there is no sense in it. The clock of records began at `boot`.
    pub fn exhibit(&mut self, cpu: usize, record: &Record, boot: SystemTime) -> Option<Exhibit> {
        let verdict = Verdict::from_cell(usize::from(record.cell))?;
        let before = self
            .0
            .insert((cpu, record.place, record.cell), record.count);
        let since = record.count.saturating_sub(before.unwrap_or_default());
        let place = usize::from(record.place);
        let hook = if place.is_multiple_of(HOOKS) {
            Hook::Ingress
        } else {
            Hook::Egress
        };
        Some(Exhibit {
            time: boot.checked_add(Duration::from_nanos(record.time_ns))?,
            slot: place / HOOKS,
            hook,
            verdict,
            ruling: Ruling::from_bits(record.ruling),
            octets: record.octets,
            frame: record.frame.get(..usize::from(record.captured))?.to_vec(),
            skipped: since.saturating_sub(1),
            is_first: before.is_none(),
        })
    }
}

impl Exhibit {
    /// What it says as TCP, where enough of it is there, on an interface with such frames.
    #[must_use]
    pub fn segment(&self, link: Link) -> Option<Segment> {
        let frame = Frame::captured(link, &self.frame, self.octets);
        judge(&mut frame.cursor(), link).segment
    }
}
