//! A set in memory that other CPUs read and write at the same time.
#![expect(
    unsafe_code,
    reason = "entries are shared memory, reached through raw pointers"
)]

use core::{
    intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xchg},
    mem::offset_of,
    ptr::{self, NonNull},
};

use tcpguard_common::{
    conn::{entry::Entry, time::Ticks},
    flow::{FlowKey4, FlowKey6},
    table::{self, BUSY, Set, Slot, View, key::Key, room},
};

use super::Tabled;
use crate::packet::{opaque, rejoin};

/// A set that other CPUs read and write at the same time.
pub(super) struct Shared<K>(pub(super) NonNull<Set<K>>);

impl<K> Clone for Shared<K> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Shared<K> {}

impl<K> Shared<K> {
    #[inline(always)]
    pub(super) fn tag_at(self, way: usize) -> *mut u32 {
        // SAFETY: the set is a map's value, which is never freed.
        let tags = unsafe { &raw mut (*self.0.as_ptr()).tags };
        // SAFETY: the slot is masked.
        unsafe { tags.cast::<u32>().add(way & (table::WAYS - 1)) }
    }

    #[inline(always)]
    pub(super) fn used(self) -> *mut u32 {
        // SAFETY: as above.
        unsafe { &raw mut (*self.0.as_ptr()).used }
    }

    #[inline(always)]
    pub(super) fn entry_at(self, way: usize) -> *mut Entry<K> {
        // SAFETY: as above.
        let entries = unsafe { &raw mut (*self.0.as_ptr()).entries };
        // SAFETY: as above.
        unsafe { entries.cast::<Entry<K>>().add(way & (table::WAYS - 1)) }
    }
}

impl<K: Key> View<K> for Shared<K> {
    #[inline(always)]
    fn tag(self, way: usize) -> u32 {
        // SAFETY: within the set; volatile, because other CPUs write it.
        unsafe { self.tag_at(way).read_volatile() }
    }

    #[inline(always)]
    fn used(self) -> usize {
        // SAFETY: as above.
        unsafe { Shared::used(self).read_volatile() as usize }
    }

    /// What is mixed in is zero. Nothing from memory: a processor that guesses the slot goes on to its
    /// entry before the tags are there.
    #[inline(always)]
    fn forget(self, way: usize, unknown: u32) -> usize {
        let unknown = unknown as usize;
        rejoin(way ^ opaque(unknown) ^ unknown)
    }

    #[inline(always)]
    fn holds(self, way: usize, key: &K) -> bool {
        // SAFETY: within the set. A key that is being written compares unequal or, at worst, to a
        // connection that is being replaced: one segment is then held against the wrong entry.
        unsafe { (*self.entry_at(way)).key.is(key) }
    }

    #[inline(always)]
    fn readiness(self, way: usize, now: Ticks) -> u32 {
        // SAFETY: as above; a torn read makes another entry give way, no worse.
        room::readiness(unsafe { &*self.entry_at(way) }, now)
    }
}

// Where `Place::copy` takes them to be.
const _: () = assert!(offset_of!(FlowKey4, ports) == size_of::<FlowKey4>() - size_of::<u32>());
const _: () = assert!(offset_of!(FlowKey6, ports) == size_of::<FlowKey6>() - size_of::<u32>());

/// A slot, and the set that it is in.
pub(crate) struct Place<K> {
    pub(super) shared: Shared<K>,
    pub(super) slot: Slot,
}

impl<K> Clone for Place<K> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Place<K> {}

impl<K> PartialEq for Place<K> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.slot == other.slot
    }
}

impl<K: Tabled> Place<K> {
    /// A slot of a connection one of whose sets has this number.
    #[inline(always)]
    pub(super) fn of(set: u32, slot: Slot) -> Option<Self> {
        let shared = Shared(K::set(set)?);
        Some(Self { shared, slot })
    }

    #[inline(always)]
    pub(super) fn tag(self) -> *mut u32 {
        self.shared.tag_at(self.slot.way())
    }

    #[inline(always)]
    pub(super) fn key(self) -> *mut K {
        // SAFETY: within the set.
        unsafe { &raw mut (*self.shared.entry_at(self.slot.way())).key }
    }

    /// The ports of its key, as one word.
    #[inline(always)]
    pub(super) fn ports(self) -> *mut u32 {
        // SAFETY: within the set.
        ptr::from_mut(unsafe { (*self.key()).ports_mut() }).cast()
    }

    /// Copies its entry but for the ports of the key, and returns these: word by word, as the stack has no room for all
    /// of it.
    #[inline(always)]
    pub(super) fn copy(self, to: Self) -> u32 {
        const WORD: usize = size_of::<u32>();
        let ports = size_of::<K>() / WORD - 1;
        for at in (0..size_of::<Entry<K>>() / WORD).filter(|at| *at != ports) {
            // SAFETY: within the entry.
            let word = unsafe { self.word(at).read_volatile() };
            // SAFETY: as above.
            unsafe { to.word(at).write_volatile(word) }
        }
        // SAFETY: as above.
        unsafe { self.word(ports).read_volatile() }
    }

    /// A word of its entry.
    #[inline(always)]
    fn word(self, at: usize) -> *mut u32 {
        let entry = self.shared.entry_at(self.slot.way());
        // SAFETY: who asks knows how many there are.
        unsafe { entry.cast::<u32>().add(at) }
    }

    /// The tag that it has now.
    #[inline(always)]
    pub(super) fn tag_now(self) -> u32 {
        View::tag(self.shared, self.slot.way())
    }

    /// Takes the slot if its tag is still this one.
    #[inline(always)]
    pub(super) fn seize(self, tag: u32) -> bool {
        // SAFETY: within the set.
        let (_, seized) = unsafe {
            atomic_cxchg::<u32, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                self.tag(),
                tag,
                BUSY,
            )
        };
        seized
    }

    /// From now on it is the entry of nobody.
    #[inline(always)]
    pub(super) fn vacate(self) {
        // SAFETY: within the entry.
        unsafe { self.ports().write_volatile(0) }
    }
}

/// Writes a word of a set; no CPU sees it before what was written earlier, as it might after a store.
#[inline(always)]
pub(super) fn exchange(word: *mut u32, value: u32) {
    // SAFETY: the map's memory is never freed.
    let _ = unsafe { atomic_xchg::<u32, { AtomicOrdering::SeqCst }>(word, value) };
}
