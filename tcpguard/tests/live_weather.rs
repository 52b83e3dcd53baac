//! Honest traffic over a rough cable: what is lost, doubled or late is TCP's own affair, and every
//! retransmission of a SYN, of data or of a FIN is as good as the first.

mod common;

use std::{thread, time::Duration};

use common::place::{PORT, brief, guard, objections, over_both, pairs, stop_harmless};
use xtask::lab::{
    line::Line,
    site::{Family, Guarded, Site},
    traffic::{Ending, short_connections, transfer},
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

#[test]
fn transfers_are_adopted_out_of_a_rough_cable() {
    for guarded in Guarded::ALL {
        let site = Site::under(guarded, ROUGH).unwrap();
        let pairs = pairs(&site, PORT);
        thread::scope(|scope| {
            let transfers = scope.spawn(|| {
                over_both(pairs.each_ref(), |pair| transfer(pair, 96 << 20).unwrap());
            });
            let mut adopted = 0;
            while !transfers.is_finished() {
                let mut guard = guard(&site, &[]);
                let reading = guard.fresh_reading().unwrap();
                assert!(
                    objections(&reading).is_empty(),
                    "{guarded:?}: {}",
                    brief(&reading)
                );
                adopted += reading["adopted"].as_u64().unwrap();
                guard.kill().unwrap();
            }
            assert!(adopted >= 2, "{guarded:?}: {adopted}");
        });
    }
}
