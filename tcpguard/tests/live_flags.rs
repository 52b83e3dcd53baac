//! Every set of flags on every path, through a guarded interface: what must pass and what must not.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{collections::BTreeMap, fs, sync::atomic::AtomicBool, thread, time::Duration};

use common::TCPGUARD;
use serde_json::Value;
use tcpguard_common::{flags::TcpFlags, reason::Reason};
use xtask::lab::{
    attack::{Attacker, Scan, Volley},
    client::request,
    guard::{Guard, dropped},
    network::{Network, UPLINK},
    path::Path,
    tally::Tally,
    web::WebServer,
    witness::Witness,
};

/// By hand: without PSH, ECE, CWR and AE, a sane stack sends these and no others.
const LEGAL: [&str; 9] = ["S", "SU", "SA", "R", "RA", "FA", "FAU", "A", "AU"];
/// SYN, FIN, RST, ACK and URG.
const TELLING: u16 = 0x37;
/// Frames that veth's native ring and the stack's backlog are sure to hold at once.
const BURST: usize = 96;
/// Time to empty them.
const PAUSE: Duration = Duration::from_millis(3);

fn is_legal(flags: TcpFlags) -> bool {
    LEGAL.contains(&&*TcpFlags::new(flags.bits() & TELLING).to_string())
}

fn every_set() -> impl Iterator<Item = TcpFlags> {
    (0..0x200).map(TcpFlags::new)
}

/// Sends one segment of each set on each path.
fn send(attacker: &Attacker, sets: &[TcpFlags]) -> Tally {
    let mut sent = Tally::default();
    for burst in sets.chunks(BURST / Path::ALL.len()) {
        let scan = |flags: &TcpFlags| Scan {
            flags: *flags,
            ports: 2000..=2000,
        };
        let scans: Vec<_> = burst.iter().map(scan).collect();
        let volley = Volley {
            scans: &scans,
            paths: &Path::ALL,
            rounds: 1,
            pace: Duration::ZERO,
        };
        let told = attacker.send(&volley, &AtomicBool::new(false)).unwrap();
        assert_eq!(told.total(), (scans.len() * Path::ALL.len()) as u64);
        for flags in burst {
            for path in Path::ALL {
                sent.add(*flags, path);
            }
        }
        thread::sleep(PAUSE);
    }
    sent
}

/// What may reach the stack of what was sent.
fn expected(sets: &[TcpFlags]) -> Tally {
    let mut passing = Tally::default();
    for flags in sets.iter().filter(|flags| is_legal(**flags)) {
        for path in Path::ALL {
            passing.add(*flags, path);
        }
    }
    passing
}

/// Sends `sets` through a guard and compares what arrives; then what the guard says of it.
fn through_guard(mode: &str, sets: &[TcpFlags]) -> Value {
    let network = Network::new().unwrap();
    let attacker = network.attacker().unwrap();
    // Legal sets, too, belong to no connection here: that is for others to test.
    let args = ["--interval", "100ms", "--mode", mode, "--enforce", "flags"];
    let guard = Guard::start(&network.server, TCPGUARD, UPLINK, args).unwrap();
    let witness = Witness::start(&network.server, UPLINK, attacker.mac()).unwrap();
    let sent = send(&attacker, sets);
    let seen = witness.settled();
    assert_eq!(seen.illegal(), 0, "passed: {seen:?}");
    assert_eq!(seen, expected(sets));
    let (status, reading) = guard.stop().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(reading["interfaces"][0]["ingress"], mode, "{reading}");
    let drops = &reading["verdicts"]["drop"]["packets"];
    assert_eq!(*drops, sent.total() - seen.total(), "{reading}");
    reading
}

fn check_every_set(mode: &str) {
    let sets: Vec<_> = every_set().collect();
    let reading = through_guard(mode, &sets);
    let mut by_reason: BTreeMap<&str, u64> = BTreeMap::new();
    for flags in every_set() {
        let offence = flags.offence();
        assert_eq!(offence.is_none(), is_legal(flags), "{flags}");
        if let Some(reason) = offence {
            *by_reason.entry(reason.as_str()).or_default() += Path::ALL.len() as u64;
        }
        let counted = &reading["flags"][flags.to_string()];
        // The server resets connections that nobody asked for, and that leaves through the guard.
        if ["R", "RA"].contains(&&*flags.to_string()) {
            assert!(counted.as_u64() >= Some(6), "{flags}: {counted}");
        } else {
            assert_eq!(*counted, Path::ALL.len(), "{flags}");
        }
    }
    for reason in Reason::ALL.map(Reason::as_str) {
        let sent = by_reason.get(reason).copied().unwrap_or(0);
        assert_eq!(dropped(&reading, reason), sent, "{reason}");
    }
}

#[test]
fn native_mode_drops_every_illegal_set_and_passes_every_legal_one() {
    check_every_set("native");
}

#[test]
fn generic_mode_drops_every_illegal_set_and_passes_every_legal_one() {
    check_every_set("generic");
}

#[test]
fn ecn_accecn_and_push_on_legal_sets_pass() {
    let ecn = TcpFlags::SYN.with(TcpFlags::ECE).with(TcpFlags::CWR);
    let mut sets = vec![ecn, ecn.with(TcpFlags::AE)];
    for letters in LEGAL {
        let legal: TcpFlags = letters.parse().unwrap();
        sets.push(legal.with(TcpFlags::PSH));
        sets.push(legal.with(TcpFlags::AE));
    }
    let reading = through_guard("native", &sets);
    assert_eq!(reading["flags"]["SEC"], Path::ALL.len(), "{reading}");
    assert_eq!(reading["flags"]["SECN"], Path::ALL.len(), "{reading}");
}

#[test]
fn connections_with_ecn_are_served() {
    let network = Network::new().unwrap();
    let _web = WebServer::start(&network.server, 80, 1000).unwrap();
    let ask_for_ecn = || fs::write("/proc/sys/net/ipv4/tcp_ecn", "1");
    network.client.within(ask_for_ecn).unwrap().unwrap();
    let guard = Guard::start(&network.server, TCPGUARD, UPLINK, ["--interval", "100ms"]).unwrap();
    for path in Path::ALL {
        request(&network.client, Network::service(path, 80)).unwrap();
    }
    let (_, reading) = guard.stop().unwrap();
    assert!(reading["flags"]["SEC"].as_u64() >= Some(6), "{reading}");
    assert_eq!(reading["verdicts"]["drop"]["packets"], 0, "{reading}");
}
