//! `upgrade` and `reload` under load: other programs on the same links and maps, and nothing is lost.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use aya::programs::{
    Xdp,
    links::{FdLink, PinnedLink},
    loaded_programs,
};
use aya_obj::programs::XdpAttachType;
use common::{
    ERROR, FIVE_NULLS, Process, TCPGUARD, attached, cable, done, eventually, pins,
    place::{PORT, assert_harmless, assert_in_state, brief, pairs},
    reading, tcpguard, two_cables,
};
use nix::sys::signal::Signal;
use serde_json::Value;
use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    self,
    attack::{Scan, Volley},
    namespace::Namespace,
    network::{Network, UPLINK},
    site::{Guarded, Site},
    traffic::Flow,
    witness::Witness,
};

/// Upgrades and reloads, one after the other.
const EXCHANGES: usize = 6;
/// Between two of them, in each direction of each connection.
const STRIDE: u64 = 1 << 20;

/// Attaches a guard to all guarded interfaces of a site.
fn attach(site: &Site) -> (&Namespace, &[&'static str]) {
    let (namespace, interfaces) = site.guarded();
    let mut args = vec!["attach", "--max-conns", "4096"];
    for interface in interfaces {
        args.extend(["--iface", interface]);
    }
    done(namespace, &args);
    (namespace, interfaces)
}

/// An upgrade, or a reload that changes nothing but the programs.
fn exchange(namespace: &Namespace, round: usize) -> String {
    const ALL: &str = "flags,handshake,state,window";
    if round.is_multiple_of(2) {
        done(namespace, &["upgrade"]).stdout
    } else {
        done(namespace, &["reload", "--enforce", ALL]).stdout
    }
}

fn programs(namespace: &Namespace, interfaces: &[&str]) -> Vec<u64> {
    let of = |interface: &&str| attached(namespace, interface);
    interfaces.iter().flat_map(of).collect()
}

fn assert_nothing_lost(reading: &Value, guarded: Guarded) {
    assert_harmless(reading, guarded);
    assert_in_state(reading, "ESTABLISHED", 2, guarded);
    assert_eq!(reading["adopted"], 0, "forgotten: {}", brief(reading));
    assert_eq!(reading["resync"], 0, "lost track: {}", brief(reading));
}

#[test]
fn connections_and_counters_go_on_through_upgrades_and_reloads() {
    for guarded in Guarded::ALL {
        let site = Site::new(guarded).unwrap();
        let (namespace, interfaces) = attach(&site);
        let pairs = pairs(&site, PORT);
        let flows = pairs.each_ref().map(|pair| Flow::start(pair).unwrap());
        let lines = ["stats", "--json", "--interval", "50ms"];
        let follower = Process::spawn(namespace.command(TCPGUARD).args(lines));
        let mut accepted = 0;
        for round in 0..EXCHANGES {
            for flow in &flows {
                flow.advance(STRIDE).unwrap();
            }
            let before = programs(namespace, interfaces);
            let told = exchange(namespace, round);
            let is_kept = told.contains("2 connections go on") || told.contains("drops all");
            assert!(is_kept, "{told}");
            let after = programs(namespace, interfaces);
            assert_eq!(before.len(), after.len());
            let is_old = |id: &u64| after.contains(id);
            assert!(!before.iter().any(is_old), "{before:?} to {after:?}");
            let reading = reading(namespace);
            assert_nothing_lost(&reading, guarded);
            let packets = reading["verdicts"]["accept"]["packets"].as_u64().unwrap();
            assert!(
                packets > accepted,
                "counters began anew: {}",
                brief(&reading)
            );
            accepted = packets;
        }
        for flow in flows {
            flow.finish().unwrap();
        }
        assert_harmless(&reading(namespace), guarded);
        follower.signal(Signal::SIGTERM);
        let ended = follower.end();
        assert!(ended.status.success(), "lost sight of it: {ended:?}");
        done(namespace, &["detach"]);
    }
}

#[test]
fn no_illegal_segment_passes_between_two_programs() {
    let network = Network::new().unwrap();
    let attacker = network.attacker().unwrap();
    let witness = Witness::start(&network.server, UPLINK, attacker.mac()).unwrap();
    done(&network.server, &["attach", "--iface", UPLINK]);
    let volley = Volley {
        scans: &[Scan {
            flags: TcpFlags::NULL,
            ports: 1..=100,
        }],
        paths: &[lab::path::Path::Ipv4],
        rounds: u32::MAX,
        pace: Duration::from_micros(100),
    };
    let stop = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let sending = scope.spawn(|| attacker.send(&volley, &stop).unwrap());
        for round in 0..EXCHANGES {
            exchange(&network.server, round);
        }
        stop.store(true, Ordering::Relaxed);
        sending.join().unwrap().total()
    });
    assert!(sent > 1000, "only {sent} were sent");
    assert_eq!(witness.settled().illegal(), 0, "of {sent}");
    let dropped = &reading(&network.server)["reasons"]["flags-null"]["dropped"];
    assert_eq!(*dropped, sent, "not all were counted");
    done(&network.server, &["detach"]);
}

#[test]
fn a_reload_changes_what_is_dropped_and_a_bad_file_changes_nothing() {
    let network = Network::new().unwrap();
    let attacker = network.attacker().unwrap();
    let server = &network.server;
    let witness = Witness::start(server, UPLINK, attacker.mac()).unwrap();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("reload.toml");
    let file = path.to_str().unwrap();
    let write = |text: &str| fs::write(&path, text).unwrap();
    let mut expected = [0, 0];
    let mut assert_guarded = |drops: bool| {
        attacker.send(&FIVE_NULLS, &AtomicBool::new(false)).unwrap();
        expected[usize::from(!drops)] += 5;
        assert_eq!(witness.settled().illegal(), expected[1]);
        let counts = &reading(server)["reasons"]["flags-null"];
        assert_eq!(counts["dropped"], expected[0]);
        assert_eq!(counts["would_drop"], expected[1]);
    };

    write("iface = [\"uplink\"]\nmax-conns = 4096\n");
    assert!(
        done(server, &["check-config", file])
            .stdout
            .contains("guards uplink; drops all")
    );
    done(server, &["attach", "--config", file]);
    assert_guarded(true);
    write("observe = true\n");
    let told = done(server, &["reload", "--config", file]).stdout;
    assert_eq!(told, "reloaded uplink: drops nothing (--observe)\n");
    assert_guarded(false);
    let told = done(server, &["reload", "--config", file, "--enforce", "flags"]).stdout;
    assert_eq!(told, "reloaded uplink: drops flags\n");
    assert_guarded(true);

    let before = programs(server, &[UPLINK]);
    for (text, words) in [
        ("observ = true", ["reload.toml:1:1:", "`observe`"]),
        (
            "observe = true\nmax-conns = 64",
            ["max-conns", "tcpguard detach"],
        ),
        (
            "observe = true\nmode = \"generic\"",
            ["mode", "stays as it is"],
        ),
        (
            "observe = true\ningress-only = true",
            ["ingress-only", "stays"],
        ),
        ("observe = true\niface = [\"lo\"]", ["lo", "attach"]),
    ] {
        write(text);
        let ended = tcpguard(server, &["reload", "--config", file]);
        assert_eq!(ended.status.code(), ERROR, "{ended:?}");
        for word in words {
            assert!(ended.stderr.contains(word), "no {word:?}: {ended:?}");
        }
    }
    let ended = tcpguard(server, &["reload"]);
    assert!(ended.stderr.contains("nothing to change"), "{ended:?}");
    assert_eq!(programs(server, &[UPLINK]), before, "something was changed");
    assert_guarded(true);
    done(server, &["detach"]);
}

#[test]
fn a_change_on_trial_is_kept_only_if_it_is_confirmed() {
    let (server, _street) = cable();
    done(
        &server,
        &["attach", "--iface", "guarded", "--max-conns", "4096"],
    );
    let mode = || reading(&server)["mode"].as_str().unwrap().to_owned();
    let former = programs(&server, &["guarded"]);
    let trial = |limit| trial(&server, limit);
    let assert_taken_back = |trial: Process| {
        assert_taken_back(trial);
        assert_eq!(mode(), "enforce");
        // Not others that do the same: the release is as before, too.
        assert_eq!(programs(&server, &["guarded"]), former);
    };
    let stopped = trial("3s");
    stopped.signal(Signal::SIGTSTP);
    assert_taken_back(stopped);
    // The session is cut; a signal that others take for a wish to reload.
    for no in [Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR2] {
        let cut = trial("20s");
        cut.signal(no);
        assert_taken_back(cut);
    }

    let alone = trial("20s");
    for other in [&["reload", "--enforce", "flags"][..], &["upgrade"]] {
        let ended = tcpguard(&server, other);
        assert_eq!(ended.status.code(), ERROR, "{ended:?}");
        assert!(ended.stderr.contains("on trial"), "{ended:?}");
    }
    // Taken off is taken off, and another guard is not this one.
    done(&server, &["detach"]);
    done(
        &server,
        &["attach", "--iface", "guarded", "--enforce", "flags"],
    );
    alone.signal(Signal::SIGTERM);
    let ended = alone.end();
    assert!(ended.stderr.contains("left alone"), "{ended:?}");
    assert_eq!(mode(), "enforce");

    let confirmed = trial("10m");
    confirmed.signal(Signal::SIGUSR1);
    let ended = confirmed.end();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(mode(), "observe");
    done(&server, &["detach"]);
}

/// A reload that is not confirmed yet.
fn trial(namespace: &Namespace, limit: &str) -> Process {
    let args = ["reload", "--observe", "--confirm", limit];
    let trial = Process::spawn(namespace.command(TCPGUARD).args(args));
    trial.wait_for("on trial");
    assert_eq!(reading(namespace)["mode"], "observe");
    trial
}

#[track_caller]
fn assert_taken_back(trial: Process) {
    let ended = trial.end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("as before"), "{ended:?}");
}

/// A guard of two interfaces.
fn attach_to_both() -> (Namespace, Namespace) {
    let (server, street) = two_cables();
    let both = ["attach", "--iface", "guarded", "--iface", "other"];
    done(&server, &both);
    (server, street)
}

#[test]
fn a_change_is_taken_back_where_it_can_be() {
    let (server, _street) = attach_to_both();
    let former = programs(&server, &["guarded"]);
    let cut = trial(&server, "20s");
    server.configure("link delete other").unwrap();
    cut.signal(Signal::SIGTERM);
    assert_taken_back(cut);
    assert_eq!(programs(&server, &["guarded"]), former);
    assert_eq!(reading(&server)["mode"], "enforce");
    done(&server, &["detach"]);
}

#[test]
fn what_a_killed_exchange_leaves_is_one_guard() {
    let (server, _street) = attach_to_both();
    let former = programs(&server, &["guarded"])[0];
    let mut loaded = loaded_programs().map(Result::unwrap);
    let former = loaded.find(|it| u64::from(it.id()) == former).unwrap();
    let attach_type = XdpAttachType::Interface;
    let mut former = Xdp::from_program_info(former, "former".into(), attach_type).unwrap();
    done(&server, &["upgrade"]);
    let mut pinned = fs::read_dir(pins(&server))
        .unwrap()
        .map(|it| it.unwrap().path());
    let is_ingress = |it: &PathBuf| it.to_string_lossy().ends_with("-ingress");
    let ingress = pinned.find(is_ingress).unwrap();
    let link: FdLink = PinnedLink::from_pin(ingress).unwrap().into();
    former.attach_to_link(link.try_into().unwrap()).unwrap();
    let both = programs(&server, &["guarded", "other"]);
    assert_eq!(both.len(), 4);
    assert_ne!(both[0], both[2], "both have the same program");

    let interfaces = reading(&server)["interfaces"].clone();
    assert_eq!(interfaces.as_array().unwrap().len(), 2, "{interfaces}");
    assert!(
        done(&server, &["metrics"])
            .stdout
            .contains("interface=\"other\"")
    );
    // Each with the program that it really has.
    let status = common::json(server.command(TCPGUARD).args(["status", "--json"]));
    let guards = status["guards"].as_array().unwrap();
    let judges: Vec<_> = guards.iter().map(|it| &it["ingress"]["program"]).collect();
    assert_eq!(judges.len(), 2, "{status}");
    for judge in judges {
        let judge = judge.as_u64().unwrap();
        assert!(both.contains(&judge), "{status}");
    }
    let watching = ["run", "--iface", "guarded", "--json", "--duration", "100ms"];
    done(&server, &watching);

    assert_eq!(done(&server, &["upgrade"]).stdout.lines().count(), 1);
    let both = programs(&server, &["guarded", "other"]);
    assert_eq!(both[0], both[2], "they are not joined");
    done(&server, &["detach"]);
}

#[test]
fn an_upgrade_that_is_killed_leaves_a_guard_at_work() {
    const STEP: Duration = Duration::from_millis(120);
    let site = Site::new(Guarded::Server).unwrap();
    let (namespace, interfaces) = attach(&site);
    let pairs = pairs(&site, PORT);
    let flows = pairs.each_ref().map(|pair| Flow::start(pair).unwrap());
    let mut swapped = 0;
    for step in 0..20 {
        let before = programs(namespace, interfaces);
        let upgrade = Process::spawn(namespace.command(TCPGUARD).arg("upgrade"));
        thread::sleep(STEP * step);
        upgrade.signal(Signal::SIGKILL);
        upgrade.end();
        let after = programs(namespace, interfaces);
        assert_eq!(before.len(), after.len(), "a hook was lost");
        swapped += usize::from(before != after);
        for flow in &flows {
            flow.advance(STRIDE).unwrap();
        }
        assert_nothing_lost(&reading(namespace), Guarded::Server);
    }
    assert!(swapped > 0, "none came so far");
    done(namespace, &["upgrade"]);
    let handover = Path::new("/sys/fs/bpf/tcpguard/handover");
    // Guards of other tests may be in the middle of theirs.
    eventually("no map stays pinned", || {
        (!fs::exists(handover).unwrap()).then_some(())
    });
    for flow in flows {
        flow.finish().unwrap();
    }
    assert_harmless(&reading(namespace), Guarded::Server);
    done(namespace, &["detach"]);
}

#[test]
fn a_guard_of_a_process_is_not_upgraded() {
    let site = Site::new(Guarded::Server).unwrap();
    let guard = common::place::guard(&site, &[]);
    let (namespace, interfaces) = site.guarded();
    let before = programs(namespace, interfaces);
    let ended = tcpguard(namespace, &["upgrade"]);
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
    assert!(ended.stderr.contains("tcpguard run"), "{ended:?}");
    assert_eq!(programs(namespace, interfaces), before, "it was changed");
    guard.stop().unwrap();
}
