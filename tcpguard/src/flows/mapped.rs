//! A flow table in this process's memory, as the kernel programs write it.
//!
//! A walk costs no system call: of a set of empty slots it touches the one line of tags. What it
//! reads may be in the middle of being written. An entry is copied whole, and taken only if its tag
//! is the same before and after; so it is one connection, whose two halves may stem from moments a
//! few nanoseconds apart.
#![expect(
    unsafe_code,
    reason = "maps the kernel's flow tables and reads them while they are written"
)]

use std::{
    io,
    os::fd::AsFd as _,
    ptr::{self, NonNull},
    sync::atomic::{Ordering, fence},
};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{MapData, MapType};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use tcpguard_common::{
    conn::entry::Entry,
    flow::{FlowKey4, FlowKey6},
    table::{BUSY, Set, WAYS},
};

/// A key that may be read wherever an array map has memory for one.
///
/// # Safety
///
/// Any octets are one: integers only, and no padding in a [`Set`] of them.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: integers only; the sizes of its set and its entry are asserted in `tcpguard-common`.
unsafe impl Plain for FlowKey4 {}
// SAFETY: as above.
unsafe impl Plain for FlowKey6 {}

/// All sets of one table, for reading.
pub(super) struct Mapped<K> {
    sets: NonNull<Set<K>>,
    count: usize,
}

impl<K: Plain> Mapped<K> {
    /// Maps the whole of an array of sets.
    pub(super) fn new(map: &MapData) -> Result<Self> {
        let info = map.info().context("failed to ask for its shape")?;
        let size = size_of::<Set<K>>();
        // A table of other sets would be read as nonsense.
        ensure!(
            info.map_type()? == MapType::Array && info.value_size() as usize == size,
            "its sets have {} octets, and those of tcpguard {} have {size} (use the one that made it)",
            info.value_size(),
            env!("CARGO_PKG_VERSION")
        );
        let count = info.max_entries() as usize;
        let octets = count.checked_mul(size).context("too many sets")?;
        // SAFETY: a mapping of its own, at an address that the kernel chooses.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                octets,
                ProtFlags::READ,
                MapFlags::SHARED,
                map.fd().as_fd(),
                0,
            )
        };
        let start = start
            .map_err(io::Error::from)
            .context("failed to map it into memory")?;
        let sets = NonNull::new(start.cast()).context("the kernel mapped it at address 0")?;
        Ok(Self { sets, count })
    }

    /// Hands over every entry that is in use or was, and not been replaced since.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&Entry<K>)) {
        for set in 0..self.count {
            for (way, tag) in (0..WAYS).zip(self.tags(set)) {
                // EMPTY or BUSY: the entry is not even looked at.
                if tag <= BUSY {
                    continue;
                }
                let entry = self.entry(set, way);
                if self.tags(set).get(way) == Some(&tag) {
                    visit(&entry);
                }
            }
        }
    }

    fn tags(&self, set: usize) -> [u32; WAYS] {
        debug_assert!(set < self.count);
        // What is read after a tag must not have been read before it, nor the other way around.
        fence(Ordering::Acquire);
        // SAFETY: `set` is below the number of sets that are mapped.
        let set = unsafe { self.sets.add(set) };
        // SAFETY: the place lies in that set, which is mapped as long as `self` is.
        let tags = unsafe { &raw const (*set.as_ptr()).tags };
        // SAFETY: mapped and aligned, and any octets are tags; volatile, as the kernel writes them.
        let tags = unsafe { tags.read_volatile() };
        fence(Ordering::Acquire);
        tags
    }

    fn entry(&self, set: usize, way: usize) -> Entry<K> {
        debug_assert!(set < self.count && way < WAYS);
        // SAFETY: `set` is below the number of sets that are mapped.
        let set = unsafe { self.sets.add(set) };
        // SAFETY: the place lies in that set, which is mapped as long as `self` is.
        let entries = unsafe { &raw const (*set.as_ptr()).entries };
        // SAFETY: `way` is below the number of entries of a set.
        let entry = unsafe { entries.cast::<Entry<K>>().add(way) };
        // SAFETY: mapped and aligned, and any octets are an entry (`Plain`); volatile, as above.
        unsafe { entry.read_volatile() }
    }
}

impl<K> Drop for Mapped<K> {
    fn drop(&mut self) {
        let octets = self.count * size_of::<Set<K>>();
        // SAFETY: mapped by `new` with this size, and nothing that was read from it is a reference.
        let unmapped = unsafe { munmap(self.sets.as_ptr().cast(), octets) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}
