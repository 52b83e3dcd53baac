//! A guard that comes and goes while connections flow: none of them is harmed.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use common::place::{
    PORT, assert_harmless, brief, guard, guarded_site, objections, pairs, stop_harmless,
};
use serde_json::Value;
use xtask::lab::{
    guard::Guard,
    line::Pair,
    site::{Guarded, Site},
    traffic::{Flow, exchange},
};

const SOME: u64 = 2 << 20;

/// Transfers that are under way, over both versions of IP.
struct Flows([Flow; 2]);

impl Flows {
    fn start(pairs: &[Pair; 2]) -> Self {
        let flows = Self(pairs.each_ref().map(|pair| Flow::start(pair).unwrap()));
        flows.advance("at the start");
        flows
    }

    #[track_caller]
    fn advance(&self, when: &str) {
        for flow in &self.0 {
            flow.advance(SOME)
                .unwrap_or_else(|error| panic!("{when}: {error:#}"));
        }
    }

    #[track_caller]
    fn finish(self) {
        for flow in self.0 {
            flow.finish().unwrap();
        }
    }
}

fn adopted(reading: &Value) -> u64 {
    reading["adopted"].as_u64().unwrap()
}

#[test]
fn a_guard_that_attaches_in_mid_transfer_adopts_the_connections() {
    for guarded in Guarded::ALL {
        let site = Site::new(guarded).unwrap();
        let flows = Flows::start(&pairs(&site, PORT));
        let mut guard = guard(&site, &[]);
        flows.advance("after attaching");
        let reading = guard.fresh_reading().unwrap();
        assert_harmless(&reading, guarded);
        assert_eq!(adopted(&reading), 2, "{guarded:?}: {}", brief(&reading));
        flows.finish();
        let reading = stop_harmless(guard, guarded);
        assert_eq!(adopted(&reading), 2, "{guarded:?}: {}", brief(&reading));
    }
}

#[test]
fn idle_connections_are_adopted_whoever_speaks_first() {
    for guarded in Guarded::ALL {
        let site = Site::new(guarded).unwrap();
        let [mut one, mut other] = pairs(&site, PORT);
        let guard = guard(&site, &[]);
        exchange(&mut one).unwrap();
        // The same with the roles changed: the server speaks first.
        std::mem::swap(&mut other.client, &mut other.server);
        exchange(&mut other).unwrap();
        let reading = stop_harmless(guard, guarded);
        assert_eq!(adopted(&reading), 2, "{guarded:?}: {}", brief(&reading));
    }
}

#[test]
fn a_guard_that_is_stopped_and_started_again_harms_no_transfer() {
    started_again("after its stop", |running, what| {
        stop_harmless(running, what);
    });
}

#[test]
fn a_guard_that_is_killed_and_started_again_harms_no_transfer() {
    started_again("after kill -9", |mut running, what| {
        assert_harmless(&running.fresh_reading().unwrap(), what);
        running.kill().unwrap();
    });
}

/// Transfers that go on while their guard is ended, three times, and another one started.
fn started_again(ended: &str, end: impl Fn(Guard, (Guarded, usize))) {
    for guarded in Guarded::ALL {
        let (site, first) = guarded_site(guarded, &[]);
        let flows = Flows::start(&pairs(&site, PORT));
        let mut running = first;
        for round in 0..3 {
            flows.advance("guarded");
            end(running, (guarded, round));
            flows.advance(ended);
            running = guard(&site, &[]);
        }
        flows.advance("guarded again");
        flows.finish();
        stop_harmless(running, guarded);
    }
}

#[test]
fn a_router_that_does_not_learn_says_what_it_would_drop() {
    let site = Site::new(Guarded::Router).unwrap();
    let flows = Flows::start(&pairs(&site, PORT));
    let mut guard = guard(&site, &["--learn", "0s", "--observe"]);
    flows.advance("observed");
    let reading = guard.fresh_reading().unwrap();
    assert_eq!(adopted(&reading), 0, "{}", brief(&reading));
    let found = objections(&reading);
    assert!(
        matches!(&found[..], [one] if one.starts_with("no-connection")),
        "{found:?}: {}",
        brief(&reading)
    );
    flows.finish();
}
