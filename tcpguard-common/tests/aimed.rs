//! Somebody chooses the keys of a million connections: without the seed, that fills no set of the flow table
//! more than chance does; with it, what comes of it is bounded.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test relies on fails it by panicking"
)]

mod segment;

use std::ops::Range;

use tcpguard_common::{
    conn::{
        state::State,
        time::{SECOND, Ticks},
        witness::Plea,
    },
    flags::TcpFlags,
    flow::{FlowKey4, FlowKey6, Way},
    table::{
        EMPTY, VAIN, View, WAYS,
        host::Table,
        key::{Key, Location, Seed},
        room::{Choice, choose},
        sets_for,
    },
    verdict::Verdict,
};

use self::segment::seen;

/// Connections of an attacker.
const MILLION: u32 = 1_000_000;
/// Sets of a table that is made for as many.
const AT_THE_LIMIT: u32 = sets_for(MILLION);
/// Sets of a table of which they fill nineteen of twenty slots: by chance, many of them have none.
const CROWDED: u32 = MILLION / 19 * 20 / 8;
/// The attacker knows none of these.
const SEEDS: Range<u64> = 1000..1003;

/// A set of connections that give way to nobody, of which only the number matters.
#[derive(Clone, Copy)]
struct Load(usize);

impl<K> View<K> for Load {
    fn tag(self, way: usize) -> u32 {
        if way < self.0 { VAIN + 1 } else { EMPTY }
    }

    fn used(self) -> usize {
        self.0
    }

    fn holds(self, _: usize, _: &K) -> bool {
        false
    }

    fn readiness(self, _: usize, _: Ticks) -> u32 {
        0
    }
}

/// How many of these hashes find no slot in a table of so many sets.
fn homeless(hashes: impl Iterator<Item = u64>, sets: u32) -> u32 {
    let mut table = vec![Load(0); sets as usize];
    let mut homeless = 0;
    for hash in hashes {
        let location = Location::new(hash, sets);
        let candidates = [location.first(), location.second()].map(|set| set as usize);
        match choose::<FlowKey4>(candidates.map(|set| table[set]), location.home(), Ticks(0)) {
            Some(Choice { slot, .. }) => table[candidates[slot.set()]].0 += 1,
            None => homeless += 1,
        }
    }
    homeless
}

/// More than of a million hashes by chance find no slot once in a thousand million tables: six deviations
/// above the mean, of a number that is distributed as that of rare events.
fn most_by_chance(sets: u32) -> u32 {
    let mut state = 0_u64;
    // Knuth's MMIX; two of its upper halves are a hash.
    let mut half = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 32
    };
    let rounds = 4;
    let hashes = |_| {
        (0..MILLION)
            .map(|_| half() << 32 | half())
            .collect::<Vec<_>>()
    };
    let tables = (0..rounds).map(hashes);
    let total: u32 = tables
        .map(|hashes| homeless(hashes.into_iter(), sets))
        .sum();
    let mean = (total / rounds).max(1);
    mean + 6 * (mean.isqrt() + 1)
}

/// Asserts that under no seed more of these keys find no slot than by chance.
fn assert_spread<K: Key>(name: &str, [limit, crowded]: [u32; 2], keys: impl Fn(u32) -> K) {
    for seed in SEEDS {
        let hash = Seed::known(seed);
        let hashes = || (0..MILLION).map(|number| keys(number).hash(&hash));
        for (sets, most) in [(AT_THE_LIMIT, limit), (CROWDED, crowded)] {
            let homeless = homeless(hashes(), sets);
            assert!(
                homeless <= most,
                "{name}, seed {seed}: {homeless} find no slot in {sets} sets, by chance at most {most}"
            );
        }
    }
}

#[test]
fn keys_that_are_alike_are_spread_as_by_chance() {
    /// The words of both addresses, and the ports.
    type Family = (&'static str, fn(u32) -> ([[u32; 4]; 2], u32));
    let families: [Family; 8] = [
        ("counted up", |n| ([[0, 0, 0, n], [0, 0, 0, 7]], 0)),
        ("upper bits", |n| ([[0, 0, 0, n << 12], [0, 0, 0, 7]], 0)),
        ("ports", |n| ([[0, 0, 0, 1], [0, 0, 0, 2]], n)),
        ("addresses and ports", |n| {
            ([[0, 0, 0, n >> 16], [0, 0, 0, 7]], n << 16 | 0x50)
        }),
        ("upper bits of both", |n| {
            ([[0, 0, 0, n << 22], [0, 0, 0, n >> 10 << 22]], 0)
        }),
        ("cancelling", |n| {
            ([[n, 0, 0, n.wrapping_neg()], [0, 0, 0, n]], n)
        }),
        ("two or three bits in each word", |n| {
            let word = |at: usize| (n >> (at * 3) & 7) << (29 - at * 3);
            let address = |from| std::array::from_fn(|at| word(from + at));
            ([address(0), address(4)], 0)
        }),
        ("prefixes", |n| {
            let prefix = 0x2001_0db8;
            ([[prefix, n << 12, 0, 1], [prefix, 0, 0, 1]], 80)
        }),
    ];
    let most = [AT_THE_LIMIT, CROWDED].map(most_by_chance);
    for (name, words) in families {
        assert_spread(name, most, |number| {
            let (addresses, ports) = words(number);
            FlowKey6 {
                addresses,
                ports: halves(ports),
            }
        });
    }
    // Of IPv4 those whose last words differ.
    for (name, words) in families.into_iter().take(6) {
        assert_spread(name, most, |number| {
            let (addresses, ports) = words(number);
            FlowKey4 {
                addresses: addresses.map(|[.., last]| last),
                ports: halves(ports),
            }
        });
    }
}

fn halves(number: u32) -> [u16; 2] {
    let [a, b, c, d] = number.to_ne_bytes();
    [[a, b], [c, d]].map(u16::from_ne_bytes)
}

/// Keys from many sources to one port, the `number`th of them.
fn key(number: u32) -> FlowKey4 {
    let [upper, lower] = halves(number);
    FlowKey4 {
        addresses: [0x0a00_0000 | u32::from(lower), 0xc0a8_0001],
        ports: [upper, 80],
    }
}

#[test]
fn keys_that_meet_under_other_seeds_are_spread_as_by_chance() {
    let most = [AT_THE_LIMIT, CROWDED].map(most_by_chance);
    // All in one part of the table under one seed; and in a half of it under each of several.
    for (name, seeds, parts) in [("one seed", 1..2_u64, 16), ("four seeds", 1..5, 2)] {
        let seeds: Vec<_> = seeds.map(Seed::known).collect();
        let meets = |key: &FlowKey4| {
            let first = |seed| Location::new(key.hash(seed), AT_THE_LIMIT).first();
            seeds.iter().all(|seed| first(seed) < AT_THE_LIMIT / parts)
        };
        let keys: Vec<_> = (0..)
            .map(key)
            .filter(meets)
            .take(MILLION as usize)
            .collect();
        // It is an attack if the table has that seed.
        let aimed = homeless(keys.iter().map(|key| key.hash(&seeds[0])), CROWDED);
        assert!(aimed > 2 * most[1], "{name}: {aimed}");
        assert_spread(name, most, |number| keys[number as usize]);
    }
}

const SYN_ACK: TcpFlags = TcpFlags::SYN.with(TcpFlags::ACK);

/// A table whose seed somebody knows.
struct Known {
    table: Table<FlowKey4>,
    sets: u32,
}

impl Known {
    const SEED: u64 = 1;

    fn new(connections: u32) -> Self {
        Self {
            table: Table::new(connections, Seed::known(Self::SEED)),
            sets: sets_for(connections),
        }
    }

    /// The candidate sets of a key, in order.
    fn pair(&self, key: &FlowKey4) -> [u32; 2] {
        let location = Location::new(key.hash(&Seed::known(Self::SEED)), self.sets);
        let mut pair = [location.first(), location.second()];
        pair.sort_unstable();
        pair
    }

    /// Different sets, and the keys that have just these.
    fn aimed(&self) -> impl Iterator<Item = FlowKey4> {
        let pairs = (0..).map(|number| self.pair(&key(number)));
        let pair = pairs
            .clone()
            .find(|[first, second]| first != second)
            .unwrap();
        (0..).map(key).filter(move |key| self.pair(key) == pair)
    }

    fn open(&self, key: &FlowKey4, now: u32) -> bool {
        let syn = seen(TcpFlags::SYN, 100, 0, now);
        let ruling = self.table.decide(key, Way::Up, &syn, || Plea::Refuse);
        assert_eq!(ruling.verdict(), Verdict::ACCEPT);
        !ruling.is_table_full()
    }

    /// Whether the connection is remembered; whoever opens it comes through.
    fn establish(&self, key: &FlowKey4, now: u32) -> bool {
        let remembered = self.open(key, now);
        for (way, segment) in [
            (Way::Down, seen(SYN_ACK, 500, 101, now)),
            (Way::Up, seen(TcpFlags::ACK, 101, 501, now)),
        ] {
            let ruling = self.table.decide(key, way, &segment, || Plea::Refuse);
            assert_eq!(ruling.verdict(), Verdict::ACCEPT);
        }
        remembered
    }

    fn is_established(&self, key: &FlowKey4) -> bool {
        let entry = self.table.entry(key);
        entry.is_some_and(|entry| entry.conn.state() == State::Established)
    }
}

#[test]
fn with_the_seed_sixteen_connections_fill_a_pair_of_sets() {
    let known = Known::new(512);
    let mut keys = known.aimed();
    let good: Vec<_> = keys.by_ref().take(3).collect();
    assert!(good.iter().all(|key| known.establish(key, 0)));
    // The attacker's own, as many as there is room for.
    let remembered = keys
        .by_ref()
        .take(100)
        .filter(|key| known.establish(key, 1));
    assert_eq!(remembered.count(), 2 * WAYS - good.len());
    assert!(good.iter().all(|key| known.is_established(key)));
    // With one set of the pair, or none, there is room.
    let full = known.pair(&good[0]);
    let others = (0..10_000).map(key).filter(|key| known.pair(key) != full);
    assert!(others.take(200).all(|key| known.establish(&key, 2)));
}

#[test]
fn with_the_seed_a_tenth_of_the_slots_harms_one_newcomer_of_a_hundred() {
    let known = Known::new(8192);
    let tenth = known.sets / 10;
    let slots = WAYS * tenth as usize;
    let aimed = |key: &FlowKey4| known.pair(key).iter().all(|set| *set < tenth);
    let keys = (0..2_000_000).map(key).filter(aimed);
    let taken = keys.filter(|key| known.establish(key, 0)).count();
    assert!(taken > slots * 99 / 100, "{taken} of {slots}");
    let newcomers = 1 << 31..(1 << 31) + 40_000;
    let count = newcomers.len();
    let harmed = newcomers.map(key).filter(|key| {
        let remembered = known.open(key, 1);
        // They are gone before the next one comes, or the table would fill up.
        let reset = seen(TcpFlags::RST, 101, 0, 1);
        let _ = known.table.decide(key, Way::Up, &reset, || Plea::Refuse);
        !remembered
    });
    let harmed = harmed.count();
    assert!(
        (count / 125..count / 80).contains(&harmed),
        "{harmed} of {count}"
    );
}

#[test]
fn with_the_seed_sixteen_syns_interrupt_a_handshake_and_nothing_else() {
    for plea in [Plea::Refuse, Plea::Adopt] {
        let known = Known::new(512);
        let mut keys = known.aimed();
        let [done, newcomer] = [keys.next().unwrap(), keys.next().unwrap()];
        assert!(known.establish(&done, 0) && known.open(&newcomer, SECOND));
        let interrupted = |key: &FlowKey4| known.table.entry(key).is_none();
        let syns = keys.take_while(|key| {
            assert!(known.open(key, 2 * SECOND));
            !interrupted(&newcomer)
        });
        assert_eq!(syns.count() + 1, 2 * WAYS - 1);
        assert!(known.is_established(&done));
        // Who asks the sockets of this host finds it.
        let answer = seen(SYN_ACK, 500, 101, 2 * SECOND);
        let ruling = known.table.decide(&newcomer, Way::Down, &answer, || plea);
        let is_adopted = matches!(plea, Plea::Adopt);
        assert_eq!(ruling.verdict() == Verdict::ACCEPT, is_adopted);
        assert_eq!(known.table.entry(&newcomer).is_some(), is_adopted);
    }
}
