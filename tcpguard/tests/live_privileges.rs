//! What a running guard may still do, and that it needs no more.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{collections::BTreeMap, fs, sync::atomic::AtomicBool};

use common::{FIVE_NULLS, Process, TCPGUARD, assert_clean, attached, cable, done, eventually};
use nix::sys::signal::Signal;
use xtask::lab::network::{Network, UPLINK};

/// Its number in `linux/capability.h`.
const SYS_ADMIN: u64 = 21;

/// What the kernel says of a process, by the names of proc(5).
fn status(process: &Process) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    text.lines().filter_map(field).collect()
}

/// That a process soon has these capabilities only, and can gain no other.
#[track_caller]
fn assert_confined(process: &Process, capabilities: u64) {
    let wanted = format!("{capabilities:016x}");
    let status = eventually("it gives up what it does not need", || {
        let status = status(process);
        (status["CapEff"] == wanted).then_some(status)
    });
    assert_eq!(status["CapPrm"], wanted);
    for none in ["CapInh", "CapBnd", "CapAmb"] {
        assert_eq!(status[none], format!("{:016x}", 0), "{none}");
    }
    assert_eq!(status["NoNewPrivs"], "1");
    // Capabilities are a thread's own, so another one would have kept all of them.
    assert_eq!(status["Threads"], "1");
}

#[test]
fn a_guard_that_works_can_do_nothing_else_and_is_taken_off_all_the_same() {
    let network = Network::new().unwrap();
    let server = &network.server;
    let args = [
        "--json",
        "--interval",
        "50ms",
        "--metrics",
        "127.0.0.1:9640",
    ];
    let guard = Process::guard(server, &[UPLINK], &args);
    assert_confined(&guard, 0);
    let attacker = network.attacker().unwrap();
    attacker.send(&FIVE_NULLS, &AtomicBool::new(false)).unwrap();
    guard.wait_for(r#""flags-null":{"dropped":5,"would_drop":0}"#);
    let scrape =
        "exec 3<>/dev/tcp/127.0.0.1/9640; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    let scraped = common::stdout(server.command("bash").args(["-c", scrape]));
    assert!(scraped.contains(r#"reason="flags-null"} 5"#), "{scraped}");
    guard.signal(Signal::SIGTERM);
    let ended = guard.end();
    assert!(ended.status.success(), "{ended:?}");
    assert_clean(server, UPLINK);
}

#[test]
fn who_watches_keeps_what_looking_for_programs_takes() {
    let (server, _street) = cable();
    done(&server, &["attach", "--iface", "guarded"]);
    let mut run = server.command(TCPGUARD);
    run.args(["run", "--iface", "guarded", "--json", "--interval", "50ms"]);
    let watch = Process::spawn(&mut run);
    watch.wait_for("\"verdicts\"");
    assert_confined(&watch, 1 << SYS_ADMIN);
    // With the programs that a reload puts there.
    done(&server, &["reload", "--observe"]);
    watch.wait_for(r#""mode":"observe""#);
    watch.signal(Signal::SIGTERM);
    assert!(watch.end().status.success());
    done(&server, &["detach"]);
}

#[test]
fn three_capabilities_are_enough_and_root_is_not_needed() {
    let (server, _street) = cable();
    let mut run = server.command("setpriv");
    let three = "+bpf,+net_admin,+perfmon";
    run.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    run.args(["--inh-caps", three, "--ambient-caps", three, TCPGUARD]);
    run.args(["run", "--iface", "guarded", "--json", "--interval", "50ms"]);
    let guard = Process::spawn(&mut run);
    guard.wait_for("\"verdicts\"");
    assert_eq!(attached(&server, "guarded").len(), 2);
    let status = eventually("it gives up what it does not need", || {
        let status = status(&guard);
        (status["CapEff"] == "0000000000000000").then_some(status)
    });
    assert_eq!(status["CapPrm"], "0000000000000000");
    assert_eq!(status["CapAmb"], "0000000000000000");
    assert_eq!(status["NoNewPrivs"], "1");
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
    assert_clean(&server, "guarded");
}
