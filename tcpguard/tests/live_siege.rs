//! The quick siege: legitimate connections through each kind of flood, and faults meanwhile. It fails if tcpguard
//! loses a connection, lets an illegal segment pass, miscounts, or takes more memory than it may.

#[path = "../benches/siege/mod.rs"]
#[expect(dead_code, reason = "longer sieges and JSON are the benchmark's")]
mod siege;

use std::time::SystemTime;

use siege::{Plan, run};

#[test]
fn no_flood_and_no_fault_loses_a_connection() {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let siege = run(&Plan::quick(now.as_secs())).unwrap();
    siege.text();
    let defects = siege.defects();
    assert!(defects.is_empty(), "{defects:#?}");
}
