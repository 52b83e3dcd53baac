//! The flow table: where the entry of a connection is found, and which one gives way to another.
//!
//! Set-associative, in one array that is never freed: a set is one cache line of eight tags, and
//! eight entries. A connection has two candidate sets, by a hash with a seed that nobody outside
//! knows; a tag is 32 further bits of the hash, so that a look at one line tells which entry it is.
//!
//! An entry needs no removing: one that is past its state's lifetime is free. If there is neither an
//! empty slot nor a free one, a connection that has ended gives way, then the oldest one that is
//! half open. One that is established or closing never does, so no flood of SYNs can push it out;
//! where all sixteen are such, the new one is not remembered, and passes.
//!
//! Nobody locks. A slot is claimed by exchanging its tag for [`BUSY`], filled, and published by its
//! tag. What two CPUs can do to one connection is told in ARCHITECTURE.md.

mod decide;
#[cfg(feature = "host")]
pub mod host;
pub mod key;

pub use self::decide::decide;
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
/// where to look, so that number never falls.
pub const VAIN: u32 = 2;

/// One set as it lies in memory: at the begin of a cache line, because the array does and its size is
/// one of whole lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Set<K> {
    /// Tags, by slot.
    pub tags: [u32; WAYS],
    /// The rest of the line of tags.
    pub spare: [u32; WAYS],
    /// Entries, by slot; meaningful if the tag is above [`VAIN`].
    pub entries: [Entry<K>; WAYS],
}

const _: () = assert!(size_of::<Set<FlowKey4>>() == 9 * 64);
const _: () = assert!(size_of::<Set<FlowKey6>>() == 12 * 64);

/// Sets of a table for `connections` of them: at that limit six slots of eight are used, which leaves
/// no connection without a slot by chance.
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

    /// The same slot, by a number of which the kernel's verifier knows nothing, as of `unknown`: else
    /// it would check all that follows anew for each slot.
    fn forget(self, way: usize, _unknown: u32) -> usize {
        way
    }

    /// Whether the entry of a slot is that of `key`.
    fn holds(self, way: usize, key: &K) -> bool;

    /// How readily the entry of a slot gives way, by [`readiness`].
    fn readiness(self, way: usize, now: Ticks) -> u32;
}

/// The slot of the entry of `key`.
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

/// Whether connections that prefer this set may be in their other one: [`choose`] puts them there only where
/// this one is nearly full, and it stays so. Nearly none is, so that one line of memory tells as a rule that
/// there is no entry.
#[inline(always)]
pub fn may_overflow<K>(set: impl View<K>) -> bool {
    set.tag(NEARLY_FULL - 1) != EMPTY
}

/// The first slot with this tag, from slot `from` on.
#[inline(always)]
fn tagged<K>(set: impl View<K>, tag: u32, from: usize) -> Option<usize> {
    (0..WAYS).find(|way| *way >= from && set.tag(*way) == tag)
}

/// How readily an entry gives way to another: never at 0, and the greater the sooner.
#[inline(always)]
pub fn readiness<K>(entry: &Entry<K>, now: Ticks) -> u32 {
    entry.conn.readiness(now)
}

/// Slots of a set that are used before another set is looked at.
const NEARLY_FULL: usize = WAYS - 2;

/// A slot for a new entry, and the tag that it had then: if that is another by now, somebody else has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Where the entry goes.
    pub slot: Slot,
    /// What was there.
    pub tag: u32,
}

/// Where a new entry goes: an empty slot, or the one that gives way most readily.
///
/// The first set is preferred until it is nearly full, so that most connections are found there.
#[inline(always)]
pub fn choose<K>(sets: [impl View<K>; 2], now: Ticks) -> Option<Choice> {
    let unused = |slot| Some(Choice { slot, tag: EMPTY });
    let [first, second] = sets;
    let used = used_slots(first);
    if used < NEARLY_FULL {
        return unused(Slot::new(0, used));
    }
    let used_there = used_slots(second);
    if used_there < used {
        return unused(Slot::new(1, used_there));
    }
    if used < WAYS {
        return unused(Slot::new(0, used));
    }
    let mut best = 0;
    let mut choice = None;
    for slot in (0..2 * WAYS).map(Slot) {
        let view = if slot.set() == 0 { first } else { second };
        let tag = view.tag(slot.way());
        let readiness = match tag {
            BUSY => continue,
            VAIN => u32::MAX,
            _ => view.readiness(slot.way(), now),
        };
        if readiness > best {
            best = readiness;
            let slot = Slot::new(slot.set(), view.forget(slot.way(), tag));
            choice = Some(Choice { slot, tag });
        }
    }
    choice
}

/// How many slots of a set are used: they fill up in order, and are not emptied again.
#[inline(always)]
fn used_slots<K>(set: impl View<K>) -> usize {
    (0..WAYS).find(|way| set.tag(*way) == EMPTY).unwrap_or(WAYS)
}

/// The sixteen slots of one connection, and what can be done to them.
pub trait Candidates<K> {
    /// A slot, and how its memory is reached.
    type Place: Copy + PartialEq;

    /// The slot that holds its entry.
    fn find(&self) -> Option<Self::Place>;

    /// Where its entry would go, and the tag that is there; `None` if all slots hold what must not give way.
    fn choose(&self, now: Ticks) -> Option<(Self::Place, u32)>;

    /// Takes a slot for it, if it still has that tag: false if another CPU was faster. Its entry can then be
    /// written, and is found by nobody before [`Candidates::publish`].
    fn claim(&self, place: Self::Place, tag: u32) -> bool;

    /// Lets the entry of a claimed slot be found.
    fn publish(&self, place: Self::Place);

    /// Gives a published slot back, which was filled in vain.
    fn release(&self, place: Self::Place);

    /// Works on the entry of a slot.
    fn with<R>(&self, place: Self::Place, work: impl FnOnce(&mut Entry<K>) -> R) -> R;
}
