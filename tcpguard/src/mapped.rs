//! An array map of the kernel in this process's memory, which the programs write meanwhile.
//!
//! Reading it costs no system call and disturbs nobody. What is read may be in the middle of being
//! written; a reader finds that out by what the programs publish last.
#![expect(
    unsafe_code,
    reason = "maps the kernel's memory and reads it while it is written"
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
    evidence::{Record, Shelf},
    flow::{FlowKey4, FlowKey6},
    table::{Set, WAYS},
};

/// What may be read wherever there is memory for it.
///
/// # Safety
///
/// Any octets are one: integers only, and no padding.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for u64 {}
// SAFETY: integers only.
unsafe impl Plain for [u32; WAYS] {}
// SAFETY: integers only; the sizes are asserted in `tcpguard-common`.
unsafe impl Plain for Record {}
// SAFETY: as above.
unsafe impl Plain for Shelf {}
// SAFETY: as above.
unsafe impl Plain for Entry<FlowKey4> {}
// SAFETY: as above.
unsafe impl Plain for Entry<FlowKey6> {}
// SAFETY: as above.
unsafe impl Plain for Set<FlowKey4> {}
// SAFETY: as above.
unsafe impl Plain for Set<FlowKey6> {}

/// All values of one map, for reading.
pub(crate) struct Mapped<T> {
    values: NonNull<T>,
    count: usize,
}

impl<T: Plain> Mapped<T> {
    /// Maps the whole of an array of such values. The map itself need not be kept.
    pub(crate) fn new(map: &MapData) -> Result<Self> {
        let info = map.info().context("failed to ask for its shape")?;
        let size = size_of::<T>();
        // Other values would be read as nonsense.
        ensure!(
            info.map_type()? == MapType::Array && info.value_size() as usize == size,
            "its values have {} octets, and those of tcpguard {} have {size} (use the one that made it)",
            info.value_size(),
            env!("CARGO_PKG_VERSION")
        );
        let count = info.max_entries() as usize;
        let octets = count.checked_mul(size).context("too many values")?;
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
        let values = NonNull::new(start.cast()).context("the kernel mapped it at address 0")?;
        Ok(Self { values, count })
    }

    /// How many values there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// What lies `offset` octets into the value at `index`, as it is now: nothing that is read after it
    /// was read before it, nor the other way around.
    ///
    /// # Panics
    ///
    /// If that is not within the value, or would be misaligned.
    pub(crate) fn read<P: Plain>(&self, index: usize, offset: usize) -> P {
        assert!(index < self.count && offset + size_of::<P>() <= size_of::<T>());
        assert!(offset.is_multiple_of(align_of::<P>()) && align_of::<P>() <= align_of::<T>());
        // SAFETY: `index` is below the number of values that are mapped.
        let value = unsafe { self.values.add(index) };
        // SAFETY: the part ends within the value.
        let part = unsafe { value.byte_add(offset) }.cast::<P>();
        fence(Ordering::Acquire);
        // SAFETY: mapped as long as `self` is, aligned, and any octets are one (`Plain`); volatile, as
        // the kernel writes it.
        let part = unsafe { part.read_volatile() };
        fence(Ordering::Acquire);
        part
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        let octets = self.count * size_of::<T>();
        // SAFETY: mapped by `new` with this size, and nothing that was read from it is a reference.
        let unmapped = unsafe { munmap(self.values.as_ptr().cast(), octets) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}
