//! `top` on real traffic: who moves most, and of whom most is objected to.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use common::{
    ERROR, done,
    place::{PORT, lines},
    tcpguard,
};
use serde_json::Value;
use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    forge::{Dice, Forger, blind},
    path::Host,
    site::{ETH0, Family, Guarded, Site},
    traffic::Flow,
};

fn top(site: &Site, args: &[&str]) -> Value {
    let (server, _) = site.guarded();
    let told = done(server, &[&["top", "--json"], args].concat());
    serde_json::from_str(&told.stdout).unwrap()
}

#[test]
fn who_moves_most_and_who_is_objected_to_most_come_first() {
    let site = Site::new(Guarded::Server).unwrap();
    let (server, _) = site.guarded();
    done(server, &["attach", "--iface", ETH0, "--max-conns", "4096"]);
    let lines = lines(&site, PORT);
    let flows = lines
        .each_ref()
        .map(|line| Flow::start(&line.connect(&site.client).unwrap()).unwrap());
    let forger = Forger::new(&site, Host::Server).unwrap();
    let target = site.service(Family::Ipv4, PORT);
    let is_told = AtomicBool::new(false);
    let told = thread::scope(|scope| {
        scope.spawn(|| {
            // One of them sends nine of ten.
            let more = |_: &u16| !is_told.load(Ordering::Relaxed);
            let nulls = (0..60_000).take_while(more).map(|n| {
                let number = if n % 10 == 0 { 2 } else { 1 };
                let from = SocketAddr::new(Site::nobody(Family::Ipv4, number), 2_000 + n);
                blind((from, target), TcpFlags::NULL, 0, &mut Dice::new(n.into()))
            });
            forger.send(nulls, Duration::from_millis(60)).unwrap();
        });
        thread::sleep(Duration::from_millis(200));
        let told = top(&site, &["--interval", "1s"]);
        is_told.store(true, Ordering::Relaxed);
        told
    });
    for flow in flows {
        flow.finish().unwrap();
    }
    let talkers = told["talkers"].as_array().unwrap();
    let addresses: Vec<_> = talkers
        .iter()
        .map(|it| it["address"].as_str().unwrap())
        .collect();
    for family in Family::ALL {
        let client = site.address(Host::Client, family).to_string();
        assert!(addresses.contains(&&*client), "no {client}: {told}");
        // The server itself would be in every line.
        let server = site.address(Host::Server, family).to_string();
        assert!(!addresses.contains(&&*server), "{told}");
    }
    for talker in talkers {
        let rate = |key: &str| talker[key].as_u64().unwrap();
        let parts = rate("sent_per_s") + rate("received_per_s");
        assert!(rate("octets_per_s").abs_diff(parts) <= 1, "{told}");
        assert!(rate("octets_per_s") > 10_000, "{told}");
    }
    let offenders = told["offenders"].as_array().unwrap();
    assert_eq!(
        offenders[0]["source"],
        Site::nobody(Family::Ipv4, 1).to_string()
    );
    assert_eq!(offenders[0]["reason"], "flags-null");
    // A second of a flood of a thousand, by estimate.
    let all: u64 = offenders
        .iter()
        .map(|it| it["dropped_per_s"].as_u64().unwrap())
        .sum();
    assert!((300..=1_500).contains(&all), "{told}");

    let text = done(server, &["top", "--limit", "1", "--interval", "100ms"]).stdout;
    assert!(
        text.starts_with("Talker") && text.contains("\nOffender"),
        "{text}"
    );
    let stranger = tcpguard(server, &["top", "--iface", "eth7"]);
    assert_eq!(stranger.status.code(), ERROR);
    assert!(
        stranger.stderr.contains("there is one on eth0"),
        "{stranger:?}"
    );
    done(server, &["detach"]);
}
