//! Alarms on stderr, of a scan by nmap and of a flood, and their end.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    fs, ops::RangeInclusive, path::PathBuf, sync::atomic::AtomicBool, thread, time::Duration,
};

use common::{Process, TCPGUARD, done, eventually, stdout};
use nix::sys::signal::Signal;
use serde_json::Value;
use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    attack::{Scan, Volley},
    network::{Network, UPLINK},
    path::{Host, Path},
};

/// How long a guard is left alone that has nothing to say.
const QUIET: Duration = Duration::from_secs(4);

/// Sends 3 000 segments without flags a second to these ports, for three seconds.
fn send(network: &Network, ports: RangeInclusive<u16>) {
    let nulls = Scan {
        flags: TcpFlags::NULL,
        ports,
    };
    let volley = Volley {
        scans: &[nulls],
        paths: &[Path::Ipv4],
        rounds: 9_000,
        pace: Duration::from_micros(333),
    };
    let attacker = network.attacker().unwrap();
    attacker.send(&volley, &AtomicBool::new(false)).unwrap();
}

fn flood(network: &Network) {
    send(network, 80..=80);
}

/// A scan of a few thousand ports, which takes some seconds at its rate.
fn scan(network: &Network, kind: &str) {
    let mut nmap = network.attacker.command("nmap");
    nmap.args([kind, "-Pn", "-n", "--disable-arp-ping", "-p", "1-2000"]);
    nmap.args([
        "--max-retries",
        "0",
        "--min-rate",
        "400",
        "--max-rate",
        "400",
    ]);
    stdout(nmap.arg(Path::Ipv4.address(Host::Server).to_string()));
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_scan_and_a_flood_are_told_apart_and_an_alarm_says_when_it_is_over() {
    let network = Network::new().unwrap();
    let attacker = Path::Ipv4.address(Host::Attacker);
    let guard = Process::guard(&network.server, &[UPLINK], &["--plain", "--interval", "1h"]);
    scan(&network, "-sX");
    let told = guard.wait_for("alarm: ");
    assert!(told.starts_with("alarm: flags-xmas "), "{told}");
    assert!(
        told.contains(&format!("s, dropped, from {attacker} to "))
            && told.ends_with(": looks like an XMAS scan (nmap -sX)"),
        "{told}"
    );
    flood(&network);
    let told = guard.wait_for("alarm: ");
    assert!(told.starts_with("alarm: flags-null "), "{told}");
    assert!(
        told.contains(&format!(
            " dropped, from {attacker} to port 80 in a sample of "
        )) && told.ends_with(": looks like a NULL flood"),
        "{told}"
    );
    let over = guard.wait_for("alarm over: flags-null ");
    // A reading may divide it where too few came for an alarm.
    let counted = over.contains(": 9 000 segments, at most ") || over.contains(": 8 9");
    assert!(counted, "{over}");
    guard.signal(Signal::SIGTERM);
    let ended = guard.end();
    assert!(ended.status.success());
    assert!(
        ended.stderr.contains("alarm over: flags-xmas "),
        "{ended:?}"
    );
    assert!(!ended.stdout.contains("alarm"), "{ended:?}");
}

#[test]
fn a_scan_of_legal_segments_is_known_by_what_becomes_of_it() {
    let network = Network::new().unwrap();
    let guard = Process::guard(&network.server, &[UPLINK], &["--plain"]);
    scan(&network, "-sS");
    let told = guard.wait_for("alarm: half-open ");
    assert!(
        told.ends_with("s: looks like a SYN scan (nmap -sS)"),
        "{told}"
    );
    scan(&network, "-sA");
    let told = guard.wait_for("alarm: no-connection ");
    assert!(
        told.ends_with(": looks like an ACK scan (nmap -sA)"),
        "{told}"
    );
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
}

#[test]
fn who_walks_from_port_to_port_scans_however_fast() {
    let network = Network::new().unwrap();
    let guard = Process::guard(&network.server, &[UPLINK], &["--plain"]);
    send(&network, 1..=1024);
    let told = guard.wait_for("alarm: flags-null ");
    assert!(
        told.ends_with("looks like a NULL scan (nmap -sN)"),
        "{told}"
    );
    let (_, rate) = told.split_once("flags-null ").unwrap();
    let (rate, _) = rate.split_once("/s ").unwrap();
    let rate: u64 = rate.replace(' ', "").parse().unwrap();
    assert!(rate >= 1_000, "as slow as any scan: {told}");
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
}

#[test]
fn json_stays_one_object_an_interval_and_what_is_only_counted_is_an_alarm_as_well() {
    let network = Network::new().unwrap();
    let args = ["--json", "--observe", "--interval", "500ms"];
    let guard = Process::guard(&network.server, &[UPLINK], &args);
    flood(&network);
    let told = guard.wait_for("alarm: flags-null ");
    assert!(
        told.contains(", only counted, from ") && told.ends_with(": looks like a NULL flood"),
        "{told}"
    );
    guard.signal(Signal::SIGTERM);
    let ended = guard.end();
    let mut objects = ended.stdout.lines().map(serde_json::from_str::<Value>);
    assert!(objects.all(|object| object.unwrap()["verdicts"].is_object()));
    assert!(ended.stderr.contains("alarm: "));
}

#[test]
fn a_file_says_what_is_an_alarm() {
    let network = Network::new().unwrap();
    let text = format!("iface = [\"{UPLINK}\"]\n[alert]\ndefault = \"off\"\n");
    let file = file("no-alarms.toml", &text);
    let mut run = network.server.command(TCPGUARD);
    let guard = Process::spawn(run.args(["run", "--plain", "--config"]).arg(file));
    guard.wait_for("guarding uplink:");
    flood(&network);
    thread::sleep(QUIET);
    guard.signal(Signal::SIGTERM);
    let ended = guard.end();
    assert!(ended.status.success());
    assert!(!ended.stderr.contains("alarm"), "{ended:?}");
}

/// As systemd starts a service whose words go to the journal.
#[test]
fn the_journal_is_told_how_much_it_matters() {
    let network = Network::new().unwrap();
    let server = &network.server;
    let journal = file("journal", "");
    done(server, &["attach", "--iface", UPLINK]);
    let script = format!(
        "exec 2> {0}; export JOURNAL_STREAM=$(stat -L -c %d:%i {0}); \
         exec {TCPGUARD} run --watch --plain --iface {UPLINK} > /dev/null",
        journal.display()
    );
    let guard = Process::spawn(server.command("sh").args(["-c", &script]));
    let read = || fs::read_to_string(&journal).unwrap();
    let said = |text: &str| read().contains(text).then_some(());
    eventually("it watches", || said("watching the guard"));
    flood(&network);
    eventually("it says so", || said("<4>alarm: flags-null "));
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
    done(server, &["detach"]);
}
