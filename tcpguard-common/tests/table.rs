//! The flow table: what went in and is live is found, what must not give way stays, and by chance
//! nobody is left without a slot.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test relies on fails it by panicking"
)]

mod segment;

use std::collections::{HashMap, VecDeque};

use tcpguard_common::{
    conn::{
        ruling::Ruling,
        seen::{Seen, Voice},
        state::State,
        time::{SECOND, lifetime},
        witness::Plea,
    },
    flags::TcpFlags,
    flow::{FlowKey4, Way},
    table::{
        WAYS,
        host::Table,
        key::{Key, Seed},
        sets_for,
    },
    verdict::Verdict,
};

use self::segment::seen;

fn key(number: u32) -> FlowKey4 {
    let port = u16::try_from(1024 + number % 60_000).unwrap();
    FlowKey4::new((0x0a00_0000 + number / 60_000, port), (0xc0a8_0001, 80)).0
}

fn step<K: Key>(table: &Table<K>, key: &K, way: Way, seen: &Seen) -> Ruling {
    table.decide(key, way, seen, || Plea::Refuse)
}

fn open<K: Key>(table: &Table<K>, key: &K, now: u32) -> Ruling {
    step(table, key, Way::Up, &seen(TcpFlags::SYN, 100, 0, now))
}

fn establish(table: &Table<FlowKey4>, key: &FlowKey4, now: u32) -> bool {
    let opened = open(table, key, now);
    let answer = seen(TcpFlags::SYN.with(TcpFlags::ACK), 500, 101, now);
    let _ = step(table, key, Way::Down, &answer);
    let last = step(table, key, Way::Up, &seen(TcpFlags::ACK, 101, 501, now));
    !opened.is_table_full() && last.after() == Some(State::Established)
}

fn state(table: &Table<FlowKey4>, key: &FlowKey4) -> Option<State> {
    table.entry(key).map(|entry| entry.conn.state())
}

#[test]
fn at_the_limit_everybody_finds_a_slot() {
    for limit in [1 << 14, 100_000, 1 << 20] {
        let table = Table::new(limit, Seed::known(1));
        // As many a second all the time, for a minute.
        let now = |number| number / (limit / (60 * SECOND));
        let full = (0..limit).filter(|number| !establish(&table, &key(*number), now(*number)));
        assert_eq!(full.count(), 0, "of {limit}");
    }
}

/// A table is never again as it was when it was empty: after a while each slot has had an entry; and what is not of an
/// established connection is of one that has just ended, or of a flood.
#[test]
fn at_the_limit_everybody_does_after_all_have_come_and_gone_many_times() {
    let limit = 1 << 14;
    let table = Table::new(limit, Seed::known(1));
    let mut live: VecDeque<_> = (0..limit).map(key).collect();
    for key in &live {
        establish(&table, key, 0);
    }
    let (rounds, share) = (100, limit / 10);
    for round in 1..=rounds {
        let now = round * SECOND;
        // Somewhere among those that are there, of which none was heard since it was established.
        live.rotate_left(live.len() * 7 / 19);
        for key in live.drain(..share as usize) {
            let _ = step(&table, &key, Way::Up, &seen(TcpFlags::RST, 101, 0, now));
        }
        for flood in 1 << 24..(1 << 24) + limit {
            let _ = open(&table, &key(flood + round * limit), now);
        }
        let newcomers = (limit + round * share..).map(key).take(share as usize);
        live.extend(newcomers);
        let newcomers = live.range(live.len() - share as usize..);
        let full = newcomers.filter(|key| !establish(&table, key, now));
        assert_eq!(full.count(), 0, "in round {round}");
    }
    for key in &live {
        assert_eq!(state(&table, key), Some(State::Established));
    }
}

#[test]
fn what_went_in_and_is_live_is_found() {
    bolero::check!()
        .with_type()
        .for_each(|&(seed, numbers): &(u64, [u16; 40])| {
            let table = Table::new(64, Seed::known(seed));
            let mut entered = HashMap::new();
            for number in numbers {
                let key = key(number.into());
                if establish(&table, &key, 7) {
                    entered.insert(number, key);
                }
            }
            for key in entered.values() {
                assert_eq!(state(&table, key), Some(State::Established));
            }
        });
}

#[test]
fn no_flood_of_syns_pushes_an_established_connection_out() {
    let table = Table::new(512, Seed::known(1));
    let good: Vec<_> = (0..200).map(key).collect();
    assert!(good.iter().all(|key| establish(&table, key, 0)));
    for number in 1000..101_000 {
        let _ = open(&table, &key(number), number / 1000);
    }
    for key in &good {
        assert_eq!(state(&table, key), Some(State::Established));
        let data = seen(TcpFlags::ACK, 101, 501, 100);
        assert_eq!(step(&table, key, Way::Up, &data).verdict(), Verdict::ACCEPT);
    }
}

#[test]
fn a_full_table_lets_pass_and_forgets_nobody() {
    let table = Table::new(16, Seed::known(1));
    let slots = sets_for(16) as usize * WAYS;
    let entered: Vec<_> = (0..10_000)
        .map(key)
        .filter(|key| establish(&table, key, 0))
        .collect();
    assert_eq!(entered.len(), slots);
    let late = key(20_000);
    assert!(open(&table, &late, 1).is_table_full());
    // That there is no entry proves nothing then: not even a bare ACK is refused.
    let stray = step(&table, &late, Way::Up, &seen(TcpFlags::ACK, 7, 7, 1));
    assert!(stray.is_table_full());
    assert_eq!(stray.verdict(), Verdict::ACCEPT);
    for key in &entered {
        assert_eq!(state(&table, key), Some(State::Established));
    }
}

#[test]
fn an_entry_past_its_lifetime_gives_way_and_is_no_connection() {
    let table = Table::new(16, Seed::known(1));
    let old = key(1);
    let _ = open(&table, &old, 0);
    let patience = lifetime(State::SynSent);
    let answer = |now| seen(TcpFlags::SYN.with(TcpFlags::ACK), 500, 101, now);
    let late = step(&table, &old, Way::Down, &answer(patience + 1));
    assert_eq!(late.verdict().cause(), "synack-unsolicited");
    let timely = step(&table, &old, Way::Down, &answer(patience));
    assert_eq!(timely.after(), Some(State::SynReceived));
}

#[test]
fn what_has_ended_gives_way_before_what_is_half_open_and_the_oldest_first() {
    let table = Table::new(16, Seed::known(1));
    let slots = u32::try_from(sets_for(16) as usize * WAYS).unwrap();
    // Enough that every set is full: half-open ones, each a second younger than the one before.
    for number in 0..slots * 8 {
        let _ = open(&table, &key(number), number * SECOND / 8);
    }
    let mut ages: Vec<_> = table.entries().map(|entry| entry.conn.created.0).collect();
    ages.sort_unstable();
    // Those that stayed are the young ones.
    assert!(ages[0] > slots * SECOND / 8, "{ages:?}");
}

#[test]
fn a_dropped_or_ignored_segment_changes_nothing() {
    type Move = (bool, u16, u32, u32, u16, u16, u8);
    bolero::check!().with_type().for_each(|moves: &Vec<Move>| {
        let table = Table::new(16, Seed::known(1));
        let key = key(1);
        let mut now = 0;
        for &(up, flags, seq, ack, len, wait, near) in moves {
            now += u32::from(wait) % 64;
            let flags = TcpFlags::new(flags);
            if !flags.is_legal() {
                continue;
            }
            let way = if up { Way::Up } else { Way::Down };
            // Half of the numbers are near each other, so that connections come about.
            let number = |value: u32, bit: u8| if near & bit == 0 { value } else { value % 64 };
            let segment = Seen {
                payload_len: u32::from(len),
                ..seen(flags, number(seq, 1), number(ack, 2), now)
            };
            let before = table.entry(&key);
            let ruling = step(&table, &key, way, &segment);
            if ruling.verdict() != Verdict::ACCEPT {
                assert_eq!(table.entry(&key), before, "{segment:?} {ruling:?}");
            }
        }
    });
}

#[test]
fn a_direction_that_is_local_cannot_be_spoken_for() {
    let table = Table::new(16, Seed::known(1));
    let key = key(1);
    let local = |seen: Seen| Seen {
        voice: Voice::LOCAL,
        ..seen
    };
    let _ = open(&table, &key, 0);
    let answer = local(seen(TcpFlags::SYN.with(TcpFlags::ACK), 500, 101, 0));
    let _ = step(&table, &key, Way::Down, &answer);
    let _ = step(&table, &key, Way::Up, &seen(TcpFlags::ACK, 101, 501, 0));
    let before = table.entry(&key);
    for flags in [
        TcpFlags::ACK,
        TcpFlags::RST,
        TcpFlags::FIN.with(TcpFlags::ACK),
    ] {
        let spoofed = seen(flags, 501, 101, 0);
        assert_eq!(
            step(&table, &key, Way::Down, &spoofed).verdict(),
            Verdict::IGNORE
        );
    }
    assert_eq!(table.entry(&key), before);
}
