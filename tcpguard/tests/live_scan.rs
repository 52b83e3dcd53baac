//! Real scans by nmap, against a server without a guard and with one.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{process::Command, time::Duration};

use common::{TCPGUARD, stdout};
use xtask::lab::{
    client::Client,
    guard::{Guard, dropped},
    network::{Network, UPLINK},
    path::{Host, Path},
    web::WebServer,
};

const OPEN: u16 = 80;
const CLOSED: u16 = 81;

/// A kind of scan, what it says of a port that does not answer, and the reason that counts it.
const SCANS: [(&[&str], &str, &str); 4] = [
    (&["-sN"], "open|filtered", "flags-null"),
    (&["-sF"], "open|filtered", "flags-fin-no-ack"),
    (&["-sX"], "open|filtered", "flags-xmas"),
    (
        &["-sS", "--scanflags", "SYNFIN"],
        "filtered",
        "flags-syn-fin",
    ),
];

/// What nmap found.
#[derive(Debug)]
struct Report {
    open: String,
    closed: String,
    probes: u64,
}

fn nmap(network: &Network, scan: &[&str]) -> Report {
    let mut nmap = network.attacker.command("nmap");
    let ports = format!("{OPEN},{CLOSED}");
    nmap.args(scan)
        // No discovery of hosts and no names: nothing but probes; and the findings twice, for the
        // format to be read by machines lacks the number of probes.
        .args(["-Pn", "-n", "--disable-arp-ping", "-v", "-oG", "/dev/stderr"])
        .args(["--max-retries", "1", "--initial-rtt-timeout", "200ms"])
        .args(["--max-rtt-timeout", "200ms", "--host-timeout", "5s", "-p", &ports])
        .arg(Path::Ipv4.address(Host::Server).to_string());
    let output = nmap
        .output()
        .unwrap_or_else(|error| panic!("nmap: {error}"));
    let found = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{found}");
    Report {
        open: state(&found, OPEN),
        closed: state(&found, CLOSED),
        probes: probes(&told),
    }
}

/// From `Ports: 80/open|filtered/tcp//http///, 81/closed/tcp//hosts2-ns///`.
fn state(found: &str, port: u16) -> String {
    let (_, entry) = found
        .split_once(&format!(" {port}/"))
        .unwrap_or_else(|| panic!("nothing about port {port}: {found}"));
    entry.split('/').next().unwrap_or_default().to_owned()
}

/// From `Raw packets sent: 4 (160B) | Rcvd: 2 (80B)`.
fn probes(told: &str) -> u64 {
    let (_, count) = told
        .split_once("Raw packets sent: ")
        .unwrap_or_else(|| panic!("no number of probes: {told}"));
    count.split(' ').next().unwrap_or_default().parse().unwrap()
}

#[test]
fn without_a_guard_scans_tell_closed_ports_from_open_ones() {
    let network = Network::new().unwrap();
    let _web = WebServer::start(&network.server, OPEN, 1000).unwrap();
    for (scan, silent, _) in SCANS {
        let report = nmap(&network, scan);
        let states = (&*report.open, &*report.closed);
        assert_eq!(states, (silent, "closed"), "{scan:?}");
    }
}

#[test]
fn behind_a_guard_scans_learn_nothing_and_every_probe_is_counted() {
    let network = Network::new().unwrap();
    let _web = WebServer::start(&network.server, OPEN, 1000).unwrap();
    let service = Network::service(Path::Ipv4, OPEN);
    let client = Client::start(&network.client, service, Duration::from_millis(5)).unwrap();
    let args = ["--interval", "100ms"];
    let mut guard = Guard::start(&network.server, TCPGUARD, UPLINK, args).unwrap();
    let mut probes = 0;
    for (scan, silent, reason) in SCANS {
        let report = nmap(&network, scan);
        let states = (&*report.open, &*report.closed);
        assert_eq!(states, (silent, silent), "{scan:?}");
        assert!(report.probes >= 2, "{scan:?}: {report:?}");
        probes += report.probes;
        let reading = guard.fresh_reading().unwrap();
        let counted = dropped(&reading, reason);
        assert_eq!(counted, report.probes, "{scan:?}: {reading}");
    }
    let (status, reading) = guard.stop().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(reading["verdicts"]["drop"]["packets"], probes, "{reading}");
    let requests = client.finish();
    assert!(
        requests.answered > 0 && requests.failed() == 0,
        "{requests:?}"
    );
}

#[test]
fn curl_is_served_through_a_guard() {
    let network = Network::new().unwrap();
    let _web = WebServer::start(&network.server, OPEN, 100_000).unwrap();
    let guard = Guard::start(&network.server, TCPGUARD, UPLINK, ["--interval", "100ms"]).unwrap();
    for path in Path::ALL {
        let url = format!("http://{}/", Network::service(path, OPEN));
        let mut curl: Command = network.client.command("curl");
        let body = stdout(curl.args(["--silent", "--fail", "--max-time", "5", "--globoff", &url]));
        assert_eq!(body.len(), 100_000, "{path:?}");
    }
    let (_, reading) = guard.stop().unwrap();
    assert_eq!(reading["verdicts"]["drop"]["packets"], 0, "{reading}");
    assert!(reading["flags"]["SA"].as_u64().unwrap() >= 6, "{reading}");
}
