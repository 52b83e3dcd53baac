//! `--trusted` and `--denied`: sources of whom nothing is dropped, and of whom everything.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    fmt::Write as _, fs, io::ErrorKind, net::TcpStream, path::PathBuf, sync::atomic::AtomicBool,
    time::Duration,
};

use common::{
    ERROR, FIVE_NULLS, Process, TCPGUARD, assert_clean, done,
    place::{PORT, brief, lines, objections},
    reading,
};
use xtask::lab::{
    network::{Network, UPLINK},
    path::{Host, Path},
    site::{ETH0, Family, Guarded, Site},
    traffic,
    witness::Witness,
};

/// A file of prefixes for one test.
struct List(PathBuf);

impl List {
    fn new(name: &str) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        Self(directory.join(format!("{name}.txt")))
    }

    fn with(&self, text: &str) -> &str {
        fs::write(&self.0, text).unwrap();
        self.0.to_str().unwrap()
    }
}

fn connected(site: &Site, family: Family) -> Result<(), ErrorKind> {
    const PATIENCE: Duration = Duration::from_millis(1500);
    let service = site.service(family, PORT);
    let connect = || TcpStream::connect_timeout(&service, PATIENCE).map(drop);
    let connected = site.client.within(connect).unwrap();
    connected.map_err(|error| error.kind())
}

#[test]
fn who_is_denied_is_heard_no_more_until_he_is_trusted() {
    let site = Site::new(Guarded::Server).unwrap();
    let (server, _) = site.guarded();
    let clients = Family::ALL.map(|family| site.address(Host::Client, family));
    let [v4, v6] = clients;
    let (denied, trusted) = (List::new("denied"), List::new("trusted"));
    let everybody = denied.with("0.0.0.0/0\n# and of version 6\n::/0\n");
    let inside = lines(&site, PORT);
    done(server, &["attach", "--iface", ETH0, "--max-conns", "4096"]);
    let mut pair = inside[0].connect(&site.client).unwrap();
    traffic::exchange(&mut pair).unwrap();

    let told = done(server, &["reload", "--denied", everybody]).stdout;
    let all = "reloaded eth0: drops all that is objected to";
    assert_eq!(told, format!("{all}; denies 2 prefixes\n"));
    for family in Family::ALL {
        assert_eq!(connected(&site, family), Err(ErrorKind::TimedOut));
    }
    let counted = reading(server);
    let before = counted["reasons"]["denied"]["dropped"].as_u64().unwrap();
    assert!(before >= 2, "{}", brief(&counted));
    assert_eq!(objections(&counted).len(), 1, "{}", brief(&counted));

    // The longest prefix counts, and the other list stays.
    let friends = trusted.with(&format!("{v4}\n{v6}\n"));
    let told = done(server, &["reload", "--trusted", friends]).stdout;
    assert_eq!(
        told,
        format!("{all}; trusts 2 prefixes; denies 2 prefixes\n")
    );
    for family in Family::ALL {
        assert_eq!(connected(&site, family), Ok(()));
    }
    traffic::exchange(&mut pair).unwrap();
    // They outlive the programs that they were given to.
    done(server, &["upgrade"]);
    assert_eq!(connected(&site, Family::Ipv4), Ok(()));
    done(server, &["reload", "--trusted", trusted.with("")]);
    assert_eq!(connected(&site, Family::Ipv6), Err(ErrorKind::TimedOut));
    done(server, &["reload", "--observe"]);
    assert_eq!(connected(&site, Family::Ipv6), Ok(()));
    let counted = reading(server);
    let would = &counted["reasons"]["denied"]["would_drop"];
    assert!(would.as_u64() >= Some(2), "{}", brief(&counted));
    assert_eq!(counted["adopted"], 0, "{}", brief(&counted));
    done(server, &["detach"]);
}

#[test]
fn of_who_is_trusted_nothing_is_dropped_and_of_others_everything() {
    let network = Network::new().unwrap();
    let (server, attacker) = (&network.server, network.attacker().unwrap());
    let witness = Witness::start(server, UPLINK, attacker.mac()).unwrap();
    let list = List::new("attackers");
    let source = Path::Ipv4.address(Host::Attacker);
    let file = list.with(&format!("{source}\n"));
    done(server, &["attach", "--iface", UPLINK, "--trusted", file]);
    attacker.send(&FIVE_NULLS, &AtomicBool::new(false)).unwrap();
    assert_eq!(witness.settled().illegal(), 5);
    let counted = reading(server);
    assert_eq!(counted["reasons"]["flags-null"]["would_drop"], 5);
    done(server, &["reload", "--trusted", list.with("")]);
    attacker.send(&FIVE_NULLS, &AtomicBool::new(false)).unwrap();
    assert_eq!(witness.settled().illegal(), 5);
    let counted = reading(server);
    assert_eq!(counted["reasons"]["flags-null"]["dropped"], 5);
    // Nor does it pass who is denied that another check would only count it.
    let denied = list.with(&format!("{source}\n"));
    done(
        server,
        &["reload", "--denied", denied, "--enforce", "denied"],
    );
    attacker.send(&FIVE_NULLS, &AtomicBool::new(false)).unwrap();
    assert_eq!(witness.settled().illegal(), 5);
    let counted = reading(server);
    assert_eq!(counted["reasons"]["denied"]["dropped"], 5);
    done(server, &["detach"]);
}

#[test]
fn nobody_denies_the_session_that_he_types_in() {
    let site = Site::new(Guarded::Server).unwrap();
    let (server, _) = site.guarded();
    let list = List::new("own");
    let file = list.with("192.0.2.0/24\n");
    let attach = |trusted: &[&str]| {
        let mut command = server.command(TCPGUARD);
        command.env("SSH_CONNECTION", "192.0.2.7 40000 198.51.100.1 22");
        command.args(["attach", "--iface", ETH0, "--denied", file]);
        Process::spawn(command.args(trusted)).end()
    };
    let refused = attach(&[]);
    assert_eq!(refused.status.code(), ERROR, "{refused:?}");
    assert!(refused.stderr.contains("SSH from 192.0.2.7"), "{refused:?}");
    assert_clean(server, ETH0);
    let own = List::new("myself");
    let attached = attach(&["--trusted", own.with("192.0.2.7\n")]);
    assert!(attached.status.success(), "{attached:?}");
    done(server, &["detach"]);
}

#[test]
fn hundreds_of_thousands_are_taken_and_a_bad_line_changes_nothing() {
    const MANY: u32 = 200_000;
    let site = Site::new(Guarded::Server).unwrap();
    let (server, _) = site.guarded();
    let list = List::new("many");
    let mut text = String::new();
    for number in 0..MANY {
        let _ = writeln!(
            text,
            "{}",
            std::net::Ipv4Addr::from_bits(0x0100_0000 + number)
        );
    }
    done(
        server,
        &["attach", "--iface", ETH0, "--denied", list.with(&text)],
    );
    let status = || common::json(server.command(TCPGUARD).args(["status", "--json"]));
    assert_eq!(status()["guards"][0]["config"]["prefixes"], MANY);
    text.push_str("192.0.2.1/24\n");
    let args = ["reload", "--denied", list.with(&text)];
    let ended = common::tcpguard(server, &args);
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
    assert!(ended.stderr.contains("many.txt:200001: "), "{ended:?}");
    assert!(ended.stderr.contains("192.0.2.0/24"), "{ended:?}");
    assert_eq!(status()["guards"][0]["config"]["prefixes"], MANY);
    done(server, &["upgrade"]);
    assert_eq!(status()["guards"][0]["config"]["prefixes"], MANY);
    done(server, &["detach"]);
}
