//! Protection that outlives its process: `attach` and `detach`, and what a kill leaves between them.

mod common;

use std::{
    fs::{self, DirBuilder},
    io::{Read as _, Write as _},
    iter,
    net::{TcpListener, TcpStream},
    os::unix::fs::DirBuilderExt as _,
    path::{self, PathBuf},
    process::Command,
    sync::atomic::AtomicBool,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aya::{
    EbpfLoader,
    programs::{Xdp, XdpMode, links::FdLink},
};
use common::{
    ERROR, Process, TCPGUARD, assert_clean, attached, cable, done, eventually, ours, own_bpffs,
    pins, tcpguard, two_cables,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tcpguard_common::{
    abi,
    flags::TcpFlags,
    reason::{Group, Reason},
};
use xtask::lab::{
    attack::{Scan, Volley},
    link::{VethOptions, veth},
    namespace::Namespace,
    network::{Network, UPLINK},
    path::Path,
    witness::Witness,
};

const ILLEGAL: [TcpFlags; 2] = [TcpFlags::NULL, TcpFlags::FIN];

fn illegal_scans() -> [Scan; 2] {
    ILLEGAL.map(|flags| Scan {
        flags,
        ports: 1..=20,
    })
}

/// Five of each.
fn volley(scans: &[Scan]) -> Volley<'_> {
    Volley {
        scans,
        paths: &[Path::Ipv4],
        rounds: 5,
        pace: Duration::from_millis(1),
    }
}

#[track_caller]
fn refused(namespace: &Namespace, args: &[&str]) -> String {
    let ended = tcpguard(namespace, args);
    assert_eq!(ended.status.code(), ERROR, "{args:?}: {ended:?}");
    ended.stderr
}

/// The kernel takes a program off a moment after its last file has gone.
fn assert_soon_clean(namespace: &Namespace, interface: &str) {
    let left = || attached(namespace, interface).is_empty().then_some(());
    eventually("the programs are taken off", left);
    assert!(!pins(namespace).exists(), "an empty directory stays");
}

#[test]
fn what_is_attached_protects_until_it_is_detached_and_harms_no_connection() {
    let network = Network::new().unwrap();
    let attacker = network.attacker().unwrap();
    let witness = Witness::start(&network.server, UPLINK, attacker.mac()).unwrap();
    let service = Network::service(Path::Ipv4, 7);
    let listener = network
        .server
        .within(|| TcpListener::bind(service).unwrap());
    let listener = listener.unwrap();
    let client = network
        .client
        .within(|| TcpStream::connect(service).unwrap());
    let (mut client, mut server) = (client.unwrap(), listener.accept().unwrap().0);
    let mut talk = || {
        client.write_all(b"still there?").unwrap();
        server.read_exact(&mut [0; 12]).unwrap();
        server.write_all(b"yes").unwrap();
        client.read_exact(&mut [0; 3]).unwrap();
    };
    let scans = illegal_scans();
    let volley = volley(&scans);
    let mut reached = 0;
    for _ in 0..3 {
        talk();
        let told = done(&network.server, &["attach", "--iface", UPLINK]);
        assert!(told.stderr.contains("guarding uplink: native"), "{told:?}");
        attacker.send(&volley, &AtomicBool::new(false)).unwrap();
        assert_eq!(witness.settled().illegal(), reached, "it was not protected");
        talk();
        let listed = done(&network.server, &["conns", "--json"]).stdout;
        assert!(listed.contains("\"ESTABLISHED\""), "{listed}");
        let told = done(&network.server, &["detach"]);
        assert_eq!(
            told.stdout,
            "detached uplink: ingress\ndetached uplink: egress\n"
        );
        assert_soon_clean(&network.server, UPLINK);
        talk();
        attacker.send(&volley, &AtomicBool::new(false)).unwrap();
        reached += 10;
        assert_eq!(witness.settled().illegal(), reached, "it was still guarded");
    }
}

#[test]
fn a_second_guard_is_told_of_the_first_and_how_to_take_it_off() {
    let (server, _street) = cable();
    done(&server, &["attach", "--iface", "guarded"]);
    let first = attached(&server, "guarded");
    assert_eq!(first.len(), 2, "ingress and egress");
    for command in [&["attach", "--iface", "guarded"], RUN_OBSERVING] {
        let message = refused(&server, command);
        for word in ["guarded already", "tcpguard detach --iface guarded"] {
            assert!(message.contains(word), "no {word:?} in {message}");
        }
    }
    assert_eq!(attached(&server, "guarded"), first, "it was changed");
    done(&server, &["detach", "--iface", "guarded"]);
    assert_soon_clean(&server, "guarded");
}

const RUN_OBSERVING: &[&str] = &["run", "--iface", "guarded", "--observe"];

#[test]
fn stats_and_run_read_what_is_attached_and_leave_it() {
    let network = Network::new().unwrap();
    let attacker = network.attacker().unwrap();
    let server = &network.server;
    done(server, &["attach", "--iface", UPLINK]);
    let programs = attached(server, UPLINK);
    let scans = illegal_scans();
    let volley = volley(&scans);
    attacker.send(&volley, &AtomicBool::new(false)).unwrap();

    let stats = || common::reading(server);
    let dropped = |reading: &Value| reading["reasons"]["flags-null"]["dropped"].clone();
    eventually("all of them are counted", || {
        (dropped(&stats()) == 5).then_some(())
    });
    let read = stats();
    assert_eq!(read["interfaces"][0]["name"], UPLINK);
    assert_eq!(read["mode"], "enforce");
    assert!(read["uptime_s"].as_f64().unwrap() > 0.0, "{read}");
    let told = done(server, &["stats", "--iface", UPLINK]).stdout;
    assert!(
        told.starts_with("tcpguard has guarded uplink for"),
        "{told}"
    );
    let unknown = refused(server, &["stats", "--iface", "lo"]);
    assert!(
        unknown.contains("lo") && unknown.contains(UPLINK),
        "{unknown}"
    );

    let short = ["run", "--iface", UPLINK, "--json", "--duration", "100ms"];
    let watched = done(server, &short);
    assert!(watched.stderr.contains("it stays"), "{watched:?}");
    let last = serde_json::from_str(watched.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(dropped(&last), 5);
    assert_eq!(attached(server, UPLINK), programs, "it was changed");

    let lines = ["stats", "--json", "--interval", "20ms"];
    let follower = Process::spawn(server.command(TCPGUARD).args(lines));
    thread::sleep(Duration::from_millis(300));
    done(server, &["detach"]);
    let ended = follower.end();
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
    assert!(ended.stdout.lines().count() > 1, "{ended:?}");
    assert!(ended.stderr.contains("taken off"), "{ended:?}");
}

#[test]
fn a_guard_of_another_version_is_named_and_not_misread() {
    let (server, _street) = cable();
    let mut object = fs::read(concat!(env!("OUT_DIR"), "/tcpguard.bpf.o")).unwrap();
    let ours = abi::CONFIG_MAP.as_bytes();
    let theirs = format!("{:0<1$}", abi::CONFIG_MAPS, ours.len());
    let places: Vec<_> = (0..object.len() - ours.len())
        .filter(|at| object[*at..].starts_with(ours))
        .collect();
    for at in places {
        object[at..at + ours.len()].copy_from_slice(theirs.as_bytes());
    }
    let mut ebpf = EbpfLoader::new().btf(None).load(&object).unwrap();
    let program: &mut Xdp = ebpf
        .program_mut(abi::INGRESS_PROGRAM)
        .unwrap()
        .try_into()
        .unwrap();
    program.load().unwrap();
    let attach = || program.attach("guarded", XdpMode::Driver).unwrap();
    let link = server.within(attach).unwrap();
    let link = program.take_link(link).unwrap();

    let told = done(&server, &["status"]).stdout;
    assert!(
        told.contains("another version") && told.contains("ABI 0"),
        "{told}"
    );
    for command in ["stats", "conns"] {
        let message = refused(&server, &[command]);
        assert!(message.contains("guard on guarded"), "{message}");
        assert!(message.contains("another version"), "{message}");
    }
    let before = attached(&server, "guarded");
    let link = FdLink::try_from(link).unwrap();
    let directory = pins(&server);
    let mut private = DirBuilder::new();
    private
        .mode(0o700)
        .recursive(true)
        .create(&directory)
        .unwrap();
    let index = server.within(|| nix::net::if_::if_nametoindex("guarded").unwrap());
    let pin = link.pin(directory.join(format!("{}-ingress", index.unwrap())));
    drop(pin.unwrap());
    let message = refused(&server, &["upgrade"]);
    for word in [
        "another version",
        "ABI 0",
        "tcpguard detach",
        "tcpguard attach",
    ] {
        assert!(message.contains(word), "no {word:?} in {message}");
    }
    assert_eq!(attached(&server, "guarded"), before, "it was changed");
    done(&server, &["detach"]);
}

#[test]
fn status_tells_what_is_guarded_by_whom_and_what_is_dead() {
    own_bpffs();
    let (server, street) = cable();
    let status = || common::json(server.command(TCPGUARD).args(["status", "--json"]));
    assert_eq!(status(), json!({ "guards": [], "dead_pins": [] }));

    let guard = Process::guard(&server, &["guarded"], &["--mode", "generic"]);
    let running = &status()["guards"][0];
    assert_eq!(running["held_by"], "process");
    assert_eq!(running["ingress"]["mode"], "generic");
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());

    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let options = [
        "--enforce",
        "window",
        "--max-conns",
        "4096",
        "--learn",
        "3s",
    ];
    done(
        &server,
        &[&["attach", "--iface", "guarded"], &options[..]].concat(),
    );
    let told = status();
    let [ref pinned] = told["guards"].as_array().unwrap()[..] else {
        panic!("one guard: {told}")
    };
    assert_eq!(pinned["interface"], "guarded");
    assert_eq!(pinned["held_by"], "attach");
    // The kernel counts from its start, and the wall clock may have been set since.
    let age = pinned["since"].as_f64().unwrap() - before.as_secs_f64();
    assert!((-2.0..20.0).contains(&age), "{age} s after it began");
    let programs = ["ingress", "egress"].map(|hook| pinned[hook]["program"].as_u64().unwrap());
    assert_eq!(programs.to_vec(), attached(&server, "guarded"));
    assert_eq!(pinned["ingress"]["mode"], "native");
    assert_eq!(pinned["egress"]["mode"], "tcx");
    let shown = Command::new("bpftool")
        .args(["--json", "prog", "show", "id", &programs[0].to_string()])
        .output();
    let shown: Value = serde_json::from_slice(&shown.unwrap().stdout).unwrap();
    assert_eq!(pinned["ingress"]["tag"], shown["tag"]);

    assert_eq!(pinned["release"], env!("CARGO_PKG_VERSION"));
    let window: Vec<_> = Reason::ALL
        .into_iter()
        .filter(|reason| reason.group() == Group::Window)
        .map(Reason::as_str)
        .collect();
    let config = json!({
        "drop": window,
        "max_conns": 4096,
        "learn_s": 3.0,
        "transit": false,
        "ingress_only": false,
        "inbound": "open",
        "syn_limit": null,
        "syn_limit_source": null,
        "syn_limit_prefix": [32, 64],
        "syn_cookies": "off",
        "prefixes": 0,
    });
    assert_eq!(pinned["config"], config);

    let listed = done(&server, &["status"]).stdout;
    assert!(
        listed.contains("drops window; inbound open; up to 4 096"),
        "{listed}"
    );
    assert!(
        listed.contains("guarded: held by `tcpguard attach`"),
        "{listed}"
    );
    server.configure("link del guarded\n").unwrap();
    let told = status();
    assert_eq!(told["guards"], json!([]));
    assert_eq!(told["dead_pins"].as_array().unwrap().len(), 2, "{told}");
    done(&server, &["detach"]);
    assert_eq!(status(), json!({ "guards": [], "dead_pins": [] }));
    drop(street);
}

#[test]
fn detach_says_what_it_cannot_take_off_and_why() {
    let (server, _street) = cable();
    let nothing = done(&server, &["detach"]).stdout;
    assert!(nothing.contains("nothing is attached"), "{nothing}");
    let unknown = refused(&server, &["detach", "--iface", "eth7"]);
    assert!(
        unknown.contains("eth7") && unknown.contains("guarded"),
        "{unknown}"
    );
    let bare = refused(&server, &["detach", "--iface", "guarded"]);
    assert!(bare.contains("nothing is attached to guarded"), "{bare}");

    let guard = Process::guard(&server, &["guarded"], &["--plain"]);
    let running = refused(&server, &["detach", "--iface", "guarded"]);
    assert!(running.contains("ends with its process"), "{running}");
    assert_eq!(attached(&server, "guarded").len(), 2, "it was taken off");
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
}

#[test]
fn if_one_of_two_interfaces_is_taken_neither_stays_attached() {
    let (server, _street) = two_cables();
    done(&server, &["attach", "--iface", "other"]);
    let both = ["attach", "--iface", "guarded", "--iface", "other"];
    refused(&server, &both);
    assert_clean(&server, "guarded");
    assert_eq!(attached(&server, "other").len(), 2);
    done(&server, &["detach"]);
    done(&server, &both);
    done(&server, &["detach", "--iface", "guarded"]);
    assert_eq!(attached(&server, "other").len(), 2, "only one was named");
    done(&server, &["detach"]);
    assert_soon_clean(&server, "other");
}

#[test]
fn whenever_attach_is_killed_detach_leaves_nothing_and_attach_works_again() {
    let (server, _street) = cable();
    for round in 0..20 {
        let mut command = server.command(TCPGUARD);
        let attach = Process::spawn(command.args(["attach", "--iface", "guarded"]));
        // From before it loads anything to after it has ended, on a machine as fast as this one.
        thread::sleep(Duration::from_millis(60 * round));
        attach.signal(Signal::SIGKILL);
        drop(attach.end());
        done(&server, &["detach"]);
        assert_soon_clean(&server, "guarded");
    }
    done(&server, &["attach", "--iface", "guarded"]);
    assert_eq!(attached(&server, "guarded").len(), 2);
    done(&server, &["detach"]);
}

#[test]
fn what_a_deleted_interface_leaves_is_removed_by_the_next_command() {
    own_bpffs();
    for command in [&["detach"][..], &["attach", "--iface", "guarded"]] {
        let (server, street) = cable();
        done(&server, &["attach", "--iface", "guarded"]);
        server.configure("link del guarded\n").unwrap();
        assert_eq!(fs::read_dir(pins(&server)).unwrap().count(), 2);
        let ends = ((&server, "guarded"), (&street, "street"));
        veth(ends.0, ends.1, VethOptions::default()).unwrap();
        done(&server, command);
        done(&server, &["detach"]);
        assert_soon_clean(&server, "guarded");
    }
}

#[test]
fn what_a_deleted_namespace_leaves_is_removed_from_elsewhere_if_all_is_said() {
    own_bpffs();
    let elsewhere = ours("elsewhere");
    let left = left_by_a_namespace();
    let nothing = done(&elsewhere, &["detach"]).stdout;
    assert!(nothing.contains("nothing is attached"), "{nothing}");
    assert_eq!(fs::read_dir(&left).unwrap().count(), 2);
    let told = done(&elsewhere, &["detach", "--all"]).stdout;
    let removed = format!("removed {}/", left.display());
    assert_eq!(told.matches(&removed).count(), 2, "{told}");
    assert!(
        told.contains("-ingress\n") && told.contains("-egress\n"),
        "{told}"
    );
    assert!(!left.exists());
}

#[test]
fn what_a_deleted_namespace_leaves_is_removed_by_the_next_attach_anywhere() {
    own_bpffs();
    let (elsewhere, _street) = cable();
    let left = left_by_a_namespace();
    // A namespace goes in its own time.
    eventually("nothing is left", || {
        done(&elsewhere, &["attach", "--iface", "guarded"]);
        done(&elsewhere, &["detach"]);
        (!left.exists()).then_some(())
    });
}

#[test]
fn what_a_deleted_namespace_leaves_is_not_of_the_next_one_with_its_number() {
    own_bpffs();
    let inode = |pins: &path::Path| {
        let name = pins.file_name().unwrap().to_str().unwrap();
        name.split_once('-').unwrap().0.to_owned()
    };
    // A namespace goes in its own time, and then the lowest number that is free is the next one's: of another
    // namespace, where other tests come and go meanwhile.
    let (left, next) = eventually("a namespace with the number of another", || {
        let left = left_by_a_namespace();
        let mut others = iter::repeat_with(|| ours("next")).take(50);
        let next = others.find(|next| inode(&pins(next)) == inode(&left))?;
        Some((left, next))
    });
    assert!(left.exists());
    let status = common::json(next.command(TCPGUARD).args(["status", "--json"]));
    assert_eq!(status, json!({ "guards": [], "dead_pins": [] }));
}

/// The pins of a namespace that is gone, or going.
fn left_by_a_namespace() -> PathBuf {
    let (server, _street) = cable();
    done(&server, &["attach", "--iface", "guarded"]);
    pins(&server)
}

#[test]
fn in_a_mount_namespace_of_its_own_attach_refuses_to_pin() {
    let (server, _street) = cable();
    let mut command = Command::new("ip");
    command.args(["netns", "exec", server.name(), TCPGUARD]);
    let ended = Process::spawn(command.args(["attach", "--iface", "guarded"])).end();
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
    assert!(ended.stderr.contains("nsenter --net="), "{ended:?}");
    assert_clean(&server, "guarded");
}
