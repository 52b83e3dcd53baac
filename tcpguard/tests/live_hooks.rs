//! Which hooks a kernel has, and that a guard judges at both and takes itself off: tcx from Linux 6.6 on, and
//! a filter of clsact before.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::fs;

use common::{FIVE_NULLS, TCPGUARD, assert_clean, attached, done, json, reading};
use serde_json::Value;
use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    client::request,
    guard::{Guard, dropped},
    network::{Network, UPLINK},
    path::Path,
    web::WebServer,
    witness::Witness,
};

/// The first kernel with tcx.
const TCX_SINCE: (u32, u32) = (6, 6);

/// The egress hook of this kernel.
fn egress() -> &'static str {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse().unwrap());
    let version = (numbers.next().unwrap(), numbers.next().unwrap());
    if version < TCX_SINCE { "clsact" } else { "tcx" }
}

/// Honest requests on all paths, and five segments that are none.
fn visit(network: &Network) {
    let web = WebServer::start(&network.server, 80, 1000).unwrap();
    for path in Path::ALL {
        request(&network.client, Network::service(path, 80)).unwrap();
    }
    drop(web);
    let attacker = network.attacker().unwrap();
    let witness = Witness::start(&network.server, UPLINK, attacker.mac()).unwrap();
    attacker.send(&FIVE_NULLS, &false.into()).unwrap();
    assert_eq!(
        witness.settled().count(|flags, _| flags == TcpFlags::NULL),
        0
    );
}

/// That both hooks have judged what [`visit`] sends.
fn assert_judged(reading: &Value) {
    let hooks = &reading["interfaces"][0];
    assert_eq!(hooks["ingress"], "native", "{reading}");
    assert_eq!(hooks["egress"], egress(), "{reading}");
    assert_eq!(dropped(reading, "flags-null"), 5, "{reading}");
    let drops = &reading["verdicts"]["drop"]["packets"];
    assert_eq!(*drops, 5, "{reading}");
    // Of the server, which answers by the other hook.
    let answers = &reading["flags"]["SA"];
    assert_eq!(*answers, Path::ALL.len(), "{reading}");
    let complete = &reading["transitions"]["SYN-RECEIVED>ESTABLISHED"];
    assert_eq!(*complete, Path::ALL.len(), "{reading}");
}

#[test]
fn run_judges_at_both_hooks_and_takes_itself_off() {
    let network = Network::new().unwrap();
    let args = ["--interval", "100ms"];
    let guard = Guard::start(&network.server, TCPGUARD, UPLINK, args).unwrap();
    visit(&network);
    let mut status = network.server.command(TCPGUARD);
    let told = json(status.args(["status", "--json"]));
    assert_eq!(told["guards"][0]["egress"]["mode"], egress(), "{told}");
    let (status, reading) = guard.stop().unwrap();
    assert!(status.success(), "{status}");
    assert_judged(&reading);
    assert_clean(&network.server, UPLINK);
}

#[test]
fn attach_judges_at_both_hooks_until_detach() {
    let network = Network::new().unwrap();
    done(&network.server, &["attach", "--iface", UPLINK]);
    visit(&network);
    assert_judged(&reading(&network.server));
    assert_eq!(attached(&network.server, UPLINK).len(), 2);
    done(&network.server, &["detach"]);
    assert_clean(&network.server, UPLINK);
}
