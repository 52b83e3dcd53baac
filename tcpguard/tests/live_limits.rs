//! `--syn-limit`: floods open no more than they may, and no connection is harmed that is open.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    env, fs,
    net::SocketAddr,
    process, thread,
    time::{Duration, Instant},
};

use common::{
    TCPGUARD, done,
    place::{PORT, assert_went, brief, guarded_site, lines, objections},
};
use serde_json::Value;
use tcpguard_common::{craft::TcpFrame, flags::TcpFlags};
use xtask::lab::{
    forge::{Dice, Forger, blind, syn_flood},
    guard::dropped,
    path::Host,
    site::{ETH0, Family, Guarded, Site},
    traffic::{Flow, exchange},
};

const FLOOD: u16 = 3_000;
/// After each burst: the flood takes a second.
const PAUSE: Duration = Duration::from_millis(20);

/// So many SYNs of one source, each of another port.
fn flood_of_one(family: Family, target: SocketAddr) -> impl Iterator<Item = TcpFrame> {
    let mut dice = Dice::new(3);
    (0..FLOOD).map(move |n| {
        let from = SocketAddr::new(Site::nobody(family, 1), 2_000 + n);
        blind((from, target), TcpFlags::SYN, 0, &mut dice)
    })
}

/// What a flood may have opened at most by a rate: a second's worth at once, and the rate after that.
fn most(rate: u64, start: Instant) -> u64 {
    rate * (start.elapsed().as_secs() + 2)
}

fn opened(reading: &Value) -> u64 {
    reading["transitions"]["->SYN-SENT"].as_u64().unwrap()
}

#[test]
fn a_source_that_floods_is_limited_and_no_other_one() {
    const RATE: u64 = 20;
    let args = ["--syn-limit-source", "20", "--max-conns", "65536"];
    let (site, mut guard) = guarded_site(Guarded::Server, &args);
    let lines = lines(&site, PORT);
    let flows = lines
        .each_ref()
        .map(|line| Flow::start(&line.connect(&site.client).unwrap()).unwrap());
    let forger = Forger::new(&site, Host::Server).unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        let flooding = scope.spawn(|| {
            for (family, line) in Family::ALL.into_iter().zip(&lines) {
                forger
                    .send(flood_of_one(family, line.address()), PAUSE)
                    .unwrap();
            }
        });
        // Less often than it may: each opens at once.
        for _ in 0..10 {
            for line in &lines {
                let mut pair = line.connect(&site.client).unwrap();
                exchange(&mut pair).unwrap();
            }
            thread::sleep(Duration::from_millis(200));
        }
        flooding.join().unwrap();
    });
    for flow in flows {
        flow.advance(1 << 20).unwrap();
        flow.finish().unwrap();
    }
    let reading = guard.fresh_reading().unwrap();
    let limited = dropped(&reading, "rate-limited");
    let flood = 2 * u64::from(FLOOD) - limited;
    let told = brief(&reading);
    assert!(
        (2 * RATE..=2 * most(RATE, start)).contains(&flood),
        "{flood}: {told}"
    );
    assert_eq!(objections(&reading).len(), 1, "{told}");
}

#[test]
fn a_flood_from_everywhere_is_limited_in_total() {
    const RATE: u64 = 50;
    let args = ["--syn-limit", "50/s", "--max-conns", "65536"];
    let (site, mut guard) = guarded_site(Guarded::Server, &args);
    let lines = lines(&site, PORT);
    let mut pairs = lines
        .each_ref()
        .map(|line| line.connect(&site.client).unwrap());
    let forger = Forger::new(&site, Host::Server).unwrap();
    let start = Instant::now();
    for (family, line) in Family::ALL.into_iter().zip(&lines) {
        let flood = syn_flood(family, line.address(), FLOOD, &mut Dice::new(5)).collect::<Vec<_>>();
        forger.send(flood, PAUSE).unwrap();
        // Who is inside does not notice.
        for pair in &mut pairs {
            exchange(pair).unwrap();
        }
    }
    let reading = guard.fresh_reading().unwrap();
    let told = brief(&reading);
    let flood = 2 * u64::from(FLOOD) - dropped(&reading, "rate-limited");
    assert!(
        (RATE..=most(RATE, start)).contains(&flood),
        "{flood}: {told}"
    );
    assert_eq!(opened(&reading), flood + 2, "{told}");
}

#[test]
fn what_opens_nothing_takes_nothing_of_the_limit() {
    // A second's worth: one for the SYN that comes again and again, two for who opens, one to spare.
    let args = ["--syn-limit", "4", "--max-conns", "65536", "--denied"];
    let denied = env::temp_dir().join(format!("tcpguard-limits-{}", process::id()));
    let file = denied.to_str().unwrap();
    fs::write(&denied, "198.18.0.2\n2001:db8:ffff::1:2\n").unwrap();
    let (site, mut guard) = guarded_site(Guarded::Server, &[&args[..], &[file]].concat());
    fs::remove_file(&denied).unwrap();
    let lines = lines(&site, PORT);
    let forger = Forger::new(&site, Host::Server).unwrap();
    for (family, line) in Family::ALL.into_iter().zip(&lines) {
        let frame = |from: u16, port, flags| {
            let from = SocketAddr::new(Site::nobody(family, from), port);
            blind((from, line.address()), flags, 0, &mut Dice::new(7))
        };
        let again = (0..200).map(|_| frame(1, 2_000, TcpFlags::SYN));
        let denied = (0..200).map(|n| frame(2, 2_000 + n, TcpFlags::SYN));
        let broken = TcpFlags::SYN.with(TcpFlags::FIN);
        let illegal = (0..200).map(|n| frame(3, 2_000 + n, broken));
        let useless = again.chain(denied).chain(illegal).collect::<Vec<_>>();
        // The first of them opens something, and has to wait for what was taken before.
        thread::sleep(Duration::from_millis(1_250));
        forger.send(useless, Duration::ZERO).unwrap();
        for _ in 0..2 {
            exchange(&mut line.connect(&site.client).unwrap()).unwrap();
        }
    }
    let reading = guard.fresh_reading().unwrap();
    let told = brief(&reading);
    assert_eq!(dropped(&reading, "rate-limited"), 0, "{told}");
    assert_eq!(dropped(&reading, "denied"), 400, "{told}");
    assert_eq!(opened(&reading), 6, "{told}");
}

#[test]
fn where_it_is_only_observed_what_is_too_much_is_counted_and_opens() {
    let args = ["--observe", "--syn-limit", "1", "--max-conns", "65536"];
    let (site, mut guard) = guarded_site(Guarded::Server, &args);
    let [line, _] = lines(&site, PORT);
    let mut pairs: Vec<_> = (0..10)
        .map(|_| line.connect(&site.client).unwrap())
        .collect();
    for pair in &mut pairs {
        exchange(pair).unwrap();
    }
    let reading = guard.fresh_reading().unwrap();
    let would_drop = reading["reasons"]["rate-limited"]["would_drop"].as_u64();
    assert!(
        (5..=9).contains(&would_drop.unwrap()),
        "{}",
        brief(&reading)
    );
    assert_went(&reading, "SYN-RECEIVED>ESTABLISHED", 10, "not followed");
}

#[test]
fn a_reload_changes_one_limit_and_leaves_the_other() {
    let site = Site::new(Guarded::Server).unwrap();
    let (server, _) = site.guarded();
    let limits = || {
        let status = common::json(server.command(TCPGUARD).args(["status", "--json"]));
        let config = &status["guards"][0]["config"];
        let keys = ["syn_limit", "syn_limit_source", "syn_limit_prefix"];
        keys.map(|key| config[key].to_string())
    };
    let args = [
        "--max-conns",
        "4096",
        "--syn-limit",
        "5000",
        "--syn-limit-source",
        "50",
    ];
    done(server, &[&["attach", "--iface", ETH0][..], &args].concat());
    assert_eq!(limits(), ["5000", "50", "[32,64]"]);
    let told = done(
        server,
        &[
            "reload",
            "--syn-limit",
            "off",
            "--syn-limit-prefix",
            "24,56",
        ],
    );
    assert!(
        told.stdout.ends_with("inbound at most 50/s of a source\n"),
        "{}",
        told.stdout
    );
    assert_eq!(limits(), ["null", "50", "[24,56]"]);
    done(server, &["upgrade"]);
    done(server, &["reload", "--enforce", "flags"]);
    assert_eq!(limits(), ["null", "50", "[24,56]"]);
    // A neighbourhood is one source now.
    let forger = Forger::new(&site, Host::Server).unwrap();
    for (family, before) in Family::ALL.into_iter().zip([0, 1]) {
        let target = site.service(family, PORT);
        let neighbours = (0..200).map(|n| {
            let from = SocketAddr::new(Site::nobody(family, n), 2_000);
            let dice = &mut Dice::new(n.into());
            blind((from, target), TcpFlags::SYN, 0, dice)
        });
        forger.send(neighbours, Duration::ZERO).unwrap();
        let reading = common::reading(server);
        let would_drop = reading["reasons"]["rate-limited"]["would_drop"].as_u64();
        let (least, most) = (100 + 100 * before, 150 + 150 * before);
        assert!(
            (least..=most).contains(&would_drop.unwrap()),
            "{}",
            brief(&reading)
        );
    }
    done(server, &["detach"]);
}
