//! Metrics for Prometheus, over HTTP and as text, in the eyes of its own tool.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
    time::Duration,
};

use common::{ERROR, Process, TCPGUARD, eventually, stdout};
use nix::sys::signal::Signal;
use tcpguard_common::{conn::state::State, flags::TcpFlags, reason::Reason};
use xtask::lab::{
    attack::{Scan, Volley},
    namespace::Namespace,
    network::{Network, UPLINK},
    path::Path,
};

const ADDRESS: &str = "127.0.0.1:9640";

/// What is answered to a request, whole.
fn answer(namespace: &Namespace, request: &str) -> String {
    let ask = || {
        let mut stream = TcpStream::connect(ADDRESS).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    namespace.within(ask).unwrap()
}

fn scraped(namespace: &Namespace) -> String {
    let answer = answer(namespace, "GET /metrics HTTP/1.1\r\nHost: guard\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
    body.to_owned()
}

/// Samples by their names with labels.
fn samples(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).collect()
}

/// Lets promtool object to names, types, units and help.
#[track_caller]
fn assert_conventional(text: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut promtool = promtool.stderr(Stdio::piped()).spawn().unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{text}");
}

#[test]
fn metrics_tell_what_was_counted_as_prometheus_wants_it() {
    let network = Network::new().unwrap();
    let attacker = network.attacker().unwrap();
    let server = &network.server;
    let metrics = ["--metrics", ADDRESS, "--interval", "50ms"];
    let guard = Process::guard(server, &[UPLINK], &metrics);
    let volley = Volley {
        scans: &[Scan {
            flags: TcpFlags::NULL,
            ports: 1..=20,
        }],
        paths: &[Path::Ipv4],
        rounds: 5,
        pace: Duration::from_millis(1),
    };
    attacker.send(&volley, &AtomicBool::new(false)).unwrap();
    let dropped =
        r#"tcpguard_dropped_segments_total{interface="uplink",hook="ingress",reason="flags-null"}"#;
    let scraped_soon = eventually("they are scraped", || {
        let text = scraped(server);
        (samples(&text).get(dropped) == Some(&"5")).then_some(text)
    });
    let found = samples(&scraped_soon);
    assert_conventional(&scraped_soon);
    let of_flags = r#"tcpguard_flags_total{flags="-"}"#;
    assert_eq!(found.get(of_flags), Some(&"5"), "{scraped_soon}");
    assert_eq!(found["tcpguard_collection_errors_total"], "0");
    assert_eq!(found["tcpguard_enforcing"], "1");
    let uptime: f64 = found["tcpguard_uptime_seconds"].parse().unwrap();
    assert!(uptime > 0.0);
    for reason in Reason::ALL {
        assert!(scraped_soon.contains(&format!("reason=\"{}\"", reason.as_str())));
    }
    for state in State::ALL {
        assert!(scraped_soon.contains(&format!("state=\"{}\"", state.as_str())));
    }

    let text = stdout(server.command(TCPGUARD).arg("metrics"));
    assert_conventional(&text);
    assert_eq!(samples(&text)[dropped], "5");
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
}

#[test]
fn nothing_but_a_get_is_answered_and_who_says_nothing_is_not_waited_for() {
    let network = Network::new().unwrap();
    let server = &network.server;
    let guard = Process::guard(server, &[UPLINK], &["--metrics", ADDRESS]);
    for (request, status) in [
        ("GET /secrets HTTP/1.1\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.0\r\n\r\n", "200"),
        (
            &format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(4071)),
            "404",
        ),
    ] {
        let told = answer(server, request);
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{told}");
    }
    let connect = || TcpStream::connect(ADDRESS).unwrap();
    let silent: Vec<_> = (0..20).map(|_| server.within(connect).unwrap()).collect();
    assert!(scraped(server).contains("tcpguard_build_info"));
    drop(silent);

    let mut second = server.command(TCPGUARD);
    second.args(["run", "--iface", "lo", "--metrics", ADDRESS]);
    let ended = Process::spawn(&mut second).end();
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
    assert!(ended.stderr.contains(ADDRESS), "{ended:?}");
    assert!(ended.stderr.contains("give another"), "{ended:?}");
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
}
