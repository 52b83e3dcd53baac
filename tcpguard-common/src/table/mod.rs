//! The flow table: where the entry of a connection is found, and which one gives way to another.
//!
//! Set-associative, in one array that is never freed: a set is one cache line of eight tags, and
//! eight entries. A connection has two candidate sets, by a hash with a seed that nobody outside
//! knows, and in the first of them a slot that is its home. There its entry is as a rule, and the
//! line of the entry tells that it is this one's. Elsewhere tags tell which entry to look at, 32 further
//! bits of the hash: one line for all eight.
//!
//! An entry needs no removing: one that is past its state's lifetime is free. If there is neither an
//! empty slot nor a free one, a connection that has ended gives way, then the oldest one that is
//! half open. One that is established or closing never does, so no flood of SYNs can push it out;
//! where all sixteen are such, one of them moves to its own other set. Only if none can, the new one is not
//! remembered, and passes ([`room`]).
//!
//! Nobody locks. A slot is claimed by exchanging its tag for [`BUSY`] and its key for that of nobody,
//! filled, and published by its key and its tag. What two CPUs can do to one connection is told in
//! ARCHITECTURE.md.

mod decide;
#[cfg(feature = "host")]
pub mod host;
pub mod key;
pub mod room;

pub use self::decide::decide;
use self::key::Location;
use crate::{
    conn::{entry::Entry, time::Ticks},
    flow::{FlowKey4, FlowKey6},
};

/// Entries of a set.
pub const WAYS: usize = 8;
/// The tag of a slot that was never used.
pub const EMPTY: u32 = 0;
/// The tag of a slot that is being filled.
pub const BUSY: u32 = 1;
/// The tag of a slot that was filled in vain. It is not empty again: how many slots of a set are used tells
/// where to look, and that number never falls.
pub const VAIN: u32 = 2;

/// One set as it lies in memory: at the begin of a cache line, because the array does and its size is
/// one of whole lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Set<K> {
    /// Tags, by slot.
    pub tags: [u32; WAYS],
    /// How many slots are not [`EMPTY`] any more.
    pub used: u32,
    /// The rest of the line of tags.
    pub spare: [u32; WAYS - 1],
    /// Entries, by slot; meaningful if the tag is above [`VAIN`]. Where it is not, the key is that of nobody.
    pub entries: [Entry<K>; WAYS],
}

const _: () = assert!(size_of::<Set<FlowKey4>>() == 9 * 64);
const _: () = assert!(size_of::<Set<FlowKey6>>() == 12 * 64);

/// Sets of a table for `connections` of them: at that limit six slots of eight are used, and by chance no newcomer of
/// a million is without a slot.
#[must_use]
pub const fn sets_for(connections: u32) -> u32 {
    const FILLED: u32 = 6;
    let sets = connections.div_ceil(FILLED);
    if sets < 2 { 2 } else { sets }
}

/// One of the sixteen slots that a connection may be in: those of its first set, then of its second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

impl Slot {
    /// The slot `way` of the first or the second candidate set.
    #[inline(always)]
    #[must_use]
    pub const fn new(set: usize, way: usize) -> Self {
        Self((set & 1) * WAYS + (way & (WAYS - 1)))
    }

    /// Which candidate set it is in, 0 or 1.
    #[inline(always)]
    #[must_use]
    pub const fn set(self) -> usize {
        (self.0 / WAYS) & 1
    }

    /// Which slot of that set it is, below [`WAYS`].
    #[inline(always)]
    #[must_use]
    pub const fn way(self) -> usize {
        self.0 & (WAYS - 1)
    }
}

/// Reads one set, wherever it lies.
pub trait View<K>: Copy {
    /// The tag of a slot.
    fn tag(self, way: usize) -> u32;

    /// How many slots are not [`EMPTY`] any more, or soon will not be.
    fn used(self) -> usize;

    /// The same slot, by a number of which the kernel's verifier knows nothing, as of `unknown`: else
    /// it would check all that follows anew for each slot.
    fn forget(self, way: usize, _unknown: u32) -> usize {
        way
    }

    /// Whether the entry of a slot is that of `key`.
    fn holds(self, way: usize, key: &K) -> bool;

    /// How readily the entry of a slot gives way, by [`room::readiness`].
    fn readiness(self, way: usize, now: Ticks) -> u32;
}

/// The slot of the entry of `key` in the first of its sets. As a rule that takes one look, and a processor that
/// expects so works on the entry while the line is on its way.
#[inline(always)]
pub fn find_first<K>(set: impl View<K>, location: &Location, key: &K) -> Option<usize> {
    let home = location.home();
    if set.holds(home, key) {
        return Some(home);
    }
    find(set, location.tag(), key)
}

/// The slot of the entry of `key` in either set.
#[inline(always)]
pub fn find<K>(set: impl View<K>, tag: u32, key: &K) -> Option<usize> {
    let way = set.forget(tagged(set, tag, 0)?, tag);
    if set.holds(way, key) {
        return Some(way);
    }
    // Another connection with the same tag: one of four thousand million.
    let way = set.forget(tagged(set, tag, way + 1)?, tag);
    set.holds(way, key).then_some(way)
}

/// Whether connections that prefer this set may be in their other one: they go there only where this one is nearly full,
/// and it stays so. Where it is not, one line of memory tells that there is no entry.
#[inline(always)]
pub fn may_overflow<K>(set: impl View<K>) -> bool {
    set.used() >= room::NEARLY_FULL
}

/// The first slot with this tag, from slot `from` on.
#[inline(always)]
fn tagged<K>(set: impl View<K>, tag: u32, from: usize) -> Option<usize> {
    (0..WAYS).find(|way| *way >= from && set.tag(*way) == tag)
}

/// The sixteen slots of one connection, and what can be done to them.
pub trait Candidates<K> {
    /// A slot, and how its memory is reached.
    type Place: Copy + PartialEq;

    /// The slot that holds its entry.
    fn find(&self) -> Option<Self::Place>;

    /// Where its entry would go, and the tag that is there; `None` if all slots hold what must not give way.
    fn choose(&self, now: Ticks) -> Option<(Self::Place, u32)>;

    /// If there is no such slot: takes one as [`Candidates::claim`] does whose entry goes elsewhere, or says which one
    /// it could be.
    fn make_room(&self, now: Ticks, really: bool) -> Option<Self::Place>;

    /// Whether there is a slot where its entry might go.
    fn has_room(&self, now: Ticks) -> bool {
        self.choose(now).is_some() || self.make_room(now, false).is_some()
    }

    /// Takes a slot for it, if it still has that tag: false if another CPU was faster. What is known of its
    /// connection can then be written; it is found by nobody before [`Candidates::publish`].
    fn claim(&self, place: Self::Place, tag: u32) -> bool;

    /// Lets the entry of a claimed slot be found, by its key.
    fn publish(&self, place: Self::Place);

    /// Gives a published slot back, which was filled in vain, if it is not another's by now.
    fn release(&self, place: Self::Place);

    /// Works on the entry of a slot.
    fn with<R>(&self, place: Self::Place, work: impl FnOnce(&mut Entry<K>) -> R) -> R;
}
