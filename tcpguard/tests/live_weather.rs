//! Honest traffic over a rough cable: what is lost, doubled or late is TCP's own affair, and every
//! retransmission of a SYN, of data or of a FIN is as good as the first.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{thread, time::Duration};

use common::place::{PORT, brief, guard, objections, over_both, pairs, stop_harmless};
use xtask::lab::{
    line::Line,
    site::{Family, Guarded, Site},
    traffic::{Ending, Flow, short_connections, transfer},
    weather::Weather,
};

const ROUGH: Weather = Weather {
    delay: Duration::from_millis(2),
    lost: 10,
    doubled: 10,
    late: 20,
};
/// Every twentieth frame of a handshake or of a close.
const WILD: Weather = Weather {
    lost: 50,
    doubled: 50,
    late: 50,
    ..ROUGH
};
/// Retransmitted SYNs wait for seconds: many connections must wait at the same time.
const LINES: u16 = 20;
const CONNECTIONS: usize = 6;
const ORDERLY: [Ending; 2] = [Ending::Client, Ending::Server];

#[test]
fn transfers_over_a_rough_cable_are_complete() {
    for guarded in Guarded::ALL {
        let site = Site::under(guarded, ROUGH).unwrap();
        let guard = guard(&site, &[]);
        over_both(pairs(&site, PORT), |pair| transfer(&pair, 1 << 20).unwrap());
        let reading = stop_harmless(guard, guarded);
        assert_eq!(reading["resync"], 0, "{guarded:?}: {}", brief(&reading));
    }
}

#[test]
fn connections_over_a_wild_cable_open_and_close() {
    for guarded in Guarded::ALL {
        let site = Site::under(guarded, WILD).unwrap();
        let guard = guard(&site, &[]);
        thread::scope(|scope| {
            for (family, port) in (0..LINES).map(|n| (Family::ALL[usize::from(n % 2)], PORT + n)) {
                let site = &site;
                scope.spawn(move || {
                    let line = Line::open(&site.server, site.service(family, port)).unwrap();
                    short_connections(&line, &site.client, CONNECTIONS, &ORDERLY).unwrap();
                });
            }
        });
        stop_harmless(guard, guarded);
    }
}

/// A guard that comes and goes while connections are at work; returns how many it has adopted.
fn adopting(site: &Site, guarded: Guarded) -> u64 {
    let mut guard = guard(site, &[]);
    let reading = guard.fresh_reading().unwrap();
    let told = brief(&reading);
    assert!(objections(&reading).is_empty(), "{guarded:?}: {told}");
    guard.kill().unwrap();
    reading["adopted"].as_u64().unwrap()
}

#[test]
fn transfers_are_adopted_out_of_a_rough_cable() {
    for guarded in Guarded::ALL {
        let site = Site::under(guarded, ROUGH).unwrap();
        let pairs = pairs(&site, PORT);
        let flows = pairs.each_ref().map(|pair| Flow::start(pair).unwrap());
        let adopted: u64 = (0..2).map(|_| adopting(&site, guarded)).sum();
        assert!(adopted >= 2, "{guarded:?}: {adopted}");
        // What is on its way when they close, and the close itself, are adopted as well.
        thread::scope(|scope| {
            let ends = flows.map(|flow| scope.spawn(|| flow.finish().unwrap()));
            while !ends.iter().all(thread::ScopedJoinHandle::is_finished) {
                adopting(&site, guarded);
            }
        });
    }
}
