//! Single frames that were objected to, as events and as a capture, in the eyes of tshark and of a replay.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    fs,
    path::{Path as FilePath, PathBuf},
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
    time::Duration,
};

use common::{ERROR, FIVE_NULLS, Process, TCPGUARD, done, eventually, stdout, tcpguard};
use nix::sys::signal::Signal;
use serde_json::Value;
use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    attack::{Scan, Volley},
    network::{Network, UPLINK},
    path::{Host, Path},
};

const NULLS: u64 = 5;

/// A network with a guard on it that stays until the end of the test.
fn guarded() -> Network {
    let network = Network::new().unwrap();
    done(&network.server, &["attach", "--iface", UPLINK]);
    network
}

fn send(network: &Network, volley: &Volley<'_>) {
    let attacker = network.attacker().unwrap();
    attacker.send(volley, &AtomicBool::new(false)).unwrap();
}

/// Two XMAS segments over each version of IP.
fn xmas(network: &Network) {
    let flags = TcpFlags::FIN.with(TcpFlags::PSH).with(TcpFlags::URG);
    send(
        network,
        &Volley {
            scans: &[Scan {
                flags,
                ports: 443..=443,
            }],
            paths: &[Path::Ipv4, Path::Ipv6],
            rounds: 2,
            pace: Duration::from_millis(1),
        },
    );
}

/// What is told of events, by their objects; but for their times, which are reckoned anew each time.
fn events(network: &Network, args: &[&str]) -> Vec<Value> {
    let told = done(&network.server, &[&["events", "--json"], args].concat());
    let object = |line| {
        let mut object: Value = serde_json::from_str(line).unwrap();
        object.as_object_mut().unwrap().remove("ts");
        object
    };
    told.stdout.lines().map(object).collect()
}

fn path(name: &str) -> PathBuf {
    let path = FilePath::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // What a former run has left.
    let _ = fs::remove_file(&path);
    path
}

/// Fields of each frame of a file, as tshark reads them.
fn fields(file: &FilePath, names: &[&str]) -> Vec<Vec<String>> {
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-T", "fields", "-r"]).arg(file);
    let text = stdout(tshark.args(names.iter().flat_map(|name| ["-e", name])));
    let line = |line: &str| line.split('\t').map(str::to_owned).collect();
    text.lines().map(line).collect()
}

#[test]
fn events_tell_who_sent_what_and_why_it_was_dropped() {
    let network = guarded();
    send(&network, &FIVE_NULLS);
    xmas(&network);
    let all = events(&network, &[]);
    let mut reasons: Vec<_> = all.iter().map(|it| it["reason"].clone()).collect();
    reasons.dedup();
    assert_eq!(reasons, ["flags-null", "flags-xmas"], "oldest first");
    let nulls = events(&network, &["--reason", "flags-null", "--iface", UPLINK]);
    assert_eq!(nulls.len() as u64, NULLS);
    let server = Path::Ipv4.address(Host::Server);
    let attacker = Path::Ipv4.address(Host::Attacker);
    for (event, port) in nulls.iter().zip(1..) {
        assert_eq!(event["conn"], format!("{attacker}:40000>{server}:{port}"));
        assert_eq!(event["interface"], UPLINK);
        assert_eq!(event["hook"], "ingress");
        assert_eq!(event["verdict"], "drop");
        assert_eq!(
            (&event["flags"], &event["state"]),
            (&"-".into(), &"-".into())
        );
    }
    let limited = done(&network.server, &["events", "--limit", "1"]);
    let older = format!("{} older ones left out", all.len() - 1);
    assert!(limited.stderr.contains(&older), "{limited:?}");
    let last = events(&network, &["--limit", "1"]);
    assert_eq!(last, all[all.len() - 1..]);

    let lines = done(&network.server, &["events"]).stdout;
    assert_eq!(lines.lines().count(), 1 + all.len(), "{lines}");
    assert!(lines.contains("drop flags-null"), "{lines}");
    let none = done(&network.server, &["events", "--reason", "window", "--json"]);
    assert_eq!(none.stdout, "");
    assert!(none.stderr.contains("nothing like that"), "{none:?}");
    let stranger = tcpguard(&network.server, &["events", "--iface", "eth7"]);
    assert_eq!(stranger.status.code(), ERROR);
    assert!(
        stranger.stderr.contains("there is one on uplink"),
        "{stranger:?}"
    );
    done(&network.server, &["detach"]);
}

#[test]
fn of_a_flood_a_sample_is_told_with_what_is_left_out_and_what_comes_is_followed() {
    let network = guarded();
    let mut follow = network.server.command(TCPGUARD);
    let follow = Process::spawn(follow.args(["events", "--follow", "--json"]));
    let flood = Volley {
        rounds: 2_000,
        pace: Duration::from_micros(100),
        ..FIVE_NULLS
    };
    // Only of frames that one of them follows it is known that they were left out.
    for _ in 0..3 {
        send(&network, &flood);
        std::thread::sleep(Duration::from_millis(300));
    }
    xmas(&network);
    follow.wait_for("flags-xmas");
    follow.signal(Signal::SIGINT);
    let ended = follow.end();
    assert!(ended.status.success(), "{ended:?}");
    let objects = ended.stdout.lines().map(serde_json::from_str::<Value>);
    let objects: Vec<_> = objects.map(Result::unwrap).collect();
    let nulls = objects.iter().filter(|it| it["reason"] == "flags-null");
    let told: u64 = nulls
        .clone()
        .map(|it| 1 + it["skipped"].as_u64().unwrap())
        .sum();
    let kept = nulls.count() as u64;
    assert!((16..1_000).contains(&kept), "{kept}");
    assert!((2_000..=6_000).contains(&told), "{told}");
    done(&network.server, &["detach"]);
}

#[test]
fn a_capture_has_the_reason_of_each_frame_for_wireshark_and_for_a_replay() {
    let network = guarded();
    send(&network, &FIVE_NULLS);
    let file = path("drops.pcapng");
    let mut capture = network.server.command(TCPGUARD);
    capture.args(["capture", "--count", "9", "-w"]).arg(&file);
    let capture = Process::spawn(&mut capture);
    capture.wait_for("capturing what the guard on uplink objects to");
    xmas(&network);
    let ended = capture.end();
    assert!(ended.status.success(), "{ended:?}");
    assert!(
        ended.stderr.contains("captured 9 frames into "),
        "{ended:?}"
    );

    let names = [
        "frame.comment",
        "frame.interface_name",
        "frame.packet_flags_direction",
    ];
    let found = fields(&file, &names);
    let of = |comment: &str| {
        vec![
            comment.to_owned(),
            UPLINK.to_owned(),
            "0x00000001".to_owned(),
        ]
    };
    let expected = [
        vec![of("drop flags-null"); 5],
        vec![of("drop flags-xmas"); 4],
    ]
    .concat();
    assert_eq!(found, expected);
    let stamps = fields(&file, &["frame.time_epoch", "tcp.dstport"]);
    let seconds: Vec<f64> = stamps.iter().map(|it| it[0].parse().unwrap()).collect();
    assert!(seconds.is_sorted());
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    assert!(
        seconds.iter().all(|it| (0.0..60.0).contains(&(now - it))),
        "{stamps:?}"
    );
    assert_eq!(stamps[8][1], "443");

    let mut replay = Command::new(TCPGUARD);
    let replayed = replay
        .args(["replay", "--json"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(replayed.status.code(), Some(1), "something is dropped");
    let text = String::from_utf8(replayed.stdout).unwrap();
    let frames = text.lines().map(serde_json::from_str::<Value>);
    let frames: Vec<_> = frames.map(Result::unwrap).take(9).collect();
    for (frame, found) in frames.iter().zip(&found) {
        let told = format!("drop {}", frame["reason"].as_str().unwrap());
        assert_eq!(told, found[0]);
    }

    let refused = network
        .server
        .command(TCPGUARD)
        .args(["capture", "-w"])
        .arg(&file)
        .output();
    let refused = refused.unwrap();
    assert_eq!(refused.status.code(), ERROR);
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("--force")
    );
    done(&network.server, &["detach"]);
}

#[test]
fn a_capture_to_stdout_can_be_read_while_it_goes_on_and_ends_cleanly() {
    let network = guarded();
    let mut capture = network.server.command(TCPGUARD);
    capture.args(["capture", "--reason", "flags-xmas", "-w", "-"]);
    capture
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut capture = capture.spawn().unwrap();
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-l", "-T", "fields", "-e", "frame.comment", "-i", "-"]);
    tshark.stdin(capture.stdout.take().unwrap());
    let tshark = Process::spawn_reading(&mut tshark);
    send(&network, &FIVE_NULLS);
    xmas(&network);
    tshark.wait_for("drop flags-xmas");
    let id = i32::try_from(capture.id()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), Signal::SIGINT).unwrap();
    let ended = capture.wait_with_output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{told}");
    assert!(told.contains("captured 4 frames into stdout"), "{told}");
    let seen = tshark.end();
    assert_eq!(seen.stdout, "drop flags-xmas\n".repeat(4));
    done(&network.server, &["detach"]);
}

#[test]
fn a_guard_that_goes_ends_what_reads_it_and_leaves_a_whole_file() {
    let network = guarded();
    send(&network, &FIVE_NULLS);
    let file = path("gone.pcapng");
    let mut capture = network.server.command(TCPGUARD);
    let capture = Process::spawn(capture.args(["capture", "-w"]).arg(&file));
    capture.wait_for("capturing");
    eventually("it writes", || {
        file.with_extension("pcapng.part").exists().then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    done(&network.server, &["detach"]);
    let ended = capture.end();
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
    assert!(ended.stderr.contains("was taken off"), "{ended:?}");
    assert_eq!(fields(&file, &["frame.comment"]).len() as u64, NULLS);
}

/// Sets how many files a process may have open. With three it cannot look for guards any more.
fn limit_files(process: &Process, limit: &str) {
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &process.id().to_string()]);
    stdout(prlimit.arg(format!("--nofile={limit}:")));
}

#[test]
fn a_capture_outlives_looks_that_fail_and_ends_as_a_whole_file_when_they_go_on_failing() {
    let network = guarded();
    let file = path("unseen.pcapng");
    let mut capture = network.server.command(TCPGUARD);
    let capture = Process::spawn(capture.args(["capture", "-w"]).arg(&file));
    capture.wait_for("capturing");
    limit_files(&capture, "3");
    std::thread::sleep(Duration::from_millis(2500));
    limit_files(&capture, "1024");
    std::thread::sleep(Duration::from_millis(1500));
    send(&network, &FIVE_NULLS);
    limit_files(&capture, "3");
    let ended = capture.end();
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
    for word in [
        "captured 5 frames into",
        "still there",
        "Too many open files",
    ] {
        assert!(ended.stderr.contains(word), "no {word:?} in {ended:?}");
    }
    assert_eq!(fields(&file, &["frame.comment"]).len() as u64, NULLS);
    done(&network.server, &["detach"]);
}
