//! Metrics for Prometheus, over HTTP and as text, in the eyes of its own tool.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, PipeReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
};

use common::{
    ERROR, FIVE_NULLS, Process, TCPGUARD, assert_clean, attached, cable, done, eventually, stdout,
};
use nix::sys::signal::Signal;
use tcpguard_common::{conn::state::State, reason::Reason};
use xtask::lab::{
    namespace::Namespace,
    network::{Network, UPLINK},
};

const ADDRESS: &str = "127.0.0.1:9640";
/// A request for the metrics.
const SCRAPE: &str = "GET /metrics HTTP/1.1\r\nHost: guard\r\n\r\n";
/// What counts the [volley].
const DROPPED: &str =
    r#"tcpguard_dropped_segments_total{interface="uplink",hook="ingress",reason="flags-null"}"#;

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
    let answer = answer(namespace, SCRAPE);
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

/// Sends five segments without flags.
fn volley(network: &Network) {
    let attacker = network.attacker().unwrap();
    attacker.send(&FIVE_NULLS, &AtomicBool::new(false)).unwrap();
}

/// The metrics as soon as they tell of the [volley].
#[track_caller]
fn scraped_after_the_volley(namespace: &Namespace) -> String {
    eventually("they are scraped", || {
        let text = scraped(namespace);
        (samples(&text).get(DROPPED) == Some(&"5")).then_some(text)
    })
}

/// That a scrape tells what was dropped after the guard was started; ends it.
#[track_caller]
fn assert_fresh(network: &Network, guard: Process) {
    assert_eq!(samples(&scraped(&network.server))[DROPPED], "0");
    volley(network);
    scraped_after_the_volley(&network.server);
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
}

/// A pipe that takes nothing more, and the end that nobody reads.
fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, mut writer) = io::pipe().unwrap();
    let capacity = 65_536;
    writer.write_all(&vec![b'\n'; capacity]).unwrap();
    (reader, writer.into())
}

#[test]
fn metrics_tell_what_was_counted_as_prometheus_wants_it() {
    let network = Network::new().unwrap();
    let server = &network.server;
    let guard = Process::guard(server, &[UPLINK], &["--metrics", ADDRESS]);
    volley(&network);
    let scraped_soon = scraped_after_the_volley(server);
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
    assert_eq!(samples(&text)[DROPPED], "5");
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
}

/// Lets the kernel keep what programs cost, until it is dropped.
struct Kept;

const STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";

impl Kept {
    fn new() -> Self {
        fs::write(STATS, "1").unwrap();
        Self
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = fs::write(STATS, "0");
    }
}

#[test]
fn what_the_programs_cost_is_told_once_the_kernel_keeps_it() {
    const RUNS: &str = r#"tcpguard_program_runs_total{hook="ingress"}"#;
    const SECONDS: &str = r#"tcpguard_program_run_seconds_total{hook="ingress"}"#;
    let network = Network::new().unwrap();
    let server = &network.server;
    let guard = Process::guard(server, &[UPLINK], &["--metrics", ADDRESS]);
    assert!(!scraped(server).contains("tcpguard_program_run"));
    let _kept = Kept::new();
    volley(&network);
    let scrape = scraped_after_the_volley(server);
    let text = stdout(server.command(TCPGUARD).arg("metrics"));
    for text in [&scrape, &text] {
        assert_conventional(text);
        let found = samples(text);
        let (runs, seconds) = (&found[RUNS], &found[SECONDS]);
        assert!(runs.parse::<u64>().unwrap() >= 5, "{runs}");
        assert!(
            (0.0..1.0).contains(&seconds.parse::<f64>().unwrap()),
            "{seconds}"
        );
    }
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
}

#[test]
fn a_scrape_is_fresh_where_nothing_is_displayed_for_long() {
    let network = Network::new().unwrap();
    let server = &network.server;
    let metrics = ["--json", "--interval", "1h", "--metrics", ADDRESS];
    let guard = Process::guard(server, &[UPLINK], &metrics);
    assert_fresh(&network, guard);
}

#[test]
fn a_scrape_is_fresh_where_nobody_reads_what_is_displayed() {
    let network = Network::new().unwrap();
    let server = &network.server;
    let (_reader, stdout) = full_pipe();
    let mut run = server.command(TCPGUARD);
    run.args(["run", "--iface", UPLINK, "--json", "--interval", "10ms"]);
    let guard = Process::spawn_into(run.args(["--metrics", ADDRESS]), stdout);
    guard.wait_for("guarding uplink:");
    assert_fresh(&network, guard);
}

#[test]
fn a_guard_that_cannot_be_read_is_answered_with_the_reason() {
    let (server, _street) = cable();
    done(&server, &["attach", "--iface", "guarded"]);
    let mut run = server.command(TCPGUARD);
    run.args(["run", "--iface", "guarded", "--interval", "1h"]);
    let watch = Process::spawn(run.args(["--metrics", ADDRESS]));
    watch.wait_for("watching the guard");
    assert!(scraped(&server).contains("tcpguard_build_info"));
    done(&server, &["detach"]);
    eventually("the reason is told", || {
        let told = answer(&server, SCRAPE);
        let is_refused = told.starts_with("HTTP/1.1 503 ");
        is_refused.then(|| assert!(told.contains("was taken off"), "{told}"))
    });
    watch.signal(Signal::SIGTERM);
    let ended = watch.end();
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
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

/// What a service does: its only capability is the one that reading takes.
#[test]
fn who_only_watches_attaches_nothing_and_needs_no_capability_for_that() {
    let (server, _street) = cable();
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("watch.toml");
    let text = format!("iface = [\"guarded\"]\nobserve = true\nmetrics = \"{ADDRESS}\"\n");
    fs::write(&file, text).unwrap();
    let watch = |options: &[&str]| {
        let mut command = server.command("setpriv");
        command.args(["--bounding-set=-all,+sys_admin", "--no-new-privs", TCPGUARD]);
        command.args(["run", "--watch", "--plain", "--config"]);
        Process::spawn(command.arg(&file).args(options))
    };
    let early = watch(&[]).end();
    assert_eq!(early.status.code(), ERROR, "{early:?}");
    assert!(early.stderr.contains("nothing to watch"), "{early:?}");
    assert_clean(&server, "guarded");

    done(&server, &["attach", "--iface", "guarded"]);
    let programs = attached(&server, "guarded");
    let watching = watch(&[]);
    watching.wait_for("watching the guard on guarded");
    let answer = || {
        scraped(&server)
            .contains("tcpguard_enforcing 1")
            .then_some(())
    };
    eventually("the first reading", answer);
    let changing = watch(&["--observe"]).end();
    assert_eq!(changing.status.code(), ERROR, "{changing:?}");
    watching.signal(Signal::SIGTERM);
    assert!(watching.end().status.success());
    assert_eq!(attached(&server, "guarded"), programs);
    done(&server, &["detach"]);
}
