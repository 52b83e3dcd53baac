//! `tcpguard replay` with the kernel engine, as a user runs it.

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::{self, Command},
};

use pcap_file::Endianness;
use tcpguard_common::{craft::TcpFrame, parse::Link};

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
