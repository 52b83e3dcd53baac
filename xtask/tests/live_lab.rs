//! The lab by itself, without a guard: what it sends arrives and is counted, and nothing stays.

use std::{
    fs,
    net::SocketAddr,
    path::Path as FilePath,
    process::Command,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use tcpguard_common::{craft::TcpFrame, flags::TcpFlags};
use xtask::lab::{
    attack::{Scan, Volley},
    client::request,
    conntrack::{
        Conntrack,
        CtState::{Established, Invalid, New},
        Observed, Side,
        entry::Tracked,
    },
    link::{Station, VethOptions, veth},
    namespace::{Namespace, remove_leftovers},
    network::{Network, UPLINK},
    path::Path,
    web::WebServer,
    witness::Witness,
};

fn exists(namespace: &str) -> bool {
    FilePath::new("/run/netns").join(namespace).exists()
}

#[test]
fn every_path_carries_requests() {
    let network = Network::new().unwrap();
    let web = WebServer::start(&network.server, 80, 1000).unwrap();
    for path in Path::ALL {
        request(&network.client, Network::service(path, 80))
            .unwrap_or_else(|error| panic!("{path:?}: {error:#}"));
    }
    assert_eq!(web.answered(), 6);
}

#[test]
fn witness_sees_exactly_what_is_sent() {
    let network = Network::new().unwrap();
    let attacker = network.attacker().unwrap();
    let witness = Witness::start(&network.server, UPLINK, attacker.mac()).unwrap();
    let scan = |flags| Scan {
        flags,
        ports: 1..=100,
    };
    let volley = Volley {
        scans: &[
            scan(TcpFlags::NULL),
            scan(TcpFlags::SYN.with(TcpFlags::FIN)),
        ],
        paths: &Path::ALL,
        rounds: 100,
        pace: Duration::from_millis(1),
    };
    let sent = attacker.send(&volley, &AtomicBool::new(false)).unwrap();
    assert_eq!(sent.total(), 2 * 6 * 100);
    assert_eq!(witness.settled(), sent);
}

#[test]
fn two_namespaces_and_a_cable_are_enough_for_a_request() {
    let server = Namespace::new("server").unwrap();
    let client = Namespace::new("client").unwrap();
    let options = VethOptions {
        queues: Some(2),
        mtu: Some(9000),
    };
    veth((&server, "eth0"), (&client, "eth0"), options).unwrap();
    for (namespace, address) in [(&server, "192.0.2.1"), (&client, "192.0.2.2")] {
        let addresses = vec![address.parse().unwrap()];
        Station {
            namespace,
            interface: "eth0",
            addresses,
        }
        .assign()
        .unwrap();
    }
    let _web = WebServer::start(&server, 80, 100_000).unwrap();
    request(&client, SocketAddr::from(([192, 0, 2, 1], 80))).unwrap();
}

#[test]
fn dropped_namespace_takes_its_processes_along() {
    let namespace = Namespace::new("short-lived").unwrap();
    let name = namespace.name().to_owned();
    let start = Instant::now();
    let mut child = namespace.command("sleep").arg("60").spawn().unwrap();
    // Until it has got there, it would be left alone.
    let entered = || fs::read_link(format!("/proc/{}/ns/net", child.id())).ok() != outside();
    while !entered() && start.elapsed() < Duration::from_secs(5) {}
    drop(namespace);
    assert!(!child.wait().unwrap().success());
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(!exists(&name));
}

fn outside() -> Option<std::path::PathBuf> {
    fs::read_link("/proc/self/ns/net").ok()
}

#[test]
fn leftovers_of_the_dead_are_removed_and_no_others() {
    let ours = Namespace::new("alive").unwrap();
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let left = format!("tcpguard-{}-0-left", child.id());
    assert!(
        Command::new("ip")
            .args(["netns", "add", &left])
            .status()
            .unwrap()
            .success()
    );
    remove_leftovers().unwrap();
    assert!(!exists(&left));
    assert!(exists(ours.name()));
}

/// A segment between hosts number two of both ends, of either family.
fn segment(family: usize, from: Side, flags: TcpFlags, seq: u32, ack: u32) -> TcpFrame {
    let [source, destination] = [from, from.opposite()].map(|side| side.addresses(2)[family]);
    let mut frame = TcpFrame::between(source, destination).with_flags(flags);
    if from == Side::East {
        frame.ports = (frame.ports.1, frame.ports.0);
    }
    (frame.seq, frame.ack) = (seq, ack);
    frame
}

#[test]
fn kernel_tracker_is_asked_segment_by_segment() {
    let tracker = Conntrack::new().unwrap();
    for family in [0, 1] {
        let say = |from, flags: &str, seq, ack| {
            let frame = segment(family, from, flags.parse().unwrap(), seq, ack);
            let Observed { verdict, entry } = tracker.observe(from, &frame.build()).unwrap();
            (verdict, entry)
        };
        let established = (Established, Some(Tracked::Established));
        assert_eq!(say(Side::West, "A", 8, 70), (Invalid, None));
        assert_eq!(say(Side::West, "S", 7, 0), (New, Some(Tracked::SynSent)));
        assert_eq!(
            say(Side::West, "SF", 7, 0),
            (Invalid, Some(Tracked::SynSent))
        );
        assert_eq!(
            say(Side::East, "SA", 70, 8),
            (Established, Some(Tracked::SynRecv))
        );
        assert_eq!(say(Side::West, "A", 8, 71), established);
        assert_eq!(say(Side::East, "A", 71, 9), (Invalid, established.1));
        let mut corrupt = segment(family, Side::East, TcpFlags::ACK, 71, 8).build();
        *corrupt.last_mut().unwrap() ^= 0xff;
        assert_eq!(
            tracker.observe(Side::East, &corrupt).unwrap().verdict,
            Invalid
        );
        assert_eq!(
            say(Side::East, "R", 71, 0),
            (Established, Some(Tracked::Close))
        );
    }
}

#[test]
fn kernel_tracker_picks_up_in_the_middle_if_it_is_told_to() {
    let tracker = Conntrack::new().unwrap();
    let data = segment(0, Side::West, TcpFlags::ACK, 1000, 2000).build();
    assert_eq!(tracker.observe(Side::West, &data).unwrap().verdict, Invalid);
    tracker.pick_up(true).unwrap();
    assert_eq!(tracker.observe(Side::West, &data).unwrap().verdict, New);
}
