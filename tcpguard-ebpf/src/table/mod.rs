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

mod checked;
mod shared;

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use tcpguard_common::{
    conn::{entry::Entry, time::Ticks},
    table::{self, Candidates, EMPTY, Slot, VAIN, View, key::Location, room::Neighbourhood},
};

pub(crate) use self::checked::Tabled;
use self::{
    checked::slot,
    shared::{Place, Shared, exchange},
};

/// The two candidate sets of one key. The second one is not even looked for before the first has been
/// looked at.
pub(crate) struct Sixteen<'a, K> {
    location: Location,
    key: &'a K,
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
        self.place(slot(number)?)
    }

    /// The same, and in the upper half the tag.
    #[inline(always)]
    fn choice(&self, bits: u64) -> Option<(Place<K>, u32)> {
        Some((self.numbered(bits as u32)?, (bits >> 32) as u32))
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
        let claimed = place.seize(there);
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
        self.give_back(place, self.location.tag());
    }

    #[inline(always)]
    fn with<R>(&self, place: Place<K>, work: impl FnOnce(&mut Entry<K>) -> R) -> R {
        // SAFETY: within the set. Another CPU may hold it as well: every field is a number of which
        // any value is valid, and the core reads each once.
        work(unsafe { &mut *place.shared.entry_at(place.slot.way()) })
    }
}

impl<K: Tabled> Neighbourhood<K> for Sixteen<'_, K> {
    #[inline(always)]
    fn location(&self) -> &Location {
        &self.location
    }

    #[inline(always)]
    fn place(&self, slot: Slot) -> Option<Place<K>> {
        Place::of(self.location.set(slot), slot)
    }

    #[inline(always)]
    fn tag(&self, place: Place<K>) -> u32 {
        place.tag_now()
    }

    #[inline(always)]
    fn resident(&self, place: Place<K>) -> Option<Location> {
        // SAFETY: within the set. Another CPU may write it as well: then the tag is not that of what is read.
        Some(unsafe { &*place.key() }.location())
    }

    #[inline(always)]
    fn spare(&self, location: &Location, now: Ticks) -> Option<(Place<K>, u32)> {
        let spare = K::spare(location, now);
        let place = Place::of(location.second(), slot(spare as u32)?)?;
        Some((place, (spare >> 32) as u32))
    }

    /// What is read while another CPU takes the entry is not published: its tag is another one before anything else is.
    #[inline(always)]
    fn copy(&self, from: Place<K>, to: Place<K>, tag: u32) -> bool {
        let ports = from.copy(to);
        if from.tag_now() != tag {
            exchange(to.tag(), VAIN);
            return false;
        }
        exchange(to.ports(), ports);
        exchange(to.tag(), tag);
        true
    }

    #[inline(always)]
    fn give_back(&self, place: Place<K>, tag: u32) {
        if place.seize(tag) {
            place.vacate();
            exchange(place.tag(), VAIN);
        }
    }
}
