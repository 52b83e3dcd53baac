//! A guarded place, and what a reading of its guard says.

use std::{fmt::Debug, thread};

use serde_json::{Value, json};
use xtask::lab::{
    guard::Guard,
    line::{Line, Pair},
    site::{Family, Guarded, Site},
};

use super::TCPGUARD;

/// The port that the tests connect to.
pub(crate) const PORT: u16 = 80;

/// Starts a guard on every guarded interface of a site.
#[track_caller]
pub(crate) fn guard(site: &Site, args: &[&str]) -> Guard {
    let (namespace, interfaces) = site.guarded();
    let (first, others) = interfaces.split_first().unwrap();
    let mut all = vec!["--interval", "100ms"];
    // A small table is counted so quickly, in a debug build as well, that each reading is fresh.
    if !args.contains(&"--max-conns") {
        all.extend(["--max-conns", "4096"]);
    }
    all.extend(others.iter().flat_map(|other| ["--iface", other]));
    all.extend(args);
    Guard::start(namespace, TCPGUARD, first, all).unwrap()
}

/// A site with a guard from the start.
pub(crate) fn guarded_site(guarded: Guarded, args: &[&str]) -> (Site, Guard) {
    let site = Site::new(guarded).unwrap_or_else(|error| panic!("live tests need root: {error:#}"));
    let guard = guard(&site, args);
    (site, guard)
}

/// Where the server of a site listens, over both versions of IP.
pub(crate) fn lines(site: &Site, port: u16) -> [Line; 2] {
    Family::ALL.map(|family| Line::open(&site.server, site.service(family, port)).unwrap())
}

/// A connection over each version of IP.
pub(crate) fn pairs(site: &Site, port: u16) -> [Pair; 2] {
    lines(site, port).map(|line| line.connect(&site.client).unwrap())
}

/// Does the same over both versions of IP at the same time.
pub(crate) fn over_both<T: Send>(ends: [T; 2], work: impl Fn(T) + Sync) {
    let work = &work;
    thread::scope(|scope| {
        for end in ends {
            scope.spawn(move || work(end));
        }
    });
}

/// Reasons that a reading has counts of, dropped or not.
pub(crate) fn objections(reading: &Value) -> Vec<String> {
    let reasons = reading["reasons"].as_object().unwrap();
    reasons
        .iter()
        .filter(|(_, counts)| counts["dropped"] != 0 || counts["would_drop"] != 0)
        .map(|(reason, counts)| format!("{reason} {counts}"))
        .collect()
}

/// A reading without what is zero or empty, so that a failed test tells what matters.
pub(crate) fn brief(reading: &Value) -> String {
    without_zeros(reading).to_string()
}

fn without_zeros(value: &Value) -> Value {
    let Value::Object(fields) = value else {
        return value.clone();
    };
    let fields = fields
        .iter()
        .map(|(name, value)| (name, without_zeros(value)));
    let empty = [json!(0), json!({})];
    let told = fields.filter(|(_, value)| !empty.contains(value));
    told.map(|(name, value)| (name.clone(), value)).collect()
}

/// That a guard has objected to nothing that it saw, and that it saw something.
#[track_caller]
pub(crate) fn assert_harmless(reading: &Value, what: impl Debug) {
    let (found, told) = (objections(reading), brief(reading));
    assert!(found.is_empty(), "{what:?}: {found:?} in {told}");
    assert!(accepted(reading) > 0, "{what:?}: nothing seen: {told}");
}

/// Ends a guard that must have objected to nothing.
#[track_caller]
pub(crate) fn stop_harmless(guard: Guard, what: impl Debug) -> Value {
    let (status, reading) = guard.stop().unwrap();
    assert!(status.success(), "{what:?}: {status}");
    assert_harmless(&reading, what);
    reading
}

/// How many segments were accepted.
pub(crate) fn accepted(reading: &Value) -> u64 {
    reading["verdicts"]["accept"]["packets"].as_u64().unwrap()
}

/// That so many connections are in a state.
#[track_caller]
pub(crate) fn assert_in_state(reading: &Value, state: &str, count: u64, what: impl Debug) {
    let found = reading["states"][state].as_u64();
    let told = brief(reading);
    assert_eq!(found, Some(count), "{what:?}: {state} in {told}");
}

/// That so many connections went from one state to another, as in `SYN-SENT>ESTABLISHED`.
#[track_caller]
pub(crate) fn assert_went(reading: &Value, transition: &str, count: u64, what: impl Debug) {
    let found = reading["transitions"][transition].as_u64().unwrap_or(0);
    let told = brief(reading);
    assert_eq!(found, count, "{what:?}: {transition} in {told}");
}
