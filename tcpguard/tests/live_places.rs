//! Honest traffic where a host is more than a server: containers, loopback, VLAN, one-sided views.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::net::SocketAddr;

use common::{
    TCPGUARD, ours,
    place::{PORT, assert_harmless, brief, guarded_site, over_both, pairs, stop_harmless},
    stdout,
};
use xtask::lab::{
    client::request,
    guard::Guard,
    line::Line,
    link::{Station, VethOptions, veth},
    namespace::Namespace,
    network::{Network, UPLINK},
    path::Path,
    site::{Guarded, forward},
    traffic::{Ending, Flow, short_connections, transfer},
    web::WebServer,
};

const SOME: u64 = 8 << 20;
const FAST: [&str; 2] = ["--interval", "100ms"];

/// As container engines do it: out behind the host's address, in by a published port.
const TRANSLATION: &str = "table inet nat {
    chain out {
        type nat hook postrouting priority 100
        oifname uplink masquerade
    }
    chain in {
        type nat hook prerouting priority -100
        iifname uplink tcp dport 8080 dnat ip to 10.0.0.10:80
        iifname uplink tcp dport 8080 dnat ip6 to [fd00::10]:80
    }
}";

/// A host with an uplink and a container on its bridge.
///
/// ```text
/// outside eth0 ==== uplink host bridge ---- eth0 container
/// ```
struct ContainerHost {
    host: Namespace,
    outside: Namespace,
    container: Namespace,
}

/// One address for each version of IP.
fn both(ipv4: &str, ipv6: &str) -> Vec<std::net::IpAddr> {
    vec![ipv4.parse().unwrap(), ipv6.parse().unwrap()]
}

fn assign(namespace: &Namespace, interface: &str, ipv4: &str, ipv6: &str) {
    let station = Station {
        namespace,
        interface,
        addresses: both(ipv4, ipv6),
    };
    station.assign().unwrap();
}

impl ContainerHost {
    fn new() -> Self {
        let this = Self {
            host: ours("host"),
            outside: ours("outside"),
            container: ours("container"),
        };
        let options = VethOptions::default();
        let bridge = "link add bridge type bridge mcast_snooping 0\nlink set bridge up\n";
        this.host.configure(bridge).unwrap();
        veth((&this.host, "uplink"), (&this.outside, "eth0"), options).unwrap();
        veth((&this.host, "port"), (&this.container, "eth0"), options).unwrap();
        this.host
            .configure("link set port master bridge\n")
            .unwrap();
        assign(&this.outside, "eth0", "192.0.2.2", "2001:db8:0:1::2");
        this
    }

    /// The container has an address of the outside: the uplink is a port of the bridge.
    fn bridged() -> Self {
        let this = Self::new();
        this.host
            .configure("link set uplink master bridge\n")
            .unwrap();
        assign(&this.container, "eth0", "192.0.2.10", "2001:db8:0:1::10");
        assign(&this.host, "bridge", "192.0.2.1", "2001:db8:0:1::1");
        this
    }

    /// The container lies behind the host, which translates its addresses.
    fn translated() -> Self {
        let this = Self::new();
        assign(&this.host, "uplink", "192.0.2.1", "2001:db8:0:1::1");
        assign(&this.host, "bridge", "10.0.0.1", "fd00::1");
        assign(&this.container, "eth0", "10.0.0.10", "fd00::10");
        let routes = "route add 0.0.0.0/0 via 10.0.0.1\nroute add ::/0 via fd00::1\n";
        this.container.configure(routes).unwrap();
        forward(&this.host).unwrap();
        stdout(this.host.command("nft").arg(TRANSLATION));
        this
    }

    fn guard(&self) -> Guard {
        Guard::start(&self.host, TCPGUARD, "uplink", FAST).unwrap()
    }
}

/// Traffic from one to the other over both versions of IP.
fn connect(from: &Namespace, to: &Namespace, listen: [&str; 2], reach: [&str; 2]) {
    over_both([0, 1], |version| {
        let listen: SocketAddr = listen[version].parse().unwrap();
        let reach: SocketAddr = reach[version].parse().unwrap();
        let line = Line::open(to, listen).unwrap().known_as(reach);
        short_connections(&line, from, 50, &Ending::ALL).unwrap();
        transfer(&line.connect(from).unwrap(), SOME).unwrap();
    });
}

#[test]
fn bridged_containers_are_served_through_a_guarded_uplink() {
    let place = ContainerHost::bridged();
    let guard = place.guard();
    let container = ["192.0.2.10:80", "[2001:db8:0:1::10]:80"];
    connect(&place.outside, &place.container, container, container);
    let outside = ["192.0.2.2:80", "[2001:db8:0:1::2]:80"];
    connect(&place.container, &place.outside, outside, outside);
    // The host itself, beside its containers.
    connect(&place.host, &place.outside, outside, outside);
    stop_harmless(guard, "bridged");
}

#[test]
fn translated_containers_are_served_through_a_guarded_uplink() {
    let place = ContainerHost::translated();
    let guard = place.guard();
    let outside = ["192.0.2.2:80", "[2001:db8:0:1::2]:80"];
    connect(&place.container, &place.outside, outside, outside);
    let container = ["10.0.0.10:80", "[fd00::10]:80"];
    let published = ["192.0.2.1:8080", "[2001:db8:0:1::1]:8080"];
    connect(&place.outside, &place.container, container, published);
    stop_harmless(guard, "translated");
}

#[test]
fn a_guard_that_comes_later_adopts_what_containers_have_open() {
    for place in [ContainerHost::bridged(), ContainerHost::translated()] {
        let outside = "192.0.2.2:80".parse().unwrap();
        let line = Line::open(&place.outside, outside).unwrap();
        let pair = line.connect(&place.container).unwrap();
        let flow = Flow::start(&pair).unwrap();
        flow.advance(1 << 20).unwrap();
        let mut guard = place.guard();
        flow.advance(SOME).unwrap();
        let reading = guard.fresh_reading().unwrap();
        assert_eq!(reading["adopted"], 1, "{}", brief(&reading));
        flow.finish().unwrap();
        stop_harmless(guard, "containers");
    }
}

#[test]
fn loopback_carries_transfers_of_which_every_segment_is_seen_once() {
    let server = ours("server");
    let guard = Guard::start(&server, TCPGUARD, "lo", FAST).unwrap();
    let own = ["127.0.0.1:80", "[::1]:80"];
    connect(&server, &server, own, own);
    let reading = stop_harmless(guard, "lo");
    // Short connections and the large ones: once each.
    assert_eq!(reading["flags"]["S"], 2 * 51, "{}", brief(&reading));
}

#[test]
fn every_path_of_vlans_carries_requests() {
    let network = Network::new().unwrap();
    let _web = WebServer::start(&network.server, PORT, 100_000).unwrap();
    let mut guard = Guard::start(&network.server, TCPGUARD, UPLINK, FAST).unwrap();
    for path in Path::ALL {
        for n in 0..20 {
            request(&network.client, Network::service(path, PORT))
                .unwrap_or_else(|error| panic!("{path:?} {n}: {error:#}"));
        }
        assert_harmless(&guard.fresh_reading().unwrap(), path);
    }
    stop_harmless(guard, "all paths");
}

#[test]
fn a_guard_that_sees_one_direction_only_harms_nothing() {
    for guarded in [Guarded::Server, Guarded::Client] {
        let (site, guard) = guarded_site(guarded, &["--ingress-only"]);
        over_both(pairs(&site, PORT), |pair| transfer(&pair, SOME).unwrap());
        let reading = stop_harmless(guard, guarded);
        assert_eq!(reading["interfaces"][0]["egress"], "none", "{guarded:?}");
    }
}
