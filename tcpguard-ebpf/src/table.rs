//! The flow tables in kernel memory. All map pointers of theirs live here.
//!
//! Both hooks write entries without a lock, on whatever CPU they run. A half is written by the
//! segments of one direction only, so what two CPUs write at once are different halves, but for a
//! direction that arrives on two queues; then one update may be lost, and the next segment makes up
//! for it. ARCHITECTURE.md tells the worst that can happen.
#![expect(
    unsafe_code,
    reason = "entries are shared memory, reached through raw pointers"
)]

use core::{
    intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd, atomic_xchg},
    ptr::{self, NonNull},
};

use tcpguard_common::{
    conn::{Conn, entry::Entry, time::Ticks},
    flow::{FlowKey4, FlowKey6},
    table::{
        self, BUSY, Candidates, EMPTY, Set, Slot, VAIN, View,
        key::{Key, Location},
        room::{self, Choice, Neighbourhood},
    },
};

use crate::{
    config,
    maps::{FLOWS4, FLOWS6},
    packet::{opaque, rejoin},
};

/// The two candidate sets of one key. The second one is not even looked for before the first has been
/// looked at.
pub(crate) struct Sixteen<'a, K> {
    location: Location,
    key: &'a K,
}

/// A slot, and the set that it is in.
pub(crate) struct Place<K> {
    shared: Shared<K>,
    slot: Slot,
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
    #[inline(always)]
    fn tag(self) -> *mut u32 {
        self.shared.tag_at(self.slot.way())
    }

    #[inline(always)]
    fn key(self) -> *mut K {
        // SAFETY: within the set.
        unsafe { &raw mut (*self.shared.entry_at(self.slot.way())).key }
    }

    /// The ports of its key, as one word.
    #[inline(always)]
    fn ports(self) -> *mut u32 {
        // SAFETY: within the set.
        ptr::from_mut(unsafe { (*self.key()).ports_mut() }).cast()
    }

    /// What is known of the connection, in words.
    #[inline(always)]
    fn conn(self) -> *mut u32 {
        // SAFETY: within the set.
        unsafe { &raw mut (*self.shared.entry_at(self.slot.way())).conn }.cast()
    }

    /// From now on it is the entry of nobody.
    #[inline(always)]
    fn vacate(self) {
        // SAFETY: within the entry.
        unsafe { self.ports().write_volatile(0) }
    }
}

/// A kind of key, and the table of its connections.
pub(crate) trait Tabled: Key {
    /// Where the key's entry may be.
    fn location(&self) -> Location;

    /// A set of the table.
    fn set(index: u32) -> Option<NonNull<Set<Self>>>;

    /// [`Sixteen::find_inline`] by a function that the verifier checks by itself: its ways are many, and each
    /// would be one for all that follows. A [`Slot`]'s number plus one, or 0.
    fn find(&self) -> u32;

    /// [`room::choose`] of two sets, likewise; in the upper half the tag.
    fn choose(location: &Location, now: Ticks) -> u64;

    /// [`room::spare`] of the second set, likewise.
    fn spare(location: &Location, now: Ticks) -> u64;

    /// [`room::make_room`], likewise; no tag.
    fn make_room(&self, now: Ticks, really: bool) -> u32;
}

impl Tabled for FlowKey4 {
    #[inline(always)]
    fn location(&self) -> Location {
        Location::new(self.hash(&config::seed4()), config::sets4())
    }

    #[inline(always)]
    fn set(index: u32) -> Option<NonNull<Set<Self>>> {
        FLOWS4.get_ptr_mut(index).and_then(NonNull::new)
    }

    #[inline(always)]
    fn find(&self) -> u32 {
        find_slot4(self)
    }

    #[inline(always)]
    fn choose(location: &Location, now: Ticks) -> u64 {
        choose_slot4(
            location.first(),
            location.second(),
            location.home() as u32,
            now.0,
        )
    }

    #[inline(always)]
    fn spare(location: &Location, now: Ticks) -> u64 {
        spare_slot4(location.second(), now.0)
    }

    #[inline(always)]
    fn make_room(&self, now: Ticks, really: bool) -> u32 {
        make_room4(self, now.0, really.into())
    }
}

impl Tabled for FlowKey6 {
    #[inline(always)]
    fn location(&self) -> Location {
        Location::new(self.hash(&config::seed6()), config::sets6())
    }

    #[inline(always)]
    fn set(index: u32) -> Option<NonNull<Set<Self>>> {
        FLOWS6.get_ptr_mut(index).and_then(NonNull::new)
    }

    #[inline(always)]
    fn find(&self) -> u32 {
        find_slot6(self)
    }

    #[inline(always)]
    fn choose(location: &Location, now: Ticks) -> u64 {
        choose_slot6(
            location.first(),
            location.second(),
            location.home() as u32,
            now.0,
        )
    }

    #[inline(always)]
    fn spare(location: &Location, now: Ticks) -> u64 {
        spare_slot6(location.second(), now.0)
    }

    #[inline(always)]
    fn make_room(&self, now: Ticks, really: bool) -> u32 {
        make_room6(self, now.0, really.into())
    }
}

/// Writes a word of a set; no CPU sees it before what was written earlier, as it might after a store.
#[inline(always)]
fn exchange(word: *mut u32, value: u32) {
    // SAFETY: the map's memory is never freed.
    let _ = unsafe { atomic_xchg::<u32, { AtomicOrdering::SeqCst }>(word, value) };
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn find_slot4(key: *const FlowKey4) -> u32 {
    find(key)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn find_slot6(key: *const FlowKey6) -> u32 {
    find(key)
}

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

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn choose_slot4(first: u32, second: u32, home: u32, now: u32) -> u64 {
    choose::<FlowKey4>(first, second, home, now)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn choose_slot6(first: u32, second: u32, home: u32, now: u32) -> u64 {
    choose::<FlowKey6>(first, second, home, now)
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

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn spare_slot4(second: u32, now: u32) -> u64 {
    spare::<FlowKey4>(second, now)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn spare_slot6(second: u32, now: u32) -> u64 {
    spare::<FlowKey6>(second, now)
}

#[inline(always)]
fn spare<K: Tabled>(second: u32, now: u32) -> u64 {
    let spare = K::set(second).and_then(|set| room::spare(Shared(set), Ticks(now)));
    tagged(spare.map(|(way, tag)| Choice {
        slot: Slot::new(1, way),
        tag,
    }))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn make_room4(key: *const FlowKey4, now: u32, really: u32) -> u32 {
    make_room(key, now, really)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn make_room6(key: *const FlowKey6, now: u32, really: u32) -> u32 {
    make_room(key, now, really)
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

impl<'a, K: Tabled> Sixteen<'a, K> {
    /// The candidate sets of a key.
    #[inline(always)]
    pub(crate) fn of(key: &'a K) -> Self {
        let location = key.location();
        Self { location, key }
    }

    /// The slot that holds its entry, without a call.
    #[inline(always)]
    pub(crate) fn find_inline(&self) -> Option<Place<K>> {
        let location = &self.location;
        let first = Shared(K::set(location.first())?);
        let found = table::find_first(first, location, self.key);
        if let Some(way) = found {
            return Some(Place {
                shared: first,
                slot: Slot::new(0, way),
            });
        }
        if !table::may_overflow(first) {
            return None;
        }
        let second = Shared(K::set(location.second())?);
        let way = table::find(second, location.tag(), self.key)?;
        Some(Place {
            shared: second,
            slot: Slot::new(1, way),
        })
    }

    /// Of the number of a slot plus one.
    #[inline(always)]
    fn numbered(&self, number: u32) -> Option<Place<K>> {
        let number = number.checked_sub(1)? as usize;
        self.place(Slot::new(number / table::WAYS, number))
    }

    /// The same, and in the upper half the tag.
    #[inline(always)]
    fn choice(&self, bits: u64) -> Option<(Place<K>, u32)> {
        Some((self.numbered(bits as u32)?, (bits >> 32) as u32))
    }
}

/// A set that other CPUs read and write at the same time.
struct Shared<K>(NonNull<Set<K>>);

impl<K> Clone for Shared<K> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Shared<K> {}

impl<K> Shared<K> {
    #[inline(always)]
    fn tag_at(self, way: usize) -> *mut u32 {
        // SAFETY: the set is a map's value, which is never freed.
        let tags = unsafe { &raw mut (*self.0.as_ptr()).tags };
        // SAFETY: the slot is masked.
        unsafe { tags.cast::<u32>().add(way & (table::WAYS - 1)) }
    }

    #[inline(always)]
    fn used(self) -> *mut u32 {
        // SAFETY: as above.
        unsafe { &raw mut (*self.0.as_ptr()).used }
    }

    #[inline(always)]
    fn entry_at(self, way: usize) -> *mut Entry<K> {
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

impl<K: Tabled> Candidates<K> for Sixteen<'_, K> {
    type Place = Place<K>;

    #[inline(always)]
    fn find(&self) -> Option<Place<K>> {
        self.numbered(self.key.find())
    }

    #[inline(always)]
    fn choose(&self, now: Ticks) -> Option<(Place<K>, u32)> {
        self.choice(K::choose(&self.location, now))
    }

    #[inline(always)]
    fn make_room(&self, now: Ticks, really: bool) -> Option<Place<K>> {
        self.numbered(self.key.make_room(now, really))
    }

    /// As a rule the set that has just been looked at tells.
    #[inline(always)]
    fn has_room(&self, now: Ticks) -> bool {
        let first = K::set(self.location.first());
        first.is_some_and(|first| View::used(Shared(first)) < table::WAYS)
            || self.choose(now).is_some()
            || self.make_room(now, false).is_some()
    }

    #[inline(always)]
    fn claim(&self, place: Place<K>, there: u32) -> bool {
        let tag = place.tag();
        // SAFETY: within the set.
        let (_, claimed) = unsafe {
            atomic_cxchg::<u32, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                tag, there, BUSY,
            )
        };
        if claimed {
            place.vacate();
        }
        if claimed && there == EMPTY {
            // SAFETY: within the set.
            unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::SeqCst }>(place.shared.used(), 1) };
        }
        claimed
    }

    #[inline(always)]
    fn publish(&self, place: Place<K>) {
        // SAFETY: within the set.
        unsafe { place.key().write(self.key.without_ports()) }
        exchange(place.ports(), self.key.ports());
        exchange(place.tag(), self.location.tag());
    }

    #[inline(always)]
    fn release(&self, place: Place<K>) {
        place.vacate();
        // SAFETY: within the set.
        unsafe { place.tag().write_volatile(VAIN) }
    }

    #[inline(always)]
    fn with<R>(&self, place: Place<K>, work: impl FnOnce(&mut Entry<K>) -> R) -> R {
        // SAFETY: within the set. Another CPU may hold it as well: every field is a number of which
        // any value is valid, and the core reads each once.
        work(unsafe { &mut *place.shared.entry_at(place.slot.way()) })
    }
}

impl<K: Tabled> Neighbourhood<K> for Sixteen<'_, K> {
    type Neighbour<'k>
        = Sixteen<'k, K>
    where
        Self: 'k;

    #[inline(always)]
    fn location(&self) -> &Location {
        &self.location
    }

    #[inline(always)]
    fn place(&self, slot: Slot) -> Option<Place<K>> {
        let shared = Shared(K::set(self.location.set(slot))?);
        Some(Place { shared, slot })
    }

    #[inline(always)]
    fn spare(&self, now: Ticks) -> Option<(Place<K>, u32)> {
        self.choice(K::spare(&self.location, now))
    }

    #[inline(always)]
    fn resident(&self, place: Place<K>) -> Option<Sixteen<'_, K>> {
        // SAFETY: within the set. Another CPU may write it as well: any value is a key.
        Some(Sixteen::of(unsafe { &*place.key() }))
    }

    /// Word by word, as the stack has no room for all of it.
    #[inline(always)]
    fn copy(&self, from: Place<K>, _: &Sixteen<'_, K>, to: Place<K>) {
        for at in 0..size_of::<Conn>() / size_of::<u32>() {
            // SAFETY: within the entry.
            let word = unsafe { from.conn().add(at).read_volatile() };
            // SAFETY: as above.
            unsafe { to.conn().add(at).write_volatile(word) }
        }
    }
}
