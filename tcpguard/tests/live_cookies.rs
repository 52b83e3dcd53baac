//! `--syn-cookies`: the stack takes the guard's cookies for its own, and no connection notices.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{fs, io::ErrorKind, net::TcpStream, thread, time::Duration};

use common::{
    ERROR, Process, TCPGUARD, done,
    place::{PORT, brief, guard, lines, objections},
};
use serde_json::Value;
use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    forge::{Dice, Forger, blind, syn_flood},
    guard::{Guard, dropped},
    line::Line,
    link::{Station, VethOptions, veth},
    namespace::Namespace,
    path::Host,
    site::{ETH0, Family, Guarded, Site},
    traffic::{Flow, exchange, transfer},
};

const COOKIES: [&str; 3] = ["--syn-cookies", "always", "--syn-cookies-sysctl"];
/// The stack is asked itself once a second, and whoever connects then gets no cookie.
const CONNECTIONS: u64 = 20;

/// Two hosts and a cable, whose far end has an XDP program as well: else veth would send no answer.
struct Pair {
    server: Namespace,
    client: Namespace,
    guard: Guard,
    /// Until it is dropped.
    #[expect(dead_code, reason = "that it is there is enough")]
    beyond: Guard,
}

impl Pair {
    fn new(args: &[&str]) -> Self {
        let (server, client) = connected();
        let start = |namespace, args: &[&str]| {
            let all = [&["--interval", "100ms", "--max-conns", "4096"][..], args].concat();
            Guard::start(namespace, TCPGUARD, ETH0, all).unwrap()
        };
        let beyond = start(&client, &["--observe"]);
        Self {
            guard: start(&server, args),
            server,
            client,
            beyond,
        }
    }

    fn lines(&self) -> [Line; 2] {
        ["192.0.2.2:80", "[2001:db8::2]:80"]
            .map(|address| Line::open(&self.server, address.parse().unwrap()).unwrap())
    }
}

fn connected() -> (Namespace, Namespace) {
    let (server, client) = (Namespace::new("server"), Namespace::new("client"));
    let (server, client) = (server.unwrap(), client.unwrap());
    veth((&server, ETH0), (&client, ETH0), VethOptions::default()).unwrap();
    let station = |namespace, number: u8| Station {
        namespace,
        interface: ETH0,
        addresses: [format!("192.0.2.{number}"), format!("2001:db8::{number}")]
            .map(|address| address.parse().unwrap())
            .to_vec(),
    };
    let [one, other] = [station(&server, 2), station(&client, 1)];
    for (host, peer) in [(&one, &other), (&other, &one)] {
        host.assign().unwrap();
        host.knows(peer).unwrap();
    }
    (server, client)
}

/// The scales of the connections of a host, those of the peer first.
fn scales(host: &Namespace) -> String {
    let told = host.command("ss").args(["-tinH"]).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let mut words = told.split_whitespace();
    let scales = words.find_map(|word| word.strip_prefix("wscale:"));
    scales.unwrap_or_else(|| panic!("{told}")).to_owned()
}

fn cookies(reading: &Value) -> [u64; 2] {
    ["sent", "proved"].map(|key| reading["cookies"][key].as_u64().unwrap())
}

#[test]
fn who_connects_by_a_cookie_has_all_that_the_stack_offers() {
    let mut pair = Pair::new(&COOKIES);
    for line in &pair.lines() {
        for _ in 0..CONNECTIONS {
            let mut ends = line.connect(&pair.client).unwrap();
            exchange(&mut ends).unwrap();
        }
        let ends = line.connect(&pair.client).unwrap();
        // Both scales are known, of which nothing but the time stamp of the answer says the peer's.
        let [ours, theirs] = [&pair.server, &pair.client].map(scales);
        let [sent, received] = ours.split(',').collect::<Vec<_>>()[..] else {
            panic!("{ours}");
        };
        assert_eq!(theirs, format!("{received},{sent}"));
        transfer(&ends, 4 << 20).unwrap();
    }
    let reading = pair.guard.fresh_reading().unwrap();
    let [sent, proved] = cookies(&reading);
    assert!(sent >= CONNECTIONS && proved == sent, "{}", brief(&reading));
    assert_eq!(objections(&reading), [""; 0], "{}", brief(&reading));
}

#[test]
fn where_nobody_listens_any_more_the_stack_refuses() {
    let pair = Pair::new(&COOKIES);
    let [line, _] = pair.lines();
    let address = line.address();
    for _ in 0..CONNECTIONS {
        line.connect(&pair.client).unwrap();
    }
    drop(line);
    // Until the stack is asked again.
    thread::sleep(Duration::from_millis(1_250));
    let knock = || TcpStream::connect_timeout(&address, Duration::from_secs(5));
    for _ in 0..3 {
        let refused = pair.client.within(knock).unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn an_acknowledgment_without_a_cookie_is_dropped_for_that() {
    const FORGED: u16 = 500;
    let site = Site::new(Guarded::Server).unwrap();
    // In the stack, where what is answered goes out whatever is at the other end.
    let mut guard = guard(&site, &[&COOKIES[..], &["--mode", "generic"]].concat());
    let lines = lines(&site, PORT);
    let forger = Forger::new(&site, Host::Server).unwrap();
    for (family, line) in Family::ALL.into_iter().zip(&lines) {
        for _ in 0..CONNECTIONS {
            exchange(&mut line.connect(&site.client).unwrap()).unwrap();
        }
        let dice = &mut Dice::new(7);
        let guesses = (0..FORGED).map(|n| {
            let from = (Site::nobody(family, n), 2_000).into();
            blind((from, line.address()), TcpFlags::ACK, 0, dice)
        });
        forger.send(guesses, Duration::from_millis(1)).unwrap();
    }
    let reading = guard.fresh_reading().unwrap();
    let [sent, proved] = cookies(&reading);
    assert!(sent >= CONNECTIONS && proved == sent, "{}", brief(&reading));
    assert_eq!(
        dropped(&reading, "cookie-invalid"),
        2 * u64::from(FORGED),
        "{}",
        brief(&reading)
    );
}

#[test]
fn a_flood_of_syns_is_answered_and_nobody_notices_it() {
    const FLOOD: u16 = 20_000;
    let site = Site::new(Guarded::Server).unwrap();
    let args = [
        "--syn-cookies",
        "auto",
        "--syn-cookies-sysctl",
        "--mode",
        "generic",
    ];
    let mut guard = guard(&site, &[&args[..], &["--max-conns", "4096"]].concat());
    let lines = lines(&site, PORT);
    let flows = lines
        .each_ref()
        .map(|line| Flow::start(&line.connect(&site.client).unwrap()).unwrap());
    assert_eq!(cookies(&guard.fresh_reading().unwrap()), [0, 0], "at peace");
    let forger = Forger::new(&site, Host::Server).unwrap();
    thread::scope(|scope| {
        let flooding = scope.spawn(|| {
            for (family, line) in Family::ALL.into_iter().zip(&lines) {
                let mut dice = Dice::new(5);
                let flood = syn_flood(family, line.address(), FLOOD, &mut dice);
                forger
                    .send(flood.collect::<Vec<_>>(), Duration::from_millis(2))
                    .unwrap();
            }
        });
        while !flooding.is_finished() {
            for line in &lines {
                exchange(&mut line.connect(&site.client).unwrap()).unwrap();
            }
        }
        flooding.join().unwrap();
    });
    for flow in flows {
        flow.advance(1 << 20).unwrap();
        flow.finish().unwrap();
    }
    let reading = guard.fresh_reading().unwrap();
    let [sent, proved] = cookies(&reading);
    let told = brief(&reading);
    // All but the first quarter of the table, and who asks the stack.
    assert!(sent > u64::from(FLOOD) && proved > 0, "{told}");
    let half_open = reading["tables"]["half_open"]["entries"].as_u64().unwrap();
    assert!(half_open < 2_048, "{told}");
}

#[test]
fn an_upgrade_keeps_it_and_a_reload_changes_it() {
    let site = Site::new(Guarded::Server).unwrap();
    let (server, _) = site.guarded();
    let when = || {
        let status = common::json(server.command(TCPGUARD).args(["status", "--json"]));
        status["guards"][0]["config"]["syn_cookies"].to_string()
    };
    let args = ["--mode", "generic", "--max-conns", "4096"];
    let attach = ["attach", "--iface", ETH0];
    done(server, &[&attach[..], &args, &COOKIES].concat());
    done(server, &["upgrade"]);
    done(server, &["reload", "--enforce", "flags,handshake"]);
    assert_eq!(when(), "\"always\"");
    let told = done(server, &["reload", "--syn-cookies", "auto"]).stdout;
    assert!(told.ends_with("; SYN cookies auto\n"), "{told}");
    assert_eq!(when(), "\"auto\"");
    done(server, &["reload", "--syn-cookies", "off"]);
    assert_eq!(when(), "\"off\"");
    done(server, &["detach"]);
}

#[test]
fn what_would_not_work_is_refused_with_the_way_out() {
    let (server, client) = connected();
    let refused = |args: &[&str]| {
        let mut command = server.command(TCPGUARD);
        command.args(["run", "--iface", ETH0, "--duration", "1s"]);
        let ended = Process::spawn(command.args(args)).end();
        assert_eq!(ended.status.code(), ERROR, "{ended:?}");
        ended.stderr
    };
    let told = refused(&["--syn-cookies", "auto"]);
    assert!(told.contains("--mode generic"), "{told}");
    let generic = ["--syn-cookies", "auto", "--mode", "generic"];
    let told = refused(&generic);
    assert!(told.contains("net.ipv4.tcp_syncookies is 1"), "{told}");
    assert!(told.contains("--syn-cookies-sysctl"), "{told}");
    let told = refused(&[&generic[..], &["--syn-cookies-sysctl", "--observe"]].concat());
    assert!(told.contains("only observes"), "{told}");
    let told = refused(&[&generic[..], &["--syn-cookies-sysctl", "--ingress-only"]].concat());
    assert!(told.contains("--ingress-only"), "{told}");
    let read = || fs::read_to_string("/proc/sys/net/ipv4/tcp_syncookies").unwrap();
    assert_eq!(server.within(read).unwrap().trim(), "1", "as it was");
    drop(client);
}
