//! The table in this process, for replays and tests.

extern crate alloc;

use alloc::boxed::Box;
use core::cell::Cell;

use super::{
    BUSY, Candidates, EMPTY, Set, Slot, VAIN, View, WAYS, decide, find, find_first,
    key::{Key, Location, Seed},
    may_overflow,
    room::{self, Choice, Neighbourhood, choose, readiness, spare},
    sets_for,
};
use crate::{
    conn::{self, Conn, entry::Entry, ruling::Ruling, seen::Seen, time::Ticks, witness::Plea},
    flow::Way,
};

/// A flow table of its own memory.
#[derive(Debug)]
pub struct Table<K: Key> {
    sets: Box<[Cells<K>]>,
    seed: Seed,
}

/// A [`Set`] that can be written through a shared reference, as the kernel's can.
#[derive(Debug)]
struct Cells<K: Copy> {
    tags: [Cell<u32>; WAYS],
    used: Cell<usize>,
    entries: [Cell<Entry<K>>; WAYS],
}

impl<K: Key> Table<K> {
    /// An empty table for `connections` of them.
    #[must_use]
    pub fn new(connections: u32, seed: Seed) -> Self {
        let free = Entry {
            key: K::default(),
            conn: Conn::SILENT,
        };
        let set = |_| Cells {
            tags: core::array::from_fn(|_| Cell::new(EMPTY)),
            used: Cell::new(0),
            entries: core::array::from_fn(|_| Cell::new(free)),
        };
        Self {
            sets: (0..sets_for(connections)).map(set).collect(),
            seed,
        }
    }

    /// Decides about a segment of the connection `key`, as the kernel programs do.
    pub fn decide(&self, key: &K, way: Way, seen: &Seen, plead: impl FnOnce() -> Plea) -> Ruling {
        let Some(sixteen) = self.sixteen(key) else {
            return Ruling::table_full();
        };
        let plain = sixteen.find().and_then(|slot| {
            sixteen.with(slot, |entry| conn::track_plain(&mut entry.conn, way, seen))
        });
        plain.unwrap_or_else(|| decide(&sixteen, way, seen, plead))
    }

    /// The entry of a connection, live or not.
    #[must_use]
    pub fn entry(&self, key: &K) -> Option<Entry<K>> {
        let sixteen = self.sixteen(key)?;
        let slot = sixteen.find()?;
        Some(sixteen.with(slot, |entry| *entry))
    }

    /// Every entry that was ever made and not replaced, live or not.
    pub fn entries(&self) -> impl Iterator<Item = Entry<K>> + '_ {
        self.sets.iter().flat_map(|set| {
            let slots = set.tags.iter().zip(&set.entries);
            slots
                .filter(|(tag, _)| tag.get() > VAIN)
                .map(|(_, entry)| entry.get())
        })
    }

    /// Sets of the table as the kernel has them, to compare sizes.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.sets.len() * size_of::<Set<K>>()
    }

    fn location(&self, key: &K) -> Option<Location> {
        let count = u32::try_from(self.sets.len()).ok()?;
        Some(Location::new(key.hash(&self.seed), count))
    }

    fn sixteen(&self, key: &K) -> Option<Sixteen<'_, K>> {
        let location = self.location(key)?;
        let set = |index: u32| self.sets.get(index as usize);
        Some(Sixteen {
            table: self,
            sets: [set(location.first())?, set(location.second())?],
            location,
            key: *key,
        })
    }
}

/// The two candidate sets of one key.
struct Sixteen<'a, K: Key> {
    table: &'a Table<K>,
    sets: [&'a Cells<K>; 2],
    location: Location,
    key: K,
}

/// A slot of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    set: u32,
    way: usize,
}

impl<K: Key> Sixteen<'_, K> {
    fn at(&self, slot: Slot) -> Place {
        Place {
            set: self.location.set(slot),
            way: slot.way(),
        }
    }

    fn cells(&self, place: Place) -> Option<(&Cell<u32>, &Cell<Entry<K>>)> {
        let set = self.table.sets.get(place.set as usize)?;
        Some((set.tags.get(place.way)?, set.entries.get(place.way)?))
    }

    /// Says whose entry it is, and gives the slot its tag.
    fn set(&self, place: Place, key: K, tag: u32) {
        if let Some((there, entry)) = self.cells(place) {
            entry.set(Entry { key, ..entry.get() });
            there.set(tag);
        }
    }
}

impl<K: Key> Candidates<K> for Sixteen<'_, K> {
    type Place = Place;

    fn find(&self) -> Option<Place> {
        let [first, second] = self.sets;
        if let Some(way) = find_first(first, &self.location, &self.key) {
            return Some(self.at(Slot::new(0, way)));
        }
        if !may_overflow(first) {
            return None;
        }
        let way = find(second, self.location.tag(), &self.key)?;
        Some(self.at(Slot::new(1, way)))
    }

    fn choose(&self, now: Ticks) -> Option<(Place, u32)> {
        let Choice { slot, tag } = choose(self.sets, self.location.home(), now)?;
        Some((self.at(slot), tag))
    }

    fn make_room(&self, now: Ticks, really: bool) -> Option<Place> {
        room::make_room(self, now, really)
    }

    fn claim(&self, place: Place, tag: u32) -> bool {
        let is_there = self.tag(place) == tag;
        if is_there {
            self.set(place, K::default(), BUSY);
        }
        if is_there
            && tag == EMPTY
            && let Some(set) = self.table.sets.get(place.set as usize)
        {
            set.used.update(|used| used + 1);
        }
        is_there
    }

    fn publish(&self, place: Place) {
        self.set(place, self.key, self.location.tag());
    }

    fn release(&self, place: Place) {
        self.give_back(place, self.location.tag());
    }

    fn with<R>(&self, place: Place, work: impl FnOnce(&mut Entry<K>) -> R) -> R {
        let mut spare = Entry {
            key: self.key,
            conn: Conn::SILENT,
        };
        let Some((_, cell)) = self.cells(place) else {
            return work(&mut spare);
        };
        let mut entry = cell.get();
        let result = work(&mut entry);
        cell.set(entry);
        result
    }
}

impl<K: Key> Neighbourhood<K> for Sixteen<'_, K> {
    fn location(&self) -> &Location {
        &self.location
    }

    fn place(&self, slot: Slot) -> Option<Place> {
        Some(self.at(slot))
    }

    fn tag(&self, place: Place) -> u32 {
        self.cells(place).map_or(BUSY, |(tag, _)| tag.get())
    }

    fn resident(&self, place: Place) -> Option<Location> {
        let (_, entry) = self.cells(place)?;
        self.table.location(&entry.get().key)
    }

    fn spare(&self, location: &Location, now: Ticks) -> Option<(Place, u32)> {
        let set = location.second();
        let Choice { slot, tag } = spare(self.table.sets.get(set as usize)?, now)?;
        let way = slot.way();
        Some((Place { set, way }, tag))
    }

    fn copy(&self, from: Place, to: Place, tag: u32) -> bool {
        let Entry { key, conn } = self.with(from, |entry| *entry);
        self.with(to, |entry| entry.conn = conn);
        self.set(to, key, tag);
        true
    }

    fn give_back(&self, place: Place, tag: u32) {
        if self.tag(place) == tag {
            self.set(place, K::default(), VAIN);
        }
    }
}

impl<K: Key> View<K> for &Cells<K> {
    fn tag(self, way: usize) -> u32 {
        self.tags.get(way).map_or(BUSY, Cell::get)
    }

    fn used(self) -> usize {
        self.used.get()
    }

    fn holds(self, way: usize, key: &K) -> bool {
        self.entries
            .get(way)
            .is_some_and(|entry| entry.get().key.is(key))
    }

    fn readiness(self, way: usize, now: Ticks) -> u32 {
        self.entries
            .get(way)
            .map_or(0, |entry| readiness(&entry.get(), now))
    }
}

#[cfg(test)]
mod tests {
    use core::ptr;

    use super::{super::room::NEARLY_FULL, *};
    use crate::{conn::seen::Voice, flags::TcpFlags, flow::FlowKey4};

    fn key(number: u32) -> FlowKey4 {
        FlowKey4 {
            addresses: [number, 7],
            ports: [1, 2],
        }
    }

    const SYN: Seen = Seen {
        flags: TcpFlags::SYN,
        voice: Voice::FOREIGN,
        ..Seen::NOTHING
    };

    fn open(table: &Table<FlowKey4>, key: &FlowKey4) {
        let ruling = table.decide(key, Way::Up, &SYN, || Plea::Refuse);
        assert!(!ruling.is_table_full());
    }

    /// Of a hundred of these connections, how many are at home.
    fn at_home(table: &Table<FlowKey4>, keys: impl ExactSizeIterator<Item = FlowKey4>) -> usize {
        let count = keys.len();
        let is_at_home = |key: &FlowKey4| {
            let sixteen = table.sixteen(key).unwrap();
            sixteen.find() == Some(sixteen.at(Slot::new(0, sixteen.location.home())))
        };
        keys.filter(is_at_home).count() * 100 / count
    }

    #[test]
    fn connections_are_at_home_as_a_rule() {
        let limit = 60_000;
        // With a tenth, half and all of the connections that the table is for.
        for (share, least) in [(10, 95), (2, 78), (1, 56)] {
            let table = Table::new(limit, Seed::known(1));
            let keys = || (0..limit / share).map(key);
            keys().for_each(|key| open(&table, &key));
            let at_home = at_home(&table, keys());
            assert!(at_home >= least, "{at_home} of a hundred");
        }
    }

    #[test]
    fn fewer_are_at_home_when_all_have_come_and_gone() {
        // So late that what was last heard at 0 is over.
        const LATE: u32 = 1 << 16;
        let limit: u32 = 12_000;
        for (share, some) in [(10, 90..95), (2, 60..66), (1, 23..28)] {
            let table = Table::new(limit, Seed::known(1));
            let count = limit / share;
            let mut live: Vec<_> = (0..count).collect();
            let mut chance = 1_u64;
            let enter = |number| {
                let ack = Seen {
                    flags: TcpFlags::ACK,
                    now: Ticks(LATE + number / 400),
                    ..SYN
                };
                let ruling = table.decide(&key(number), Way::Up, &ack, || Plea::Adopt);
                assert!(ruling.is_adopted());
            };
            for number in &live {
                enter(*number);
            }
            for turn in 0..20 * count {
                // Knuth's MMIX.
                chance = chance
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let gone = live.swap_remove((chance >> 33) as usize % live.len());
                let gone = table.sixteen(&key(gone)).unwrap();
                gone.with(gone.find().unwrap(), |entry| entry.conn = Conn::SILENT);
                let new = count + turn;
                enter(new);
                live.push(new);
            }
            let at_home = at_home(&table, live.iter().map(|number| key(*number)));
            assert!(some.contains(&at_home), "{at_home} of a hundred");
        }
    }

    #[test]
    fn a_slot_is_nobodys_from_its_claim_to_the_end_of_its_filling() {
        let table = Table::new(16, Seed::known(1));
        let old = key(0);
        open(&table, &old);
        let home = |key: &FlowKey4| {
            let sixteen = table.sixteen(key).unwrap();
            (ptr::from_ref(sixteen.sets[0]), sixteen.location.home())
        };
        let mut others = (1..10_000).map(key);
        let new = others.find(|key| home(key) == home(&old)).unwrap();
        let sixteen = table.sixteen(&new).unwrap();
        // What is past its lifetime gives way, though other slots are empty.
        let (slot, tag) = sixteen.choose(Ticks(1 << 20)).unwrap();
        assert_eq!(slot, sixteen.at(Slot::new(0, sixteen.location.home())));
        assert_eq!(table.entry(&old).unwrap().key, old);
        assert!(sixteen.claim(slot, tag));
        assert!(!sixteen.claim(slot, tag));
        assert_eq!((table.entry(&old), table.entry(&new)), (None, None));
        sixteen.publish(slot);
        assert_eq!(table.entry(&old), None);
        assert_eq!(table.entry(&new).unwrap().key, new);
        sixteen.release(slot);
        assert_eq!((table.entry(&new), table.entries().count()), (None, 0));
    }

    #[test]
    fn a_slot_that_was_filled_in_vain_hides_no_other() {
        let table = Table::new(16, Seed::known(1));
        // Of connections that prefer one set, and not as their other one as well.
        let prefers = |key: &FlowKey4| {
            let [first, second] = table.sixteen(key).unwrap().sets;
            ptr::eq(first, table.sets.first().unwrap()) && !ptr::eq(first, second)
        };
        let mut keys = (0..).map(key).filter(prefers);
        for key in keys.by_ref().take(NEARLY_FULL - 1) {
            open(&table, &key);
        }
        let [twice, late] = [keys.next().unwrap(), keys.next().unwrap()];
        // One CPU enters a connection that another one has just entered as well, and a third sees the
        // set nearly full meanwhile.
        let sixteen = table.sixteen(&twice).unwrap();
        let (slot, tag) = sixteen.choose(SYN.now).unwrap();
        assert!(sixteen.claim(slot, tag));
        open(&table, &late);
        let late_one = table.sixteen(&late).unwrap();
        assert_eq!(slot.set, sixteen.location.first());
        assert_eq!(late_one.find().unwrap().set, late_one.location.second());
        sixteen.publish(slot);
        sixteen.release(slot);
        assert_eq!(table.entry(&late).unwrap().key, late);
        assert_eq!(table.entry(&twice), None);
        assert_eq!(table.entries().count(), NEARLY_FULL);
    }
}
