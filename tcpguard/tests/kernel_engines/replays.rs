//! `tcpguard replay` with the kernel engine, as a user runs it.

#[path = "../conversation/mod.rs"]
mod conversation;

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::{self, Command},
};

use pcap_file::Endianness;
use tcpguard_common::{craft::TcpFrame, parse::Link};

use self::conversation::{Peers, close, exchange, open};
use crate::{
    captures::{Shot, file, pcapng, replay, run},
    require_root, vectors,
};

#[test]
fn kernel_replay_prints_what_the_host_prints() {
    require_root();
    let shots: Vec<Shot> = vectors::every()
        .into_iter()
        .map(|vector| Shot {
            interface: u32::from(vector.link == Link::RawIp),
            nanos: 1,
            octets: vector.frame,
            wire_len: vector.wire_len,
        })
        .collect();
    let path = file(
        "vectors.pcapng",
        &pcapng(Endianness::Little, &[1, 101], &shots),
    );
    for format in [["--json"].as_slice(), &[]] {
        let host = replay(&path, &[format, &["--engine", "host"]].concat());
        let kernel = replay(&path, &[format, &["--engine", "kernel"]].concat());
        assert_eq!((host.status, host.stderr.as_str()), (Some(1), ""));
        assert!(host.stdout.lines().count() > shots.len());
        assert!(kernel == host, "{}", kernel.stderr);
    }
}

/// Connections that stop at each step of their life, of both versions of IP and on both kinds of
/// link, and one that is reset.
fn connections() -> Vec<Shot> {
    let mut frames = Vec::new();
    for steps in 1..=10 {
        for syn in [TcpFrame::ipv4(), TcpFrame::ipv6()] {
            let ports = (40_000 + steps, 80);
            let mut peers = Peers::of(TcpFrame { ports, ..syn });
            let mut life = [open(&mut peers), exchange(&mut peers)].concat();
            if steps == 10 {
                life.push(peers.forth("R", b""));
            } else {
                life.append(&mut close(&mut peers));
            }
            frames.extend(life.into_iter().take(steps.into()));
        }
    }
    let links = [(0, Link::Ethernet), (1, Link::RawIp)];
    let shot = |(number, ((interface, link), frame)): (u64, ((u32, Link), TcpFrame))| {
        let octets = TcpFrame { link, ..frame }.build();
        Shot {
            interface,
            nanos: number * 1_000_000,
            wire_len: u32::try_from(octets.len()).unwrap(),
            octets,
        }
    };
    let on_both = frames
        .into_iter()
        .flat_map(|frame| links.map(|link| (link, frame.clone())));
    (0..).zip(on_both).map(shot).collect()
}

#[test]
fn kernel_replay_ends_with_the_states_of_the_host() {
    require_root();
    let mut shots = connections();
    let octets = pcapng(Endianness::Little, &[1, 101], &shots);
    let together = file("states.pcapng", &octets);
    // Eleven seconds later what was reset is forgotten.
    let mut last = shots[0].clone();
    last.nanos = 11_000_000_000;
    shots.push(last);
    let octets = pcapng(Endianness::Little, &[1, 101], &shots);
    let later = file("states-later.pcapng", &octets);
    for path in [together, later] {
        for format in [
            ["--json", "--pickup=never"].as_slice(),
            &["--pickup=always"],
        ] {
            let host = replay(&path, &[format, &["--engine", "host"]].concat());
            let kernel = replay(&path, &[format, &["--engine", "kernel"]].concat());
            assert!(host.stdout.contains("ESTABLISHED"), "{}", host.stderr);
            assert!(kernel == host, "{}", kernel.stderr);
        }
    }
}

#[test]
fn kernel_engine_says_what_privilege_it_wants() {
    const NOBODY: u32 = 65534;
    require_root();
    // The folder of the build may be closed to others.
    let folder = env::temp_dir().join(format!("tcpguard-test-{}", process::id()));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.join("tcpguard");
    fs::copy(env!("CARGO_BIN_EXE_tcpguard"), &program).unwrap();
    let capture = folder.join("syn.pcapng");
    let octets = TcpFrame::ipv4().build();
    let shot = Shot {
        interface: 0,
        nanos: 0,
        wire_len: 54,
        octets,
    };
    fs::write(&capture, pcapng(Endianness::Little, &[1], &[shot])).unwrap();
    let mut command = Command::new(&program);
    command
        .arg("replay")
        .arg(&capture)
        .args(["--engine", "kernel"])
        .uid(NOBODY)
        .gid(NOBODY);
    let refused = run(&mut command);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!((refused.status, refused.stdout.as_str()), (Some(2), ""));
    let wanted = "frame 1: --engine kernel loads the program into the kernel: run as root or with \
                  CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, or use --engine host";
    assert!(refused.stderr.contains(wanted), "{}", refused.stderr);
}
