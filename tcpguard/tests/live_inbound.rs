//! `--inbound`: who may open connections, while those that are open, and this side's own, go on.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{fs, io::ErrorKind, net::SocketAddr, net::TcpStream, path::PathBuf, time::Duration};

use common::{
    TCPGUARD, done,
    place::{PORT, assert_in_state, brief, guarded_site, lines, objections, pairs},
    reading,
};
use serde_json::Value;
use xtask::lab::{
    guard::Guard,
    line::Line,
    namespace::Namespace,
    path::Host,
    site::{ETH0, Family, Guarded, Site, WEST},
    traffic::{self, Flow},
};

/// A port that somebody listens at, and that is not open.
const SHUT: u16 = 8080;
const BETWEEN_EXCHANGES: u64 = 1 << 20;

/// That nobody answers, not even by a reset, though somebody listens.
#[track_caller]
fn assert_unanswered(from: &Namespace, to: SocketAddr) {
    const PATIENCE: Duration = Duration::from_millis(1500);
    let connect = || TcpStream::connect_timeout(&to, PATIENCE).map_err(|error| error.kind());
    let connected = from.within(connect).unwrap();
    assert_eq!(connected.err(), Some(ErrorKind::TimedOut), "{to}");
}

/// That a connection can be opened and used.
#[track_caller]
fn assert_answered(line: &Line, from: &Namespace) {
    let mut pair = line.connect(from).unwrap();
    traffic::exchange(&mut pair).unwrap();
}

/// Somewhere the client listens.
fn lines_of_client(site: &Site) -> [Line; 2] {
    Family::ALL.map(|family| {
        let place = SocketAddr::new(site.address(Host::Client, family), PORT);
        Line::open(&site.client, place).unwrap()
    })
}

#[track_caller]
fn stop(guard: Guard) -> Value {
    let (status, reading) = guard.stop().unwrap();
    assert!(status.success(), "{status}");
    reading
}

#[test]
fn others_open_connections_to_the_ports_that_are_open_and_the_host_to_all() {
    let (site, guard) = guarded_site(Guarded::Server, &["--inbound", "ports=80"]);
    let open = lines(&site, PORT);
    let _shut = lines(&site, SHUT);
    for line in &open {
        assert_answered(line, &site.client);
    }
    for line in &lines_of_client(&site) {
        assert_answered(line, &site.server);
    }
    for family in Family::ALL {
        assert_unanswered(&site.client, site.service(family, SHUT));
    }
    let reading = stop(guard);
    let told = objections(&reading);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("inbound-closed"), "{told:?}");
    assert!(reading["reasons"]["inbound-closed"]["dropped"].as_u64() >= Some(2));
    assert_in_state(&reading, "SYN-SENT", 0, "an entry was made");
}

#[test]
fn where_it_is_only_observed_connections_open_and_are_followed() {
    let (site, mut guard) = guarded_site(Guarded::Server, &["--observe", "--inbound", "closed"]);
    let open = pairs(&site, PORT);
    let reading = guard.fresh_reading().unwrap();
    assert_in_state(&reading, "ESTABLISHED", 2, "not followed");
    drop(open);
    let reading = stop(guard);
    let counts = &reading["reasons"]["inbound-closed"];
    assert_eq!(counts["would_drop"], 2, "{}", brief(&reading));
    assert_eq!(objections(&reading).len(), 1, "{}", brief(&reading));
    assert_eq!(reading["adopted"], 0, "{}", brief(&reading));
}

#[test]
fn a_router_closes_one_of_its_sides() {
    let site = Site::new(Guarded::Router).unwrap();
    let (router, _) = site.guarded();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("inbound.toml");
    let text = format!("iface = [\"west\", \"east\"]\n[interface.{WEST}]\ninbound = \"closed\"\n");
    fs::write(&path, text).unwrap();
    let file = path.to_str().unwrap();
    let told = done(router, &["check-config", file]).stdout;
    assert!(
        told.contains("inbound: west closed; elsewhere open"),
        "{told}"
    );
    done(router, &["attach", "--config", file, "--max-conns", "4096"]);
    let _listening = lines(&site, PORT);
    for (family, line) in Family::ALL.into_iter().zip(&lines_of_client(&site)) {
        assert_answered(line, &site.server);
        assert_unanswered(&site.client, site.service(family, PORT));
    }
    done(router, &["detach"]);
}

#[test]
fn a_reload_shuts_and_opens_the_door_and_whoever_is_inside_stays() {
    let site = Site::new(Guarded::Server).unwrap();
    let (server, _) = site.guarded();
    let rule = || {
        let status = common::json(server.command(TCPGUARD).args(["status", "--json"]));
        status["guards"][0]["config"]["inbound"].clone()
    };
    done(server, &["attach", "--iface", ETH0, "--max-conns", "4096"]);
    let inside = lines(&site, PORT);
    let flows = inside
        .each_ref()
        .map(|line| Flow::start(&line.connect(&site.client).unwrap()).unwrap());
    let told = done(server, &["reload", "--inbound", "closed"]).stdout;
    assert_eq!(
        told,
        "reloaded eth0: drops all that is objected to; inbound closed\n"
    );
    assert_eq!(rule(), "closed");
    assert_unanswered(&site.client, site.service(Family::Ipv4, PORT));
    // What is not named stays, whatever else is changed.
    done(server, &["upgrade"]);
    assert_eq!(rule(), "closed");
    done(server, &["reload", "--inbound", "ports=22,80"]);
    done(server, &["reload", "--enforce", "flags,state"]);
    assert_eq!(rule(), "ports=22,80");
    for line in &inside {
        assert_answered(line, &site.client);
    }
    for flow in flows {
        flow.advance(BETWEEN_EXCHANGES).unwrap();
        flow.finish().unwrap();
    }
    let reading = reading(server);
    assert_eq!(objections(&reading).len(), 1, "{}", brief(&reading));
    done(server, &["detach"]);
}
