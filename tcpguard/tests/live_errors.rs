//! Wrong input and refusals: each has its own message and its way out, and leaves nothing attached.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::process::Command;

use common::{ERROR, Process, TCPGUARD, assert_clean, attached, cable, ours, stdout, xdp_program};
use nix::sys::signal::Signal;
use tcpguard_common::reason::{Group, Reason};
use xtask::lab::namespace::Namespace;

/// Runs to the end what must fail, and returns what it says.
#[track_caller]
fn refusal(command: &mut Command) -> String {
    let ended = Process::spawn(command).end();
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
    assert!(ended.stderr.starts_with("error: "), "{ended:?}");
    assert_eq!(ended.stdout, "", "nothing was shown: {ended:?}");
    ended.stderr
}

/// `tcpguard run` that must fail.
#[track_caller]
fn refused(namespace: &Namespace, interface: &str, args: &[&str]) -> String {
    let mut command = namespace.command(TCPGUARD);
    // The time is a limit for what should not have begun.
    command.args(["run", "--duration", "2s", "--iface", interface]);
    refusal(command.args(args))
}

#[track_caller]
fn assert_says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
}

#[test]
fn an_unknown_interface_is_answered_with_those_there_are() {
    let (server, _street) = cable();
    let message = refused(&server, "eth7", &["--iface", "guarded"]);
    assert_says(&message, &["no interface eth7", "lo", "guarded"]);
    assert_clean(&server, "guarded");
}

#[test]
fn without_root_the_missing_capabilities_are_named() {
    let (server, _street) = cable();
    let mut command = server.command("setpriv");
    command.args(["--reuid", "65534", "--clear-groups", TCPGUARD]);
    let message = refusal(command.args(["run", "--iface", "guarded"]));
    let capabilities = ["CAP_NET_ADMIN", "CAP_PERFMON", "CAP_BPF", "root"];
    assert_says(&message, &capabilities);
    assert_clean(&server, "guarded");
}

#[test]
fn one_missing_capability_is_named_alone() {
    let (server, _street) = cable();
    let mut command = server.command("setpriv");
    command.args(["--bounding-set", "-net_admin", TCPGUARD]);
    let message = refusal(command.args(["run", "--iface", "guarded"]));
    assert_says(&message, &["CAP_NET_ADMIN"]);
    assert!(!message.contains("CAP_BPF"), "{message}");
    assert_clean(&server, "guarded");
}

#[test]
fn an_old_kernel_is_told_the_minimum() {
    let (server, _street) = cable();
    let mut command = server.command("setarch");
    command.args(["--uname-2.6", TCPGUARD, "run", "--iface", "guarded"]);
    let message = refusal(&mut command);
    assert_says(&message, &["2.6.", "5.18"]);
    assert_clean(&server, "guarded");
}

#[test]
fn a_second_guard_names_the_first_which_works_on() {
    let (server, _street) = cable();
    let first = Process::guard(&server, &["guarded"], &["--json", "--interval", "50ms"]);
    let before = attached(&server, "guarded");
    let id = xdp_program(&server, "guarded").unwrap();
    let message = refused(&server, "guarded", &[]);
    assert_says(&message, &["tcpguard_ingres", &format!("id {id}")]);
    assert_eq!(attached(&server, "guarded"), before);
    first.wait_for("\"verdicts\"");
    first.signal(Signal::SIGTERM);
    assert!(first.end().status.success());
}

#[test]
fn a_foreign_program_is_named_and_stays() {
    let (server, _street) = cable();
    let object = concat!(env!("OUT_DIR"), "/tcpguard-export.bpf.o");
    let program = common::Pinned::load(object);
    let ingress = program.path("tcpguard_ingress");
    let mut attach = server.command("bpftool");
    attach.args(["net", "attach", "xdpgeneric", "pinned"]);
    stdout(attach.arg(ingress).args(["dev", "guarded"]));
    let foreign = attached(&server, "guarded");
    assert_eq!(foreign.len(), 1);
    for mode in ["auto", "native", "generic"] {
        let message = refused(&server, "guarded", &["--mode", mode]);
        assert_says(
            &message,
            &["tcpguard_ingres", &format!("id {}", foreign[0])],
        );
        assert_eq!(attached(&server, "guarded"), foreign, "{mode}");
    }
}

#[test]
fn one_occupied_interface_of_two_leaves_the_other_alone() {
    let (server, _street) = cable();
    let first = Process::guard(&server, &["lo"], &[]);
    refused(&server, "guarded", &["--iface", "lo"]);
    assert_clean(&server, "guarded");
    first.signal(Signal::SIGTERM);
    assert!(first.end().status.success());
}

/// A veth whose peer sends on more queues than it can receive from, which its driver refuses.
fn narrow_veth() -> Namespace {
    let server = ours("server");
    let ends = "numrxqueues 1 numtxqueues 1 type veth peer name street numrxqueues 2 numtxqueues 2";
    let script = format!("link add guarded {ends}\nlink set guarded up\nlink set street up\n");
    server.configure(&script).unwrap();
    server
}

/// What the driver says of it.
const NARROW: &str = "XDP expects number of rx queues not less than peer tx queues";

#[test]
fn native_mode_refused_by_the_driver_is_told_in_its_own_words() {
    let server = narrow_veth();
    let message = refused(&server, "guarded", &["--mode", "native"]);
    assert_says(&message, &["guarded", NARROW, "queues", "--mode generic"]);
    assert_clean(&server, "guarded");
}

#[test]
fn native_mode_on_loopback_is_refused() {
    let server = ours("server");
    let message = refused(&server, "lo", &["--mode", "native"]);
    assert_says(&message, &["lo", "does not support XDP", "--mode generic"]);
    assert_clean(&server, "lo");
}

#[test]
fn auto_mode_says_why_it_falls_back_to_generic_and_works() {
    for (server, interface, words) in [
        (narrow_veth(), "guarded", NARROW),
        (ours("server"), "lo", "does not support XDP"),
    ] {
        let guard = Process::guard(&server, &[interface], &["--json", "--interval", "50ms"]);
        let reading = guard.wait_for("\"verdicts\"");
        assert_says(&reading, &["\"ingress\":\"generic\""]);
        guard.signal(Signal::SIGTERM);
        let ended = guard.end();
        assert!(ended.status.success(), "{ended:?}");
        assert_says(&ended.stderr, &["generic XDP", words]);
        assert_clean(&server, interface);
    }
}

#[test]
fn an_unknown_reason_is_answered_with_groups_and_reasons() {
    let (server, _street) = cable();
    let message = refused(&server, "guarded", &["--enforce", "flags,flag-nul"]);
    assert_says(&message, &["\"flag-nul\""]);
    assert_says(&message, &Group::ALL.map(Group::as_str));
    assert_says(&message, &Reason::ALL.map(Reason::as_str));
    assert_clean(&server, "guarded");
}

#[test]
fn contradictions_are_refused() {
    let (server, _street) = cable();
    let contradictions: [(&[&str], &[&str]); 4] = [
        (&["--json", "--plain"], &["--json", "--plain"]),
        (&["--observe", "--enforce", "flags"], &["--observe"]),
        (&["--interval", "0s"], &["--interval", "more than zero"]),
        (&["--interval", "1ms"], &["--interval", "10ms"]),
    ];
    for (args, words) in contradictions {
        assert_says(&refused(&server, "guarded", args), words);
        assert_clean(&server, "guarded");
    }
}

#[test]
fn the_live_table_is_refused_where_there_is_no_terminal() {
    let (server, _street) = cable();
    let mut command = server.command(TCPGUARD);
    let ended = Process::spawn(command.args(["run", "--iface", "guarded", "--tui"])).end();
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
    assert_says(&ended.stderr, &["error: ", "terminal", "--plain"]);
    assert_clean(&server, "guarded");
}
