//! Room for a new entry: an empty slot, one whose entry gives way, or one whose entry moves.

use core::ops::Range;

use super::{BUSY, Candidates, EMPTY, Slot, VAIN, View, WAYS, key::Location};
use crate::conn::{
    entry::Entry,
    time::{SECOND, Ticks},
};

/// How readily an entry gives way to another: never at 0, and the greater the sooner.
#[inline(always)]
pub fn readiness<K>(entry: &Entry<K>, now: Ticks) -> u32 {
    entry.conn.readiness(now)
}

/// The readiness of what is no connection, or none any more.
const FREE: u32 = u32::MAX;

/// Slots of a set that are used before another set is looked at. With one more, four newcomers of ten thousand would
/// find no slot where the table is as full as it is made for, and all come before anything can move; with one less,
/// each tenth connection of a table that is half full would be in its second set.
pub(super) const NEARLY_FULL: usize = WAYS - 3;

/// A slot for a new entry, and the tag that it had then: if that is another by now, somebody else has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Where the entry goes.
    pub slot: Slot,
    /// What was there.
    pub tag: u32,
}

/// Where a new entry goes: home if what was there is past its lifetime, else to an empty slot, else where what is there
/// gives way most readily.
///
/// As long as there are empty slots, the lines of tags tell which: of the first set until that is nearly full, then of
/// the one that has more of them.
#[inline(always)]
pub fn choose<K>(sets: [impl View<K>; 2], home: usize, now: Ticks) -> Option<Choice> {
    let [first, second] = sets;
    let tag = first.tag(home);
    if tag != EMPTY && readiness_of(first, home, tag, now) == FREE {
        let slot = Slot::new(0, home);
        return Some(Choice { slot, tag });
    }
    // The other set is a line of memory more.
    let used = first.used();
    let set = usize::from(used >= NEARLY_FULL && second.used() < used);
    if let Some(way) = empty(if set == 0 { first } else { second }, home) {
        let slot = Slot::new(set, way);
        return Some(Choice { slot, tag: EMPTY });
    }
    readiest(sets, 0..2 * WAYS, now)
}

/// The first of these slots that is free, or else the one that gives way most readily.
#[inline(always)]
fn readiest<K>(sets: [impl View<K>; 2], slots: Range<usize>, now: Ticks) -> Option<Choice> {
    let [first, second] = sets;
    let mut best = 0;
    let mut choice = None;
    for slot in slots.map(Slot) {
        let view = if slot.set() == 0 { first } else { second };
        let tag = view.tag(slot.way());
        let readiness = readiness_of(view, slot.way(), tag, now);
        if readiness > best {
            best = readiness;
            let slot = Slot::new(slot.set(), view.forget(slot.way(), tag));
            choice = Some(Choice { slot, tag });
            if best == FREE {
                break;
            }
        }
    }
    choice
}

/// How readily what is in a slot with this tag gives way.
#[inline(always)]
fn readiness_of<K>(set: impl View<K>, way: usize, tag: u32, now: Ticks) -> u32 {
    match tag {
        BUSY => 0,
        EMPTY | VAIN => FREE,
        _ => set.readiness(way, now),
    }
}

/// The first empty slot, from slot `from` on and around.
#[inline(always)]
fn empty<K>(set: impl View<K>, from: usize) -> Option<usize> {
    let mut ways = (0..WAYS).map(|step| (from + step) % WAYS);
    ways.find(|way| set.tag(*way) == EMPTY)
}

/// Where an entry goes that moves to the second of its sets.
#[inline(always)]
pub fn spare<K>(second: impl View<K>, now: Ticks) -> Option<Choice> {
    readiest([second; 2], WAYS..2 * WAYS, now)
}

/// How long a connection has not been heard that may move, in ticks, of which the first may be a short one: so hardly
/// any CPU is about to write to its entry.
const STILL: u32 = SECOND / 2;

/// The sixteen slots of a connection, in a table where those of others are found as well.
pub trait Neighbourhood<K>: Candidates<K> {
    /// Where its entry may be.
    fn location(&self) -> &Location;

    /// How one of its slots is reached.
    fn place(&self, slot: Slot) -> Option<Self::Place>;

    /// The tag of a slot.
    fn tag(&self, place: Self::Place) -> u32;

    /// Where the entry of a slot may be, by its own key.
    fn resident(&self, place: Self::Place) -> Option<Location>;

    /// [`spare`] of these sets.
    fn spare(&self, location: &Location, now: Ticks) -> Option<(Self::Place, u32)>;

    /// Copies an entry to a claimed slot, and lets it be found there, if its tag is still this one; else it gives that
    /// slot back.
    fn copy(&self, from: Self::Place, to: Self::Place, tag: u32) -> bool;

    /// Gives a slot back, if its tag is still this one.
    fn give_back(&self, place: Self::Place, tag: u32);
}

/// [`Candidates::make_room`] where sixteen entries stay: one that is still, and in the first of its own sets, moves to
/// its second. Never the other way: who looks for it meanwhile looks at the first set before, and finds it in either.
#[inline(always)]
pub fn make_room<K, T: Neighbourhood<K>>(table: &T, now: Ticks, really: bool) -> Option<T::Place> {
    (0..2 * WAYS).map(Slot).find_map(
        #[inline(always)]
        |slot| {
            let from = table.place(slot)?;
            let mover = table.resident(from)?;
            let may_move = mover.first() == table.location().set(slot)
                && mover.first() != mover.second()
                && mover.tag() == table.tag(from)
                && table.with(
                    from,
                    #[inline(always)]
                    |entry| entry.conn.idle(now) >= STILL,
                );
            if !may_move {
                return None;
            }
            let (to, there) = table.spare(&mover, now)?;
            (!really || relocate(table, from, mover.tag(), to, there)).then_some(from)
        },
    )
}

/// Moves an entry, and claims the slot that it was in. Its copy is found before it is gone, and given back if another
/// CPU has taken the entry meanwhile.
#[inline(always)]
fn relocate<K, T: Neighbourhood<K>>(
    table: &T,
    from: T::Place,
    tag: u32,
    to: T::Place,
    there: u32,
) -> bool {
    if !table.claim(to, there) || !table.copy(from, to, tag) {
        return false;
    }
    let is_claimed = table.claim(from, tag);
    if !is_claimed {
        table.give_back(to, tag);
    }
    is_claimed
}
