//! Two CPUs at once on a flow table so small that they meet in every set, hundreds of thousands of times a
//! second: whatever they enter and push out, no connection is lost, and no entry is under another's name.
//! Needs root.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

#[path = "../benches/tracked/shuffle.rs"]
#[expect(
    dead_code,
    reason = "the benchmark has connections in other orders as well"
)]
mod shuffle;

use std::{
    collections::{BTreeMap, BTreeSet},
    hint, iter,
    ops::Range,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use aya::{
    Ebpf, EbpfLoader, TestRunOptions,
    maps::{Array, PerCpuArray},
    programs::{TestRun as _, Xdp, XdpMode},
};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use tcpguard::clock;
use tcpguard_common::{
    abi::{self, Config},
    conn::{Conn, entry::Entry, state::State, time::SECOND},
    counters::Counters,
    craft::TcpFrame,
    flags::TcpFlags,
    flow::FlowKey4,
    seq::SeqNum,
    table::{
        EMPTY, Set, VAIN, WAYS,
        key::{Key as _, Location, Seed},
        sets_for,
    },
    verdict::Verdict,
};
use xtask::lab::namespace::Namespace;

use self::shuffle::Shuffle;

static BASELINE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/baseline.bpf.o"));
const PROGRAM: &str = "shuffled_guard";
const PASS: u32 = 2;

/// Established connections, numbers from 0 on: of three slots they take two.
const GOOD: u32 = 64;
/// So many that some find both of their sets full of others; after how many of them those before are still; and how
/// often others make them move.
const CROWD: u32 = 82;
const WAVE: u32 = 2;
const MOVING: u32 = 500;
/// Half-open ones, numbers from here on, which contend for the third.
const BEGUN: (u32, u32) = (1 << 12, 1 << 8);
const SEED: u64 = 1;
/// How often the CPUs contend with what is there, and how often they fill an empty table: each time for some
/// microseconds, as what went wrong is pushed out again if they go on.
const ROUNDS: u32 = 4;
const FILLED: u32 = 3000;
/// Connections that each enters then, so few that all have room, in whatever order they come.
const FILLING: u32 = 20;
const ISNS: (u32, u32) = (1000, 5000);

/// What a CPU does in a turn.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// Opens connections, and pushes others out for it.
    Open,
    /// Goes on with established ones, in one direction.
    GoOn { back: bool },
    /// Opens some, one after the other.
    Fill { first: u32 },
}

impl Part {
    fn shuffle(self) -> Shuffle {
        match self {
            Self::Open => Shuffle::among(BEGUN.0, BEGUN.1),
            Self::GoOn { back: false } => Shuffle::among(0, GOOD),
            Self::GoOn { back: true } => Shuffle::among(0, GOOD).back(),
            Self::Fill { first } => Shuffle::from(first),
        }
    }

    fn frame(self) -> Vec<u8> {
        match self {
            Self::Open | Self::Fill { .. } => client(TcpFlags::SYN, 0, 0),
            Self::GoOn { back: false } => client(TcpFlags::ACK, 1, 1),
            Self::GoOn { back: true } => server(TcpFlags::ACK, 1, 1),
        }
    }

    const fn segments(self) -> u32 {
        match self {
            Self::Open | Self::GoOn { .. } => 300_000,
            Self::Fill { .. } => FILLING,
        }
    }
}

fn client(flags: TcpFlags, seq: u32, ack: u32) -> Vec<u8> {
    TcpFrame {
        seq: ISNS.0 + seq,
        ack: if flags == TcpFlags::SYN {
            0
        } else {
            ISNS.1 + ack
        },
        ..TcpFrame::ipv4().with_flags(flags)
    }
    .build()
}

fn server(flags: TcpFlags, seq: u32, ack: u32) -> Vec<u8> {
    let client = TcpFrame::ipv4();
    TcpFrame {
        source: client.destination,
        destination: client.source,
        ports: (client.ports.1, client.ports.0),
        seq: ISNS.1 + seq,
        ack: ISNS.0 + ack,
        ..client.with_flags(flags)
    }
    .build()
}

/// The program, and where it is attached without a use.
fn open() -> (Ebpf, Namespace) {
    let config = Config {
        tracking: 1,
        evidence: 1,
        sets: [sets_for(GOOD), sets_for(1)],
        per_jiffy: clock::per_jiffy(),
        seed: Seed::known(SEED),
        ..Config::DEFAULT
    };
    let mut object = EbpfLoader::new()
        .btf(None)
        .override_global(abi::CONFIG, &config, true)
        .map_max_entries(abi::FLOWS4, config.sets[0])
        .load(BASELINE)
        .expect("this test loads programs: run it as root");
    let program: &mut Xdp = object.program_mut(PROGRAM).unwrap().try_into().unwrap();
    program.load().unwrap();
    // Of a program that is attached nowhere each test run begins with milliseconds of preparation, and then no
    // two of them meet.
    let namespace = Namespace::new("contention").unwrap();
    let attach = || program.attach("lo", XdpMode::Skb);
    namespace.within(attach).unwrap().unwrap();
    (object, namespace)
}

/// Runs the program over so many connections, as they were set.
fn run(object: &Ebpf, frame: &[u8], segments: u32) {
    let program: &Xdp = object.program(PROGRAM).unwrap().try_into().unwrap();
    let options = TestRunOptions {
        data_in: Some(frame),
        repeat: segments,
        ..TestRunOptions::new()
    };
    assert_eq!(program.test_run(options).unwrap().return_value, PASS);
}

/// Both CPUs at once, each with its part.
fn turn(object: &mut Ebpf, cpus: [usize; 2], parts: [Part; 2]) {
    let [first, second] = parts;
    let of = |cpu| if cpu == cpus[0] { first } else { second };
    Shuffle::set_each(object, |cpu| of(cpu).shuffle()).unwrap();
    let (object, ready) = (&*object, AtomicU32::new(0));
    thread::scope(|scope| {
        for (cpu, part) in cpus.into_iter().zip(parts) {
            let ready = &ready;
            scope.spawn(move || {
                let mut set = CpuSet::new();
                set.set(cpu).unwrap();
                sched_setaffinity(Pid::from_raw(0), &set).unwrap();
                let frame = part.frame();
                // Nobody sleeps: waking up would take longer than a turn.
                ready.fetch_add(1, Ordering::SeqCst);
                while ready.load(Ordering::SeqCst) < 2 {
                    hint::spin_loop();
                    if cpus[0] == cpus[1] {
                        thread::yield_now();
                    }
                }
                run(object, &frame, part.segments());
            });
        }
    });
}

/// The first and the last CPU that this process may run on.
fn cpus() -> [usize; 2] {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let mut cpus = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap());
    let first = cpus.next().unwrap();
    [first, cpus.next_back().unwrap_or(first)]
}

/// Segments so far of which the verdict was not plainly that they pass, by cause.
fn objected(object: &Ebpf) -> BTreeMap<&'static str, u64> {
    let counters: PerCpuArray<_, Counters> = object.map(abi::COUNTERS).unwrap().try_into().unwrap();
    let mut objected = BTreeMap::new();
    for counters in counters.get(&0, 0).unwrap().iter() {
        for (cell, count) in counters.cells.iter().enumerate() {
            let verdict = Verdict::from_cell(cell).filter(|verdict| *verdict != Verdict::ACCEPT);
            if let Some(verdict) = verdict.filter(|_| count.tally.packets > 0) {
                *objected.entry(verdict.cause()).or_default() += count.tally.packets;
            }
        }
    }
    objected
}

fn sets(object: &Ebpf) -> Vec<Set<FlowKey4>> {
    let table: Array<_, Set<FlowKey4>> = object.map(abi::FLOWS4).unwrap().try_into().unwrap();
    table.iter().map(Result::unwrap).collect()
}

fn put(object: &mut Ebpf, sets: impl Iterator<Item = Set<FlowKey4>>) {
    let table = object.map_mut(abi::FLOWS4).unwrap();
    let mut table: Array<_, Set<FlowKey4>> = table.try_into().unwrap();
    for (index, set) in (0..).zip(sets) {
        table.set(index, set, 0).unwrap();
    }
}

/// Makes another set of each.
fn change(object: &mut Ebpf, change: impl Fn(Set<FlowKey4>) -> Set<FlowKey4>) {
    let there = sets(object);
    put(object, there.into_iter().map(change));
}

/// The connections in the table: each is where its own key says, under its own tag, and as its last segment has
/// left it.
fn entries(object: &Ebpf) -> Vec<Entry<FlowKey4>> {
    let mut entries = Vec::new();
    for (index, set) in (0..).zip(sets(object)) {
        for (tag, entry) in set.tags.into_iter().zip(set.entries) {
            if tag <= VAIN {
                continue;
            }
            let own = Location::new(entry.key.hash(&Seed::known(SEED)), sets_for(GOOD));
            assert_eq!(tag, own.tag(), "{entry:?} is under another's tag");
            assert!(
                [own.first(), own.second()].contains(&index),
                "{entry:?} is in set {index}"
            );
            // The client's address is the lower one.
            let [client, server] = entry.conn.halves;
            assert_eq!(client.end, SeqNum(ISNS.0 + 1), "{entry:?}");
            let state = entry.conn.state();
            if state == State::Established {
                assert_eq!(server.end, SeqNum(ISNS.1 + 1), "{entry:?}");
            } else {
                assert_eq!(state, State::SynSent, "{entry:?}");
            }
            entries.push(entry);
        }
    }
    entries
}

/// How many different ones these are.
fn distinct(entries: &[Entry<FlowKey4>]) -> usize {
    let keys = entries
        .iter()
        .map(|entry| (entry.key.addresses, entry.key.ports));
    keys.collect::<BTreeSet<_>>().len()
}

fn established(object: &Ebpf) -> usize {
    let mut entries = entries(object);
    entries.retain(|entry| entry.conn.state() == State::Established);
    assert_eq!(distinct(&entries), entries.len(), "one is there twice");
    entries.len()
}

/// Three segments of each of these connections; as many must be in the table then.
fn establish(object: &mut Ebpf, connections: Range<u32>) {
    say(object, connections.clone());
    assert_eq!(established(object), connections.end as usize);
}

/// Three segments of each of these connections.
fn say(object: &mut Ebpf, connections: Range<u32>) {
    let there = Shuffle::from(connections.start);
    for (frame, shuffle) in [
        (client(TcpFlags::SYN, 0, 0), there),
        (
            server(TcpFlags::SYN.with(TcpFlags::ACK), 0, 1),
            there.back(),
        ),
        (client(TcpFlags::ACK, 1, 1), there),
    ] {
        shuffle.set(object).unwrap();
        run(object, &frame, connections.end - connections.start);
    }
}

/// Forgets all connections, but leaves this in the memory of each.
fn clear(object: &mut Ebpf, remains: Conn) {
    let entry = Entry {
        key: FlowKey4::default(),
        conn: remains,
    };
    change(object, |set| Set {
        tags: [EMPTY; WAYS],
        used: 0,
        entries: [entry; WAYS],
        ..set
    });
}

#[test]
fn two_cpus_that_fill_one_table_lose_and_mix_up_no_connection() {
    let ((mut object, _namespace), cpus) = (open(), cpus());
    // A SYN that is held against what is left of it is ignored.
    establish(&mut object, 0..1);
    let remains = entries(&object).first().unwrap().conn;
    let [first, second] = [0, FILLING].map(|first| Part::Fill { first });
    let mut lost = 0;
    for _ in 0..FILLED {
        clear(&mut object, remains);
        turn(&mut object, cpus, [first, second]);
        let there = entries(&object);
        assert_eq!(distinct(&there), there.len(), "one is there twice");
        lost += 2 * FILLING as usize - there.len();
        // The same ones on both: two entries of one connection may come of that, but no other harm.
        clear(&mut object, remains);
        turn(&mut object, cpus, [first, first]);
        lost += FILLING as usize - distinct(&entries(&object));
    }
    assert_eq!(lost, 0);
    assert_eq!(objected(&object), BTreeMap::new());
}

#[test]
fn two_cpus_that_push_others_out_lose_no_established_connection() {
    let (mut object, _namespace) = open();
    let good = GOOD as usize;
    establish(&mut object, 0..GOOD);
    let cpus = cpus();
    let [there, back] = [false, true].map(|back| Part::GoOn { back });
    for round in 0..ROUNDS {
        for parts in [
            [Part::Open, Part::Open],
            [Part::Open, there],
            [back, Part::Open],
            [there, back],
        ] {
            turn(&mut object, cpus, parts);
            let objected = objected(&object);
            assert!(
                objected.is_empty(),
                "round {round}, {parts:?}: {objected:?}"
            );
            assert_eq!(established(&object), good, "round {round}, {parts:?}");
        }
    }
}

#[test]
fn who_finds_both_sets_full_makes_one_that_is_still_move_and_nobody_is_lost() {
    let waves = || {
        let later = (GOOD..CROWD).step_by(WAVE as usize);
        iter::once(0..GOOD).chain(later.map(|first| first..first + WAVE))
    };
    let (mut object, _namespace) = open();
    waves().for_each(|wave| say(&mut object, wave));
    let remembered = established(&object);
    assert!(remembered < CROWD as usize, "none of them has to move");
    let (mut object, _namespace) = open();
    for wave in waves() {
        establish(&mut object, wave);
        change(&mut object, silenced);
    }
    // Two CPUs that make them move at once.
    let (crowd, cpus) = (sets(&object), cpus());
    let mut moved = 0;
    for round in 0..MOVING {
        put(&mut object, crowd.iter().copied());
        let parts = [0, 1].map(|cpu| Part::Fill {
            first: BEGUN.0 + (2 * round + cpu) * FILLING,
        });
        turn(&mut object, cpus, parts);
        assert_eq!(established(&object), CROWD as usize);
        moved += places(&sets(&object)).difference(&places(&crowd)).count();
        // Each is found where it is now.
        for (frame, way) in [
            (client(TcpFlags::ACK, 1, 1), Shuffle::from(0)),
            (server(TcpFlags::ACK, 1, 1), Shuffle::from(0).back()),
        ] {
            way.set(&mut object).unwrap();
            run(&object, &frame, CROWD);
        }
    }
    assert_eq!(objected(&object), BTreeMap::new());
    assert!(moved > MOVING as usize, "{moved} have moved");
}

/// A set whose connections have not been heard for a while.
fn silenced(mut set: Set<FlowKey4>) -> Set<FlowKey4> {
    for half in set.entries.iter_mut().flat_map(|it| &mut it.conn.halves) {
        half.seen.0 = half.seen.0.wrapping_sub(4 * SECOND);
    }
    set
}

/// Which set each established connection is in, and which slot of it.
fn places(sets: &[Set<FlowKey4>]) -> BTreeSet<(usize, usize, [u32; 2])> {
    let mut places = BTreeSet::new();
    for (index, set) in sets.iter().enumerate() {
        for (way, entry) in set.entries.iter().enumerate() {
            if set.tags[way] > VAIN && entry.conn.state() == State::Established {
                places.insert((index, way, entry.key.addresses));
            }
        }
    }
    places
}
