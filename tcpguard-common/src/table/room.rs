//! Room for a new entry: an empty slot, one whose entry gives way, or one whose entry moves.

use super::{BUSY, Candidates, EMPTY, Slot, VAIN, View, WAYS, key::Location};
use crate::conn::{
    Conn,
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

/// Where a new entry goes: home if what was there has ended, else to an empty slot, else where what is there gives way
/// most readily.
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
    let mut best = 0;
    let mut choice = None;
    for slot in (0..2 * WAYS).map(Slot) {
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

/// A slot of a set for which nobody has to give way, and its tag.
#[inline(always)]
pub fn spare<K>(set: impl View<K>, now: Ticks) -> Option<(usize, u32)> {
    (0..WAYS).find_map(
        #[inline(always)]
        |way| {
            let tag = set.tag(way);
            (readiness_of(set, way, tag, now) == FREE).then(|| (set.forget(way, tag), tag))
        },
    )
}

/// How long a connection has not been heard that may move, in ticks: no CPU is about to write to its entry then.
const STILL: u32 = SECOND / 2;

/// Whether an entry may move.
#[inline(always)]
fn may_move(conn: &Conn, now: Ticks) -> bool {
    conn.idle(now) >= STILL
}

/// The sixteen slots of a connection, in a table where those of others are found as well.
pub trait Neighbourhood<K>: Candidates<K> {
    /// The slots of another one.
    type Neighbour<'k>: Neighbourhood<K, Place = Self::Place>
    where
        Self: 'k;

    /// Where its entry may be.
    fn location(&self) -> &Location;

    /// How one of its slots is reached.
    fn place(&self, slot: Slot) -> Option<Self::Place>;

    /// [`spare`] of its second set.
    fn spare(&self, now: Ticks) -> Option<(Self::Place, u32)>;

    /// The slots of the connection whose entry is in a slot.
    fn resident(&self, place: Self::Place) -> Option<Self::Neighbour<'_>>;

    /// Copies what is known of such a one to a slot of its own.
    fn copy(&self, from: Self::Place, resident: &Self::Neighbour<'_>, to: Self::Place);
}

/// [`Candidates::make_room`] where sixteen entries stay: one that is still, and in the first of its own sets, moves to
/// its second. Never the other way: who looks for it meanwhile looks at the first set before, and finds it in either.
#[inline(always)]
pub fn make_room<K, T: Neighbourhood<K>>(table: &T, now: Ticks, really: bool) -> Option<T::Place> {
    (0..2 * WAYS).map(Slot).find_map(
        #[inline(always)]
        |slot| {
            let from = table.place(slot)?;
            let may_move = table.with(
                from,
                #[inline(always)]
                |entry| may_move(&entry.conn, now),
            );
            if !may_move {
                return None;
            }
            let mover = table.resident(from)?;
            if mover.location().first() != table.location().set(slot) {
                return None;
            }
            let (to, tag) = mover.spare(now)?;
            (!really || relocate(table, from, &mover, to, tag)).then_some(from)
        },
    )
}

/// Moves an entry, and claims the slot that it was in. Its copy is found before it is gone, and given back if another
/// CPU has taken the entry meanwhile.
#[inline(always)]
fn relocate<'k, K, T: Neighbourhood<K> + 'k>(
    table: &T,
    from: T::Place,
    mover: &T::Neighbour<'k>,
    to: T::Place,
    tag: u32,
) -> bool {
    if !mover.claim(to, tag) {
        return false;
    }
    table.copy(from, mover, to);
    mover.publish(to);
    let is_claimed = table.claim(from, mover.location().tag());
    if !is_claimed {
        mover.release(to);
    }
    is_claimed
}
