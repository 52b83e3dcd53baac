//! From attaching to the end, however it comes: what is guarded, what is counted, what stays.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    net::TcpStream,
    process::Command,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use common::{Process, TCPGUARD, assert_clean, attached, cable, eventually, ours};
use nix::sys::signal::Signal;
use serde_json::Value;
use tcpguard_common::{craft::TcpFrame, flags::TcpFlags};
use xtask::lab::{
    attack::{Attacker, Scan, Volley},
    client::request,
    guard::{Guard, dropped},
    link::{Station, VethOptions, veth},
    namespace::Namespace,
    network::{Network, UPLINK},
    packet::{PacketSocket, mac},
    path::Path,
    web::WebServer,
    witness::Witness,
};

const FAST: [&str; 3] = ["--json", "--interval", "50ms"];

/// Programs, maps and links that a process holds, by the kernel's numbers of them.
fn held(process: &Process) -> BTreeSet<(&'static str, u64)> {
    let directory = format!("/proc/{}/fdinfo", process.id());
    let mut held = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        // A descriptor may be closed meanwhile.
        let told = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        let number = |key| {
            let line = told.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|value| value.trim().parse().ok())
        };
        for (kind, key) in [
            ("link", "link_id:"),
            ("prog", "prog_id:"),
            ("map", "map_id:"),
        ] {
            held.extend(number(key).map(|id| (kind, id)));
        }
    }
    held
}

/// Which numbers of a kind are in use; `None` if one of them went away while bpftool was listing.
fn in_use(kind: &str) -> Option<BTreeSet<u64>> {
    let listing = Command::new("bpftool")
        .args(["--json", kind, "list"])
        .output()
        .unwrap();
    if !listing.status.success() {
        return None;
    }
    let listed: Value = serde_json::from_slice(&listing.stdout).unwrap();
    let numbers = listed.as_array().unwrap().iter();
    Some(numbers.filter_map(|entry| entry["id"].as_u64()).collect())
}

fn assert_all_gone(held: &BTreeSet<(&'static str, u64)>) {
    // The kernel frees what nobody holds after a grace period of its own.
    eventually("the kernel lets go of it all", || {
        let left = |kind| {
            let of_kind = held.iter().filter(move |(of, _)| *of == kind);
            let ids: BTreeSet<_> = of_kind.map(|(_, id)| *id).collect();
            in_use(kind).is_none_or(|in_use| !ids.is_disjoint(&in_use))
        };
        (!["link", "prog", "map"].into_iter().any(left)).then_some(())
    });
}

#[test]
fn kill_9_leaves_nothing_behind() {
    let (server, _street) = cable();
    for mode in ["native", "generic"] {
        let guard = Process::guard(&server, &["guarded"], &["--mode", mode]);
        assert!(!attached(&server, "guarded").is_empty());
        let held = held(&guard);
        for kind in ["link", "prog", "map"] {
            assert!(held.iter().any(|(of, _)| *of == kind), "{kind} in {held:?}");
        }
        guard.signal(Signal::SIGKILL);
        assert!(!guard.end().status.success());
        assert_clean(&server, "guarded");
        assert_all_gone(&held);
    }
}

#[test]
fn signals_detach_and_end_it_well() {
    let (server, _street) = cable();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let guard = Process::guard(&server, &["guarded"], &FAST);
        guard.wait_for("\"verdicts\"");
        let held = held(&guard);
        guard.signal(signal);
        let ended = guard.end();
        assert_eq!(ended.status.code(), Some(0), "{signal}: {ended:?}");
        assert_clean(&server, "guarded");
        assert_all_gone(&held);
    }
}

#[test]
fn a_reader_that_leaves_ends_it_well() {
    let (server, _street) = cable();
    let mut command = server.command("sh");
    let script = format!("{TCPGUARD} run --iface guarded --json --interval 20ms | head -n 1");
    let shell = Process::spawn(command.args(["-c", &script]));
    let ended = shell.end();
    assert!(ended.status.success(), "{ended:?}");
    assert!(!ended.stderr.contains("error"), "{ended:?}");
    assert_clean(&server, "guarded");
}

#[test]
fn a_run_with_a_duration_ends_by_itself() {
    let (server, _street) = cable();
    let start = Instant::now();
    let args = ["--json", "--interval", "1h", "--duration", "300ms"];
    let ended = Process::guard(&server, &["guarded"], &args).end();
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let reading: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(reading["uptime_s"].as_f64() >= Some(0.3), "{reading}");
    assert_clean(&server, "guarded");
}

/// A network, an attacker in it and a witness of what arrives.
fn scene() -> (Network, Attacker, Witness) {
    let network = Network::new().unwrap();
    let attacker = network.attacker().unwrap();
    let witness = Witness::start(&network.server, UPLINK, attacker.mac()).unwrap();
    (network, attacker, witness)
}

/// Twenty segments of each set, on one path.
fn scan(attacker: &Attacker, sets: &[TcpFlags]) {
    let scan = |flags: &TcpFlags| Scan {
        flags: *flags,
        ports: 1..=20,
    };
    let volley = Volley {
        scans: &sets.iter().map(scan).collect::<Vec<_>>(),
        paths: &[Path::Ipv4],
        rounds: 20,
        pace: Duration::from_millis(1),
    };
    let sent = attacker.send(&volley, &AtomicBool::new(false)).unwrap();
    assert_eq!(sent.total(), 20 * sets.len() as u64);
}

fn would_drop(reading: &Value, reason: &str) -> u64 {
    reading["reasons"][reason]["would_drop"].as_u64().unwrap()
}

#[test]
fn observing_drops_nothing_and_counts_what_it_would_drop() {
    let (network, attacker, witness) = scene();
    let args = ["--interval", "50ms", "--observe"];
    let guard = Guard::start(&network.server, TCPGUARD, UPLINK, args).unwrap();
    scan(&attacker, &[TcpFlags::NULL, TcpFlags::FIN]);
    assert_eq!(witness.settled().illegal(), 40);
    let (_, reading) = guard.stop().unwrap();
    assert_eq!(reading["mode"], "observe");
    assert_eq!(reading["verdicts"]["drop"]["packets"], 0, "{reading}");
    for reason in ["flags-null", "flags-fin-no-ack"] {
        assert_eq!(would_drop(&reading, reason), 20, "{reading}");
        assert_eq!(dropped(&reading, reason), 0, "{reading}");
    }
}

#[test]
fn enforcing_one_reason_drops_for_no_other() {
    let (network, attacker, witness) = scene();
    let args = ["--interval", "50ms", "--enforce", "flags-null"];
    let guard = Guard::start(&network.server, TCPGUARD, UPLINK, args).unwrap();
    scan(&attacker, &[TcpFlags::NULL, TcpFlags::FIN]);
    let seen = witness.settled();
    assert_eq!(seen.count(|flags, _| flags == TcpFlags::NULL), 0);
    assert_eq!(seen.count(|flags, _| flags == TcpFlags::FIN), 20);
    let (_, reading) = guard.stop().unwrap();
    assert_eq!(reading["mode"], "enforce");
    let counts = |reason| (dropped(&reading, reason), would_drop(&reading, reason));
    assert_eq!(counts("flags-null"), (20, 0), "{reading}");
    assert_eq!(counts("flags-fin-no-ack"), (0, 20), "{reading}");
}

/// A server with two cables, `left` and `right`, and `n` NULL segments into each.
struct TwoCables {
    server: Namespace,
    street: Namespace,
}

impl TwoCables {
    fn new() -> Self {
        let (server, street) = (ours("server"), ours("street"));
        for (near, far) in [("left", "west"), ("right", "east")] {
            let options = VethOptions::default();
            veth((&server, near), (&street, far), options).unwrap();
        }
        Self { server, street }
    }

    fn send(&self, near: &str, far: &str, segments: usize) {
        let socket = PacketSocket::sending(&self.street, far).unwrap();
        let mut frame = TcpFrame::ipv4().with_flags(TcpFlags::NULL);
        frame.macs.0 = mac(&self.server, near).unwrap();
        for _ in 0..segments {
            socket.send(&frame.build()).unwrap();
        }
    }
}

#[test]
fn two_interfaces_are_guarded_and_counted_together_in_json() {
    let cables = TwoCables::new();
    let guard = Process::guard(&cables.server, &["left", "right"], &FAST);
    cables.send("left", "west", 3);
    cables.send("right", "east", 5);
    guard.wait_for("\"flags-null\":{\"dropped\":8,");
    guard.signal(Signal::SIGTERM);
    let ended = guard.end();
    assert!(ended.status.success(), "{ended:?}");
    let last = ended.stdout.lines().last().unwrap();
    let reading: Value = serde_json::from_str(last).unwrap();
    assert_eq!(dropped(&reading, "flags-null"), 8, "{reading}");
    let names = |slot: usize| &reading["interfaces"][slot]["name"];
    assert_eq!((names(0), names(1)), (&"left".into(), &"right".into()));
    for interface in ["left", "right"] {
        assert_clean(&cables.server, interface);
    }
}

#[test]
fn two_interfaces_are_counted_apart_in_plain_output() {
    let cables = TwoCables::new();
    let args = ["--plain", "--interval", "50ms"];
    let guard = Process::guard(&cables.server, &["left", "right"], &args);
    cables.send("left", "west", 3);
    cables.send("right", "east", 5);
    // The line of the interval in which they came.
    guard.wait_for("flags-null");
    guard.signal(Signal::SIGINT);
    let ended = guard.end();
    assert!(ended.status.success(), "{ended:?}");
    // Name, ingress, egress, received, dropped, sent.
    let dropped = |name: &str| {
        let mut rows = ended.stdout.lines().map(|line| line.split_whitespace());
        let row = rows.find(|row| row.clone().next() == Some(name));
        let row = row.unwrap_or_else(|| panic!("no {name} in {}", ended.stdout));
        row.clone().nth(4).unwrap().to_owned()
    };
    assert_eq!((&*dropped("left"), &*dropped("right")), ("3", "5"));
}

#[test]
fn an_interface_named_twice_is_guarded_once() {
    let (server, _street) = cable();
    let guard = Process::guard(&server, &["guarded"], &["--iface", "guarded", "--plain"]);
    assert_eq!(attached(&server, "guarded").len(), 2, "ingress and egress");
    guard.signal(Signal::SIGTERM);
    let ended = guard.end();
    assert_eq!(
        ended.stderr.matches("guarding guarded:").count(),
        1,
        "{ended:?}"
    );
}

#[test]
fn loopback_is_guarded_in_generic_mode_without_egress() {
    let server = ours("server");
    let _web = WebServer::start(&server, 80, 1000).unwrap();
    let args = ["--interval", "50ms"];
    let guard = Guard::start(&server, TCPGUARD, "lo", args).unwrap();
    request(&server, ([127, 0, 0, 1], 80).into()).unwrap();
    let (status, reading) = guard.stop().unwrap();
    assert!(status.success());
    let [ref lo] = reading["interfaces"].as_array().unwrap()[..] else {
        panic!("one interface: {reading}")
    };
    assert_eq!(
        (&lo["ingress"], &lo["egress"]),
        (&"generic".into(), &"none".into())
    );
    // Once, not at both hooks: the SYN and its answer.
    assert_eq!(
        (&reading["flags"]["S"], &reading["flags"]["SA"]),
        (&1.into(), &1.into())
    );
    assert_eq!(reading["verdicts"]["drop"]["packets"], 0, "{reading}");
    assert_clean(&server, "lo");
}

#[test]
fn frames_of_a_tunnel_are_read_as_plain_ip() {
    let server = ours("server");
    server
        .configure("tuntap add mode tun name tun0\nlink set tun0 up\n")
        .unwrap();
    let tun = Station {
        namespace: &server,
        interface: "tun0",
        addresses: vec!["192.0.2.1".parse().unwrap()],
    };
    tun.assign().unwrap();
    let guard = Process::guard(&server, &["tun0"], &FAST);
    // Nobody is at the other end, so it is egress that reads the SYN: as Ethernet it were no IP.
    let peer = ([192, 0, 2, 2], 80).into();
    let connect = || TcpStream::connect_timeout(&peer, Duration::from_millis(100)).is_ok();
    assert!(!server.within(connect).unwrap());
    let reading = guard.wait_for("\"flags\":{\"S\":1,");
    assert!(reading.contains("\"not-ip\":0"), "{reading}");
    guard.signal(Signal::SIGTERM);
    let ended = guard.end();
    assert!(ended.status.success(), "{ended:?}");
    assert_clean(&server, "tun0");
}
