//! SIGHUP to `tcpguard run`: another policy from its file, without a gap.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{collections::BTreeSet, env, fs, path::PathBuf, process, sync::atomic::AtomicBool};

use common::{FIVE_NULLS, Process, TCPGUARD, assert_clean, cable, eventually};
use nix::sys::signal::Signal;
use xtask::lab::{
    attack::Attacker,
    namespace::Namespace,
    network::{Network, UPLINK},
};

/// `NET_ADMIN`, `PERFMON` and `BPF`, by their numbers in `linux/capability.h`.
const LOADS: u64 = 1 << 12 | 1 << 38 | 1 << 39;

/// A file of settings, which goes with the test.
struct Settings(PathBuf);

impl Settings {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("tcpguard-sighup-{name}-{}.toml", process::id());
        let settings = Self(env::temp_dir().join(name));
        settings.say(text);
        settings
    }

    fn say(&self, text: &str) {
        fs::write(&self.0, text).unwrap();
    }

    /// A guard that has them, and no terminal.
    fn guard(&self, namespace: &Namespace, interface: &str, args: &[&str]) -> Process {
        let file = self.0.to_str().unwrap();
        spawn(namespace, interface, &[&["--config", file], args].concat())
    }
}

fn spawn(namespace: &Namespace, interface: &str, args: &[&str]) -> Process {
    let mut run = namespace.command("setsid");
    run.args([TCPGUARD, "run", "--iface", interface, "--json"]);
    run.args(["--interval", "50ms"]).args(args);
    // Who is denied must not be who types.
    run.env("SSH_CONNECTION", "192.0.2.7 40000 192.0.2.1 22");
    let guard = Process::spawn(&mut run);
    guard.wait_for("\"verdicts\"");
    guard
}

impl Drop for Settings {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Asks for a reload, and returns what is said of it.
fn reloaded(guard: &Process) -> String {
    guard.signal(Signal::SIGHUP);
    guard.wait_for("reloaded")
}

/// The kernel's numbers of the links that a process holds.
fn links(process: &Process) -> BTreeSet<String> {
    let files = fs::read_dir(format!("/proc/{}/fdinfo", process.id())).unwrap();
    let told = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let link = |told: String| {
        Some(
            told.lines()
                .find(|it| it.starts_with("link_id:"))?
                .to_owned(),
        )
    };
    told.filter_map(link).collect()
}

fn send(attacker: &Attacker) {
    attacker.send(&FIVE_NULLS, &AtomicBool::new(false)).unwrap();
}

#[test]
fn a_guard_takes_over_its_file_and_keeps_what_it_has_counted() {
    let network = Network::new().unwrap();
    let attacker = network.attacker().unwrap();
    let server = &network.server;
    let settings = Settings::new("kept", "observe = true");
    let guard = settings.guard(server, UPLINK, &["--max-conns", "4096"]);
    send(&attacker);
    guard.wait_for(r#""flags-null":{"dropped":0,"would_drop":5}"#);
    let links = links(&guard);

    settings.say("inbound = \"closed\"\nsyn-limit = 7");
    let told = reloaded(&guard);
    assert!(
        told.starts_with("reloaded uplink: drops all")
            && told.ends_with("inbound closed, at most 7/s"),
        "{told}"
    );
    guard.wait_for(r#""mode":"enforce""#);
    send(&attacker);
    guard.wait_for(r#""flags-null":{"dropped":5,"would_drop":5}"#);
    // There was no moment without one.
    assert_eq!(links.len(), 2);
    assert_eq!(self::links(&guard), links);

    settings.say("enforce = [\"window\"]");
    reloaded(&guard);
    send(&attacker);
    guard.wait_for(r#""flags-null":{"dropped":5,"would_drop":10}"#);
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
    assert_clean(server, UPLINK);
}

#[test]
fn what_is_wrong_or_cannot_be_changes_nothing_and_is_told() {
    let (server, _street) = cable();
    let settings = Settings::new("wrong", "");
    let guard = settings.guard(&server, "guarded", &[]);
    let denied = Settings::new("denied", "192.0.2.0/24\n");
    let own_session = format!("denied = {:?}", denied.0);
    for (text, wrong) in [
        ("observe = tru", ":1:11: "),
        ("obseve = true", "observe"),
        ("max-conns = 4096", "max-conns cannot be changed"),
        ("mode = \"generic\"", "mode cannot be changed"),
        ("denied = \"nowhere.txt\"", "nowhere.txt"),
        (&own_session, "this session comes by SSH from 192.0.2.7"),
    ] {
        settings.say(text);
        let told = reloaded(&guard);
        assert!(
            told.starts_with("not reloaded: ") && told.contains(wrong),
            "{text}: {told}"
        );
    }
    settings.say("");
    assert!(reloaded(&guard).contains("drops all"));
    guard.wait_for(r#""mode":"enforce""#);
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
}

#[test]
fn what_it_takes_to_load_is_kept_and_not_in_force() {
    let (server, _street) = cable();
    let settings = Settings::new("kept-capabilities", "");
    let guard = settings.guard(&server, "guarded", &[]);
    let is = |name: &str, set: u64| {
        let status = fs::read_to_string(format!("/proc/{}/status", guard.id())).unwrap();
        status.contains(&format!("{name}:\t{set:016x}\n"))
    };
    for reload in [false, true] {
        if reload {
            reloaded(&guard);
        }
        eventually("nothing is in force", || is("CapEff", 0).then_some(()));
        assert!(is("CapPrm", LOADS) && is("CapBnd", 0) && is("CapInh", 0));
    }
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
}

#[test]
fn without_a_file_it_ends() {
    let (server, _street) = cable();
    let guard = spawn(&server, "guarded", &[]);
    guard.signal(Signal::SIGHUP);
    assert!(guard.end().status.success());
    assert_clean(&server, "guarded");
}
