//! What is looked for in the tables by functions that the verifier checks by themselves: their ways are many, and each
//! would be one for all that follows.
#![expect(
    unsafe_code,
    reason = "global functions have plain names and take raw pointers"
)]

use core::ptr::NonNull;

use tcpguard_common::{
    conn::time::Ticks,
    flow::{FlowKey4, FlowKey6},
    table::{
        self, Set, Slot,
        key::{Key, Location},
        room::{self, Choice},
    },
};

use super::{Sixteen, shared::Shared};
use crate::{
    config,
    maps::{FLOWS4, FLOWS6},
};

/// A kind of key, and the table of its connections.
pub(crate) trait Tabled: Key {
    /// Where the key's entry may be.
    fn location(&self) -> Location;

    /// A set of the table.
    fn set(index: u32) -> Option<NonNull<Set<Self>>>;

    /// [`Sixteen::find_inline`]: a [`Slot`]'s number plus one, or 0.
    fn find(&self) -> u32;

    /// [`room::choose`] of its sets, as such a number; in the upper half the tag.
    fn choose(location: &Location, now: Ticks) -> u64;

    /// [`room::spare`] of the second of them, likewise.
    fn spare(location: &Location, now: Ticks) -> u64;

    /// [`room::make_room`] as such a number.
    fn make_room(&self, now: Ticks, really: bool) -> u32;
}

/// A kind of key: the map and the constants of its table, and the functions, which need plain names of their own.
macro_rules! tabled {
    ($key:ty: $map:ident, $sets:path, $seed:path; $find:ident, $choose:ident, $spare:ident, $make_room:ident) => {
        impl Tabled for $key {
            #[inline(always)]
            fn location(&self) -> Location {
                Location::new(self.hash(&$seed()), $sets())
            }

            #[inline(always)]
            fn set(index: u32) -> Option<NonNull<Set<Self>>> {
                $map.get_ptr_mut(index).and_then(NonNull::new)
            }

            #[inline(always)]
            fn find(&self) -> u32 {
                $find(self)
            }

            #[inline(always)]
            fn choose(location: &Location, now: Ticks) -> u64 {
                let home = location.home() as u32;
                $choose(location.first(), location.second(), home, now.0)
            }

            #[inline(always)]
            fn spare(location: &Location, now: Ticks) -> u64 {
                $spare(location.second(), now.0)
            }

            #[inline(always)]
            fn make_room(&self, now: Ticks, really: bool) -> u32 {
                $make_room(self, now.0, really.into())
            }
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $find(key: *const $key) -> u32 {
            find(key)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $choose(first: u32, second: u32, home: u32, now: u32) -> u64 {
            choose::<$key>(first, second, home, now)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $spare(second: u32, now: u32) -> u64 {
            spare::<$key>(second, now)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $make_room(key: *const $key, now: u32, really: u32) -> u32 {
            make_room(key, now, really)
        }
    };
}

tabled!(FlowKey4: FLOWS4, config::sets4, config::seed4; find_slot4, choose_slot4, spare_slot4, make_room4);
tabled!(FlowKey6: FLOWS6, config::sets6, config::seed6; find_slot6, choose_slot6, spare_slot6, make_room6);

#[inline(always)]
fn find<K: Tabled>(key: *const K) -> u32 {
    // SAFETY: the verifier lets a caller pass memory of this size or null, which is tested.
    let Some(key) = (unsafe { key.as_ref() }) else {
        return 0;
    };
    number(Sixteen::of(key).find_inline().map(|place| place.slot))
}

/// Of a slot plus one, or 0.
#[inline(always)]
fn number(slot: Option<Slot>) -> u32 {
    slot.map_or(0, |slot| 1 + (slot.set() * table::WAYS + slot.way()) as u32)
}

/// The slot with this number.
#[inline(always)]
pub(super) fn slot(number: u32) -> Option<Slot> {
    let number = number.checked_sub(1)? as usize;
    Some(Slot::new(number / table::WAYS, number))
}

#[inline(always)]
fn choose<K: Tabled>(first: u32, second: u32, home: u32, now: u32) -> u64 {
    let (Some(first), Some(second)) = (K::set(first), K::set(second)) else {
        return 0;
    };
    tagged(room::choose(
        [Shared(first), Shared(second)],
        home as usize,
        Ticks(now),
    ))
}

/// The number of a slot, and in the upper half its tag.
#[inline(always)]
fn tagged(choice: Option<Choice>) -> u64 {
    choice.map_or(0, |Choice { slot, tag }| {
        u64::from(tag) << 32 | u64::from(number(Some(slot)))
    })
}

#[inline(always)]
fn spare<K: Tabled>(second: u32, now: u32) -> u64 {
    tagged(K::set(second).and_then(|set| room::spare(Shared(set), Ticks(now))))
}

#[inline(always)]
fn make_room<K: Tabled>(key: *const K, now: u32, really: u32) -> u32 {
    // SAFETY: as in `find`.
    let Some(key) = (unsafe { key.as_ref() }) else {
        return 0;
    };
    let place = room::make_room(&Sixteen::of(key), Ticks(now), really != 0);
    number(place.map(|place| place.slot))
}
