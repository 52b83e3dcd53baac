//! Honest traffic in quantity, at every place that can be guarded: nothing lost, nothing objected to.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use common::place::{
    PORT, assert_in_state, assert_went, guarded_site, lines, over_both, pairs, stop_harmless,
};
use xtask::lab::{
    site::Guarded,
    traffic::{Ending, short_connections, transfer},
};

/// In each direction.
const LARGE: u64 = 64 << 20;
const MANY: usize = 500;

/// Large transfers over IPv4 and IPv6, in both directions at the same time.
fn transfer_at(guarded: Guarded, args: &[&str]) {
    let (site, guard) = guarded_site(guarded, args);
    over_both(pairs(&site, PORT), |pair| transfer(&pair, LARGE).unwrap());
    let reading = stop_harmless(guard, (guarded, args));
    let bytes = reading["verdicts"]["accept"]["bytes"].as_u64().unwrap();
    assert!(bytes > 4 * LARGE, "{guarded:?}: not all seen: {reading}");
}

#[test]
fn large_transfers_to_a_guarded_host_lose_nothing() {
    transfer_at(Guarded::Server, &[]);
}

#[test]
fn large_transfers_of_a_guarded_client_lose_nothing() {
    transfer_at(Guarded::Client, &[]);
}

#[test]
fn large_transfers_through_a_guarded_router_lose_nothing() {
    transfer_at(Guarded::Router, &[]);
}

#[test]
fn large_transfers_in_generic_mode_lose_nothing() {
    for guarded in Guarded::ALL {
        transfer_at(guarded, &["--mode", "generic"]);
    }
}

#[test]
fn a_thousand_short_connections_are_all_served() {
    for guarded in Guarded::ALL {
        let (site, mut guard) = guarded_site(guarded, &[]);
        over_both(lines(&site, PORT), |line| {
            short_connections(&line, &site.client, MANY, &Ending::ALL).unwrap();
        });
        let reading = guard.fresh_reading().unwrap();
        for state in ["SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT"] {
            assert_in_state(&reading, state, 0, guarded);
        }
        assert_went(&reading, "SYN-SENT>SYN-RECEIVED", 2 * MANY as u64, guarded);
        stop_harmless(guard, guarded);
    }
}
