//! Segments that a stranger forges into connections which he does not see.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use common::place::{PORT, assert_in_state, brief, guarded_site, pairs};
use serde_json::Value;
use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    forge::{Dice, Forger, blind},
    guard::{Guard, dropped},
    line::{Pair, expect_end},
    overhear::{Heard, overhear},
    path::Host,
    site::{ETH0, Guarded, Site},
    traffic::{Flow, exchange, say, transfer},
};

/// Forged segments of a kind into one connection.
const MANY: usize = 1000;
/// Of which so many may hit, by chance, a window or its neighbourhood: some megabytes of four giga.
const LUCKY: u64 = 20;
const PAUSE: Duration = Duration::from_millis(3);

/// Who is lied to at each guarded place.
const VICTIMS: [(Guarded, Host); 3] = [
    (Guarded::Server, Host::Server),
    (Guarded::Client, Host::Client),
    (Guarded::Router, Host::Server),
];

const WINDOW: [&str; 4] = [
    "seq-above-window",
    "seq-below-window",
    "ack-of-unsent",
    "ack-too-old",
];

/// A guarded site with a connection over each version of IP, and a stranger.
struct Scene {
    site: Site,
    guard: Guard,
    pairs: [Pair; 2],
    forger: Forger,
    victim: Host,
    dice: Dice,
}

impl Scene {
    fn new(guarded: Guarded, victim: Host) -> Self {
        let (site, guard) = guarded_site(guarded, &["--learn", "0s"]);
        let mut pairs = pairs(&site, PORT);
        for pair in &mut pairs {
            exchange(pair).unwrap();
        }
        let forger = Forger::new(&site, victim).unwrap();
        Self {
            site,
            guard,
            pairs,
            forger,
            victim,
            dice: Dice::new(5),
        }
    }

    /// The end that the stranger pretends to be, and the one that he lies to.
    fn claim(&self, pair: &Pair) -> (SocketAddr, SocketAddr) {
        let (client, server) = pair.addresses().unwrap();
        match self.victim {
            Host::Client => (server, client),
            Host::Server | Host::Attacker => (client, server),
        }
    }

    fn claims(&self) -> [(SocketAddr, SocketAddr); 2] {
        self.pairs.each_ref().map(|pair| self.claim(pair))
    }

    /// Forges many segments into each of the connections.
    fn forge(&mut self, ends: [(SocketAddr, SocketAddr); 2], letters: &str, payload: usize) {
        let flags: TcpFlags = letters.parse().unwrap();
        for ends in ends {
            let frames = (0..MANY).map(|_| blind(ends, flags, payload, &mut self.dice));
            self.forger.send(frames.collect::<Vec<_>>(), PAUSE).unwrap();
        }
    }

    /// How many of them were dropped for one of `reasons`, and the whole reading.
    fn forged(&mut self, letters: &str, payload: usize, reasons: &[&str]) -> (u64, Value) {
        let before = self.guard.fresh_reading().unwrap();
        self.forge(self.claims(), letters, payload);
        let after = self.guard.fresh_reading().unwrap();
        let count = |reason: &&str| dropped(&after, reason) - dropped(&before, reason);
        (reasons.iter().map(count).sum(), after)
    }

    /// What the impersonated end of the first connection sends next.
    fn next_seq(&mut self) -> u32 {
        let (from, _) = self.claim(&self.pairs[0]);
        let namespace = match self.victim {
            Host::Client => &self.site.server,
            Host::Server | Host::Attacker => &self.site.client,
        };
        let pair = &mut self.pairs[0];
        let by_him = |heard: &Heard| heard.ports.0 == from.port() && heard.len > 0;
        let heard = overhear(namespace, ETH0, by_him, || exchange(pair));
        heard.unwrap().unwrap().next_seq()
    }

    /// A reset of the first connection at an exact place.
    fn reset_at(&mut self, seq: u32) {
        let ends = self.claim(&self.pairs[0]);
        let mut reset = blind(ends, TcpFlags::RST, 0, &mut self.dice);
        reset.seq = seq;
        self.forger.send([reset], PAUSE).unwrap();
    }

    fn victim_end(&mut self) -> &mut TcpStream {
        match self.victim {
            Host::Client => &mut self.pairs[0].client,
            Host::Server | Host::Attacker => &mut self.pairs[0].server,
        }
    }
}

#[test]
fn blind_segments_are_dropped_while_the_transfers_go_on() {
    for (guarded, victim) in VICTIMS {
        let mut scene = Scene::new(guarded, victim);
        let flows = scene
            .pairs
            .each_ref()
            .map(|pair| Flow::start(pair).unwrap());
        let all = 2 * MANY as u64;
        for (letters, payload, reasons) in [
            ("R", 0, &["rst-out-of-window"][..]),
            ("RA", 0, &["rst-out-of-window"]),
            ("A", 0, &WINDOW),
            ("PA", 100, &WINDOW),
            ("FA", 0, &WINDOW),
        ] {
            let (dropped, reading) = scene.forged(letters, payload, reasons);
            let told = brief(&reading);
            assert!(
                dropped <= all,
                "{guarded:?} {letters}: {dropped} of {all}: {told}"
            );
            assert!(
                dropped >= all - LUCKY,
                "{guarded:?} {letters}: {dropped} of {all}: {told}"
            );
        }
        // A SYN in mid-connection is for the peers to settle, by a challenge.
        let (dropped, reading) = scene.forged("S", 0, &WINDOW);
        assert_eq!(dropped, 0, "{guarded:?} SYN: {}", brief(&reading));
        for flow in flows {
            flow.advance(1 << 20).unwrap();
            flow.finish().unwrap();
        }
        let (_, reading) = scene.guard.stop().unwrap();
        assert_eq!(reading["resync"], 0, "{guarded:?}: {}", brief(&reading));
    }
}

#[test]
fn quiet_connections_survive_whatever_is_forged() {
    let mut scenes = VICTIMS.map(|(guarded, victim)| Scene::new(guarded, victim));
    // Beyond the time within which a half counts as heard: the guard is not sure any more.
    thread::sleep(Duration::from_secs(11));
    for (scene, (guarded, _)) in scenes.iter_mut().zip(VICTIMS) {
        for (letters, payload) in [("R", 0), ("RA", 0), ("FA", 0), ("PA", 100), ("S", 0)] {
            scene.forge(scene.claims(), letters, payload);
        }
        let reading = scene.guard.fresh_reading().unwrap();
        assert_in_state(&reading, "ESTABLISHED", 2, guarded);
        for pair in &mut scene.pairs {
            exchange(pair).unwrap_or_else(|error| panic!("{guarded:?}: {error:#}"));
            transfer(pair, 1 << 20).unwrap_or_else(|error| panic!("{guarded:?}: {error:#}"));
        }
    }
}

/// What claims to come from the guarded host itself cannot arrive at it.
#[test]
fn segments_in_the_name_of_the_guarded_host_change_nothing() {
    for (guarded, victim) in &VICTIMS[..2] {
        let mut scene = Scene::new(*guarded, *victim);
        let own = scene.claims().map(|(from, to)| (to, from));
        for letters in ["R", "FA", "PA", "S", "SA"] {
            scene.forge(own, letters, 0);
        }
        let reading = scene.guard.fresh_reading().unwrap();
        assert_in_state(&reading, "ESTABLISHED", 2, guarded);
        let ignored = reading["verdicts"]["ignore"]["packets"].as_u64();
        let all = 5 * 2 * MANY as u64;
        assert!(ignored >= Some(all), "{guarded:?}: {}", brief(&reading));
        for pair in &scene.pairs {
            transfer(pair, 1 << 20).unwrap();
        }
    }
}

#[test]
fn a_reset_closes_only_at_the_exact_place() {
    for (guarded, victim) in VICTIMS {
        let mut scene = Scene::new(guarded, victim);
        let next = scene.next_seq();
        scene.reset_at(next.wrapping_add(100));
        exchange(&mut scene.pairs[0]).unwrap();
        let reading = scene.guard.fresh_reading().unwrap();
        assert_in_state(&reading, "ESTABLISHED", 2, guarded);

        let next = scene.next_seq();
        scene.reset_at(next);
        expect_end(scene.victim_end()).unwrap();
        let reading = scene.guard.fresh_reading().unwrap();
        assert_in_state(&reading, "CLOSED", 1, guarded);
        let Pair { client, server } = &mut scene.pairs[0];
        assert!(say(client, server).is_err(), "{guarded:?}");
        exchange(&mut scene.pairs[1]).unwrap();
    }
}
