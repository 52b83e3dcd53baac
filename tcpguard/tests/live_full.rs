//! More connections than the table holds: floods push out no connection, and a full table loses none.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{thread, time::Duration};

use common::place::{PORT, assert_harmless, brief, guarded_site};
use serde_json::Value;
use xtask::lab::{
    forge::{Dice, Forger, syn_flood},
    line::{Line, Pair},
    path::Host,
    site::{Family, Guarded, Site},
    traffic::exchange,
};

/// Where connections are flooded: a guarded server, and a guarded router before one.
const TARGETS: [Guarded; 2] = [Guarded::Server, Guarded::Router];
/// Connections that are there before the flood, and tried while it lasts.
const CONNECTIONS: usize = 200;
const FLOOD: u16 = 10_000;
/// After each burst: the flood takes two seconds.
const PAUSE: Duration = Duration::from_millis(12);

fn open(site: &Site, line: &Line) -> Pair {
    let mut pair = line.connect(&site.client).unwrap();
    exchange(&mut pair).unwrap();
    pair
}

/// Tries so many connections, one after the other, and says why some failed.
fn failures(site: &Site, line: &Line) -> Vec<String> {
    let attempt = |n| {
        thread::sleep(Duration::from_millis(9));
        let result = line
            .connect(&site.client)
            .and_then(|mut pair| exchange(&mut pair));
        result.err().map(|error| format!("{n}: {error:#}"))
    };
    // Each failure takes seconds: a few tell enough.
    (0..CONNECTIONS).filter_map(attempt).take(3).collect()
}

/// A flood from nobody while honest connections live and others are opened.
fn flood(site: &Site, line: &Line, family: Family) -> Vec<String> {
    let forger = Forger::new(site, Host::Server).unwrap();
    let flood = syn_flood(family, line.address(), FLOOD, &mut Dice::new(9)).collect::<Vec<_>>();
    thread::scope(|scope| {
        let flooding = scope.spawn(|| forger.send(flood, PAUSE).unwrap());
        let failures = failures(site, line);
        assert_eq!(flooding.join().unwrap(), u64::from(FLOOD));
        failures
    })
}

fn conns(reading: &Value, what: &str) -> u64 {
    reading["tables"]["conns"][what].as_u64().unwrap()
}

#[test]
fn a_flood_of_syns_pushes_out_no_connection_and_keeps_out_none() {
    for guarded in TARGETS {
        let args = ["--max-conns", "512", "--learn", "0s"];
        let (site, mut guard) = guarded_site(guarded, &args);
        for family in Family::ALL {
            let line = Line::open(&site.server, site.service(family, PORT)).unwrap();
            let mut pairs: Vec<_> = (0..CONNECTIONS).map(|_| open(&site, &line)).collect();
            let failures = flood(&site, &line, family);
            let reading = guard.fresh_reading().unwrap();
            let told = format!("{guarded:?} {family:?}: {}", brief(&reading));
            assert!(failures.len() <= 1, "{failures:?}: {told}");
            for (n, pair) in pairs.iter_mut().enumerate() {
                exchange(pair).unwrap_or_else(|error| panic!("{n}: {error:#}: {told}"));
            }
            // Retransmitted answers to nobody must not become connections either.
            thread::sleep(Duration::from_secs(2));
            let reading = guard.fresh_reading().unwrap();
            let lasting = reading["states"]["ESTABLISHED"].as_u64().unwrap();
            let told = format!("{guarded:?} {family:?}: {}", brief(&reading));
            assert!(lasting <= CONNECTIONS as u64 + 2, "{lasting} last: {told}");
            assert_eq!(reading["resync"], 0, "{told}");
        }
    }
}

#[test]
fn a_table_full_of_connections_loses_none_and_keeps_out_none() {
    for guarded in TARGETS {
        let args = ["--max-conns", "64", "--learn", "0s"];
        let (site, mut guard) = guarded_site(guarded, &args);
        for family in Family::ALL {
            let line = Line::open(&site.server, site.service(family, PORT)).unwrap();
            let mut pairs: Vec<_> = (0..CONNECTIONS).map(|_| open(&site, &line)).collect();
            for (n, pair) in pairs.iter_mut().enumerate() {
                exchange(pair).unwrap_or_else(|error| panic!("{n}: {error:#}"));
            }
            let reading = guard.fresh_reading().unwrap();
            let told = format!("{guarded:?} {family:?}: {}", brief(&reading));
            assert!(conns(&reading, "full") > 0, "{told}");
            assert!(conns(&reading, "entries") >= 64, "{told}");
            assert_harmless(&reading, guarded);
            // Half of them make room. The table has never heard of most of the others.
            let others = pairs.split_off(CONNECTIONS / 2);
            drop(pairs);
            for (n, mut pair) in others.into_iter().enumerate() {
                exchange(&mut pair).unwrap_or_else(|error| panic!("{n}: {error:#}: {told}"));
            }
            assert_harmless(
                &guard.fresh_reading().unwrap(),
                (guarded, "with room again"),
            );
        }
    }
}
