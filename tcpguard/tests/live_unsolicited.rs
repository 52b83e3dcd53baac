//! Scans and floods with legal flags that belong to no connection: all of it is dropped under its
//! reason, nothing answers, and who is served goes on being served.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{net::SocketAddr, process::Output, time::Duration};

use common::place::{PORT, brief, guarded_site, objections};
use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    client::Client,
    forge::{Dice, Forger, blind},
    guard::dropped,
    overhear::Arrivals,
    path::Host,
    site::{ETH0, Family, Guarded, Site},
    web::WebServer,
};

const CLOSED: u16 = 81;
/// Segments of a flood.
const FLOOD: u64 = 500;
/// A router would learn at first, from before its clients came; a host does not mind.
const LEARNED: [&str; 2] = ["--learn", "0s"];
const PAUSE: Duration = Duration::from_millis(3);

/// Where a stranger may knock: at a guarded server, or through a guarded router.
const TARGETS: [Guarded; 2] = [Guarded::Server, Guarded::Router];

/// A kind of scan, what it says of a port that does not answer, and the reason that counts it.
const SCANS: [(&str, &str, &str); 6] = [
    ("-sA", "filtered", "no-connection"),
    ("-sW", "filtered", "no-connection"),
    ("-sM", "open|filtered", "no-connection"),
    ("-sF", "open|filtered", "flags-fin-no-ack"),
    ("-sN", "open|filtered", "flags-null"),
    ("-sX", "open|filtered", "flags-xmas"),
];

/// Flags as hping3 wants them, and the reason that counts such a segment.
const FLOODS: [(&[&str], &str); 5] = [
    (&["--ack"], "no-connection"),
    (&["--fin", "--ack"], "no-connection"),
    (&["--push", "--ack"], "no-connection"),
    (&["--rst"], "rst-no-connection"),
    (&["--syn", "--ack"], "synack-unsolicited"),
];

/// A site that is served over both versions of IP.
struct Scene {
    site: Site,
    _web: WebServer,
    clients: [Client; 2],
}

impl Scene {
    fn new(site: Site) -> Self {
        let web = WebServer::start(&site.server, PORT, 1000).unwrap();
        let pause = Duration::from_millis(5);
        let clients = Family::ALL
            .map(|family| Client::start(&site.client, site.service(family, PORT), pause).unwrap());
        Self {
            site,
            _web: web,
            clients,
        }
    }

    /// That every request was answered.
    #[track_caller]
    fn finish(self, what: impl std::fmt::Debug) {
        for client in self.clients {
            let requests = client.finish();
            let served = requests.answered > 0 && requests.failed() == 0;
            assert!(served, "{what:?}: {requests:?}");
        }
    }

    /// What a program of the stranger says.
    fn stranger(&self, program: &str, args: &[&str]) -> (Output, String) {
        let output = self.site.stranger.command(program).args(args).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        let said = [&*output.stdout, &*output.stderr].concat();
        (output, String::from_utf8_lossy(&said).into_owned())
    }

    /// The states of the open and of the closed port, and how many probes it took.
    fn nmap(&self, scan: &str, target: SocketAddr) -> ([String; 2], u64) {
        let (ports, host) = (format!("{PORT},{CLOSED}"), target.ip().to_string());
        let mut args = vec![scan, "-Pn", "-n", "--disable-arp-ping", "--send-ip", "-v"];
        args.extend(["-oG", "/dev/stderr", "--max-retries", "0"]);
        args.extend([
            "--initial-rtt-timeout",
            "200ms",
            "--max-rtt-timeout",
            "200ms",
        ]);
        args.extend(["--host-timeout", "5s", "-p", &ports]);
        args.extend(target.is_ipv6().then_some("-6"));
        args.push(&host);
        let (output, said) = self.stranger("nmap", &args);
        assert!(output.status.success(), "{said}");
        let state = |port| {
            let entry = between(&said, &format!(" {port}/"), "/");
            entry.to_owned()
        };
        let probes = between(&said, "Raw packets sent: ", " ").parse();
        ([PORT, CLOSED].map(state), probes.unwrap())
    }

    /// How many segments hping3 sent in a flood of `flags`.
    fn hping3(&self, flags: &[&str], target: SocketAddr) -> u64 {
        let (count, port) = (FLOOD.to_string(), target.port().to_string());
        let host = target.ip().to_string();
        let mut args = vec!["--count", &count, "--interval", "u500", "--quiet"];
        args.extend(["--destport", &port]);
        args.extend(flags);
        args.push(&host);
        let (_, said) = self.stranger("hping3", &args);
        // It starts its statistics on a line of their own.
        let statistics = between(&said, "hping statistic ---\n", " packets received");
        let (sent, received) = statistics.split_once(" packets transmitted, ").unwrap();
        assert_eq!(received, "0", "{flags:?} were answered: {said}");
        sent.parse().unwrap()
    }
}

#[track_caller]
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).map(|(_, rest)| rest);
    let found = rest.and_then(|rest| rest.split_once(after));
    found.unwrap_or_else(|| panic!("no {before:?} in {text}")).0
}

#[test]
fn scans_learn_nothing_and_every_probe_is_counted() {
    for guarded in TARGETS {
        let (site, mut guard) = guarded_site(guarded, &LEARNED);
        let scene = Scene::new(site);
        for family in Family::ALL {
            // The same code decides over IPv6: the scans that it knows by legal flags are enough.
            let scans = if family == Family::Ipv4 { 6 } else { 3 };
            for (scan, silent, reason) in SCANS.into_iter().take(scans) {
                let before = dropped(&guard.fresh_reading().unwrap(), reason);
                let (states, probes) = scene.nmap(scan, scene.site.service(family, PORT));
                assert_eq!(states, [silent, silent], "{guarded:?} {family:?} {scan}");
                assert!(probes >= 2, "{scan}: {probes}");
                let reading = guard.fresh_reading().unwrap();
                let counted = dropped(&reading, reason) - before;
                assert_eq!(
                    counted,
                    probes,
                    "{guarded:?} {family:?} {scan}: {}",
                    brief(&reading)
                );
            }
        }
        scene.finish(guarded);
    }
}

#[test]
fn floods_by_hping3_are_dropped_to_the_last_segment() {
    for guarded in TARGETS {
        let (site, guard) = guarded_site(guarded, &LEARNED);
        let scene = Scene::new(site);
        let arrivals = Arrivals::start(&scene.site.stranger, ETH0).unwrap();
        let mut sent = [
            ("no-connection", 0),
            ("rst-no-connection", 0),
            ("synack-unsolicited", 0),
        ];
        for (flags, reason) in FLOODS {
            let told = scene.hping3(flags, scene.site.service(Family::Ipv4, PORT));
            let entry = sent.iter_mut().find(|(name, _)| *name == reason);
            entry.unwrap().1 += told;
        }
        assert_eq!(arrivals.settled(), 0, "{guarded:?}: replies");
        let (_, reading) = guard.stop().unwrap();
        for (reason, sent) in sent {
            assert_eq!(
                dropped(&reading, reason),
                sent,
                "{guarded:?} {reason}: {}",
                brief(&reading)
            );
        }
        assert_eq!(
            objections(&reading).len(),
            3,
            "{guarded:?}: {}",
            brief(&reading)
        );
        scene.finish(guarded);
    }
}

/// The same in every direction and over both versions of IP, from addresses and ports of all kinds.
#[test]
fn crafted_segments_of_no_connection_are_dropped_to_the_last() {
    let kinds = [
        ("A", "no-connection"),
        ("FA", "no-connection"),
        ("AU", "no-connection"),
        ("R", "rst-no-connection"),
        ("RA", "rst-no-connection"),
        ("SA", "synack-unsolicited"),
    ];
    for (guarded, target) in [
        (Guarded::Server, Host::Server),
        (Guarded::Router, Host::Server),
        (Guarded::Client, Host::Client),
    ] {
        let (site, mut guard) = guarded_site(guarded, &LEARNED);
        let scene = Scene::new(site);
        let arrivals = Arrivals::start(&scene.site.stranger, ETH0).unwrap();
        let forger = Forger::new(&scene.site, target).unwrap();
        let mut dice = Dice::new(3);
        for (letters, reason) in kinds {
            let before = dropped(&guard.fresh_reading().unwrap(), reason);
            let flags: TcpFlags = letters.parse().unwrap();
            for family in Family::ALL {
                let to = SocketAddr::new(scene.site.address(target, family), PORT);
                let frames = (0..500).map(|n| {
                    let from = SocketAddr::new(Site::nobody(family, n), 1024 + n);
                    blind((from, to), flags, usize::from(n % 3), &mut dice)
                });
                let frames: Vec<_> = frames.collect();
                assert_eq!(forger.send(frames, PAUSE).unwrap(), 500);
            }
            let reading = guard.fresh_reading().unwrap();
            let counted = dropped(&reading, reason) - before;
            assert_eq!(counted, 1000, "{guarded:?} {letters}: {}", brief(&reading));
        }
        assert_eq!(arrivals.settled(), 0, "{guarded:?}: replies");
        scene.finish(guarded);
    }
}

#[test]
fn without_a_guard_scans_and_floods_are_answered() {
    for guarded in TARGETS {
        let scene = Scene::new(Site::new(guarded).unwrap());
        for family in Family::ALL {
            let target = scene.site.service(family, PORT);
            let (states, _) = scene.nmap("-sA", target);
            assert_eq!(
                states,
                ["unfiltered", "unfiltered"],
                "{guarded:?} {family:?}"
            );
            let arrivals = Arrivals::start(&scene.site.stranger, ETH0).unwrap();
            let from = SocketAddr::new(scene.site.address(Host::Attacker, family), 4000);
            let ack = blind((from, target), TcpFlags::ACK, 0, &mut Dice::new(3));
            let forger = Forger::new(&scene.site, Host::Server).unwrap();
            forger.send([ack], PAUSE).unwrap();
            assert_eq!(arrivals.settled(), 1, "{guarded:?} {family:?}");
        }
        scene.finish(guarded);
    }
}
