//! `tcpguard trace` as a user runs it.
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on panics, in its helpers as well"
)]

#[path = "captures/mod.rs"]
mod captures;
#[path = "conversation/mod.rs"]
mod conversation;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use pcap_file::Endianness;
use serde_json::Value;
use tcpguard_common::craft::TcpFrame;

use self::{
    captures::{Run, Shot, file, pcapng, replay, run},
    conversation::{Peers, close, exchange, open},
};

/// A capture with a frame each millisecond.
fn capture(name: &str, frames: &[TcpFrame]) -> PathBuf {
    let shot = |(number, frame): (u64, &TcpFrame)| {
        let octets = frame.build();
        Shot {
            interface: 0,
            nanos: 1_700_000_000_000_000_000 + number * 1_000_000,
            wire_len: u32::try_from(octets.len()).expect("a frame is short"),
            octets,
        }
    };
    let shots: Vec<Shot> = (0..).zip(frames).map(shot).collect();
    file(name, &pcapng(Endianness::Little, &[1], &shots))
}

fn trace(path: &Path, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpguard"));
    run(command.arg("trace").arg(path).args(args))
}

fn said(stdout: &str, status: i32) -> Run {
    Run {
        status: Some(status),
        stdout: stdout.to_owned(),
        stderr: String::new(),
    }
}

fn life(peers: &mut Peers) -> Vec<TcpFrame> {
    [open(peers), exchange(peers), close(peers)].concat()
}

const LIFE: &str = "
frame       time dir flags     seq (absolute)     ack (absolute)   len    next  state
    1   0.000000 --> S           0       1000       -          -     0       1  SYN-SENT
    2   0.001000 <-- SA          0       5000       1       1001     0       1  SYN-RECEIVED
    3   0.002000 --> A           1       1001       1       5001     0       -  ESTABLISHED
    4   0.003000 --> PA          1       1001       1       5001     5       6  ESTABLISHED
    5   0.004000 <-- PA          1       5001       6       1006     3       4  ESTABLISHED
    6   0.005000 --> FA          6       1006       4       5004     0       7  FIN-WAIT
    7   0.006000 <-- A           4       5004       7       1007     0       -  CLOSE-WAIT
    8   0.007000 <-- FA          4       5004       7       1007     0       5  LAST-ACK
    9   0.008000 --> A           7       1007       5       5005     0       -  TIME-WAIT

9 frames, 5 octets -->, 3 octets <--, 0 dropped, at the end TIME-WAIT
";

#[test]
fn the_only_connection_of_a_capture_is_shown_however_wide_its_ends() {
    let path = capture("trace-life.pcapng", &life(&mut Peers::of(TcpFrame::ipv4())));
    let right = format!("192.0.2.1:40000 --> 192.0.2.2:80\n{LIFE}");
    assert_eq!(trace(&path, &[]), said(&right, 0));

    let wide = TcpFrame {
        source: "2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap(),
        ..TcpFrame::ipv6()
    };
    let path = capture("trace-wide.pcapng", &life(&mut Peers::of(wide)));
    let ends = "[2001:db8:1111:2222:3333:4444:5555:6666]:40000 --> [2001:db8::2]:80\n";
    let run = trace(&path, &[]);
    assert_eq!(run, said(&format!("{ends}{LIFE}"), 0));
    assert!(run.stdout.lines().all(|line| line.len() <= 100));
}

/// A handshake, and then one thing after another that does not add up.
fn odd() -> Vec<TcpFrame> {
    let mut peers = Peers::of(TcpFrame::ipv4());
    let mut frames = open(&mut peers);
    let first = peers.forth("PA", b"hello");
    let second = peers.forth("PA", b"world");
    let answer = peers.back("A", b"");
    frames.extend([
        second.clone(),
        first,
        second,
        TcpFrame {
            ack: answer.ack - 5,
            ..answer.clone()
        },
        TcpFrame {
            ack: answer.ack + 1,
            ..answer.clone()
        },
        peers
            .forth("A", b"")
            .with_flags("FS".parse().expect("flags")),
        TcpFrame {
            seq: 9_000_000,
            ..peers.back("R", b"")
        },
        peers.forth("FA", b""),
        peers.forth("PA", b"more"),
    ]);
    frames
}

#[test]
fn where_the_numbers_do_not_add_up_there_is_a_mark() {
    let path = capture("trace-marks.pcapng", &odd());
    let right = "\
192.0.2.1:40000 --> 192.0.2.2:80

frame       time dir flags     seq (absolute)     ack (absolute)   len    next  state
    1   0.000000 --> S           0       1000       -          -     0       1  SYN-SENT
    2   0.001000 <-- SA          0       5000       1       1001     0       1  SYN-RECEIVED
    3   0.002000 --> A           1       1001       1       5001     0       -  ESTABLISHED
    4   0.003000 --> PA          6       1006       1       5001     5      11  ESTABLISHED   ! gap 5
    5   0.004000 --> PA          1       1001       1       5001     5      11  ESTABLISHED   ! fills-gap
    6   0.005000 --> PA          6       1006       1       5001     5      11  ESTABLISHED   ! retransmission
    7   0.006000 <-- A           1       5001       6       1006     0       -  ESTABLISHED   5 in flight
    8   0.007000 <-- A           1       5001      12       1012     0       -  ESTABLISHED   drop ack-of-unsent, ! ack-of-unsent 1
    9   0.008000 --> FS         11       1011       -          -     0       -  -             drop flags-syn-fin
   10   0.009000 <-- R     8995000    9000000       -          -     0       -  ESTABLISHED   drop rst-out-of-window, ! inexact
   11   0.010000 --> FA         11       1011       1       5001     0      12  FIN-WAIT
   12   0.011000 --> PA         12       1012       1       5001     4       -  FIN-WAIT      drop after-close, ! beyond-fin

12 frames, 19 octets -->, 0 octets <--, 4 dropped, at the end FIN-WAIT
";
    assert_eq!(trace(&path, &[]), said(right, 1));
}

/// Two connections whose segments alternate, and one that is refused.
fn several() -> Vec<TcpFrame> {
    let mut one = Peers::of(TcpFrame::ipv4());
    let mut two = Peers::of(TcpFrame::ipv6());
    let mut frames = Vec::new();
    for (forth, back) in life(&mut one).into_iter().zip(life(&mut two)) {
        frames.extend([forth, back]);
    }
    frames.truncate(14);
    let ports = (50_000, 22);
    frames.push(
        Peers::of(TcpFrame {
            ports,
            ..TcpFrame::ipv4()
        })
        .back("SA", b""),
    );
    frames
}

#[test]
fn several_connections_are_listed_and_one_of_them_is_shown_if_it_is_named() {
    let path = capture("trace-several.pcapng", &several());
    let list = "\
number   frames   octets -->   octets <--  dropped  state         connection
     1        7            5            3        0  CLOSE-WAIT    192.0.2.1:40000 --> 192.0.2.2:80
     2        7            5            3        0  CLOSE-WAIT    [2001:db8::1]:40000 --> [2001:db8::2]:80
     3        1            0            0        1  -             192.0.2.2:22 --> 192.0.2.1:50000

3 connections; give a number, or both ends, to see one of them
";
    assert_eq!(trace(&path, &[]), said(list, 1));
    for name in [
        "2",
        "[2001:db8::1]:40000>[2001:db8::2]:80",
        "[2001:db8::2]:80>[2001:db8::1]:40000",
        "[2001:db8::1]:40000-[2001:db8::2]:80",
    ] {
        let run = trace(&path, &[name]);
        assert_eq!(run.status, Some(0), "{name}: {run:?}");
        let ends = "[2001:db8::1]:40000 --> [2001:db8::2]:80\n";
        assert!(run.stdout.starts_with(ends), "{name}: {}", run.stdout);
        assert_eq!(run.stdout.lines().count(), 3 + 7 + 2, "{name}");
    }
    assert_eq!(trace(&path, &["3"]).status, Some(1));
}

#[test]
fn a_connection_that_is_not_there_is_an_error_with_a_way_out() {
    let path = capture("trace-missing.pcapng", &several());
    for (name, wanted) in [
        ("4", "has no connection 4: there are 3, the first is 1\n"),
        ("0", "has no connection 0: there are 3, the first is 1\n"),
        ("10.0.0.1:1>10.0.0.2:2", "lists those that it has\n"),
        ("10.0.0.1:1", "in quotes, as in '10.0.0.1:1025>10.0.0.2:80'"),
    ] {
        let run = trace(&path, &[name]);
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{name}");
        assert!(run.stderr.contains(wanted), "{name}: {}", run.stderr);
    }
    let run = trace(Path::new("/nonexistent.pcap"), &[]);
    assert_eq!(run.status, Some(2));
    let path = capture("trace-none.pcapng", &[]);
    assert_eq!(trace(&path, &[]), said("no connection\n", 0));
}

#[test]
fn what_was_read_before_an_error_is_shown() {
    let whole = capture(
        "trace-whole.pcapng",
        &life(&mut Peers::of(TcpFrame::ipv4())),
    );
    let mut octets = fs::read(whole).expect("it was just written");
    octets.pop();
    let path = file("trace-truncated.pcapng", &octets);
    let run = trace(&path, &[]);
    assert_eq!(run.status, Some(2));
    assert!(run.stdout.contains(" at the end LAST-ACK\n"), "{run:?}");
    assert!(
        run.stderr.contains("frame 9: the file ends inside"),
        "{run:?}"
    );
}

#[test]
fn json_has_the_keys_of_a_replay_first() {
    let path = capture("trace-json.pcapng", &life(&mut Peers::of(TcpFrame::ipv4())));
    let replayed = replay(&path, &["--json"]).stdout;
    let run = trace(&path, &["--json"]);
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    assert_eq!(run.stdout.lines().count(), 10);
    for (traced, replayed) in run.stdout.lines().zip(replayed.lines()).take(9) {
        let same = replayed.strip_suffix('}').expect("an object");
        assert!(traced.starts_with(same), "{traced}");
    }
    let fourth = run.stdout.lines().nth(3).expect("a fourth line");
    let more = concat!(
        r#","rel_seq":1,"rel_ack":1,"expected_ack":5001,"next_ack":1006,"marks":[],"#,
        r#""adopted":false,"resync":false}"#
    );
    assert!(fourth.ends_with(more), "{fourth}");
    let summary = concat!(
        r#"{"summary":{"number":1,"conn":"192.0.2.1:40000>192.0.2.2:80","frames":9,"#,
        r#""octets":{"orig":5,"reply":3},"dropped":0,"state":"TIME-WAIT"}}"#
    );
    assert_eq!(run.stdout.lines().last(), Some(summary));
}

#[test]
fn json_lists_connections() {
    let path = capture("trace-json-list.pcapng", &several());
    let run = trace(&path, &["--json"]);
    assert_eq!(run.status, Some(1));
    let lines: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[1]["conn"], "[2001:db8::1]:40000>[2001:db8::2]:80");
    assert_eq!(lines[2]["state"], "-");
    let summary = r#"{"summary":{"connections":3,"frames":15,"dropped":1}}"#;
    assert_eq!(run.stdout.lines().last(), Some(summary));
}

#[test]
fn the_side_that_opened_stands_first_whoever_is_heard_first() {
    let mut peers = Peers::of(TcpFrame::ipv4());
    let mut frames = open(&mut peers);
    // Nobody asked for this one yet.
    frames.insert(0, frames[1].clone());
    let path = capture("trace-order.pcapng", &frames);
    let run = trace(&path, &[]);
    assert_eq!(run.status, Some(1));
    let ends = "192.0.2.1:40000 --> 192.0.2.2:80\n";
    assert!(run.stdout.starts_with(ends), "{}", run.stdout);
    let first = "    1   0.000000 <-- SA ";
    assert!(run.stdout.contains(first), "{}", run.stdout);
}

#[test]
fn the_middle_of_a_connection_is_taken_over_if_asked() {
    let mut peers = Peers::of(TcpFrame::ipv4());
    open(&mut peers);
    let path = capture("trace-middle.pcapng", &exchange(&mut peers));
    let run = trace(&path, &[]);
    assert_eq!(run.status, Some(1));
    let row = " 0.000000 --> PA          1       1001       1       5001     5       -  -             drop no-connection\n";
    assert!(run.stdout.contains(row), "{}", run.stdout);
    let run = trace(&path, &["--pickup", "always"]);
    assert_eq!(run.status, Some(0));
    let row = " 0.000000 --> PA          1       1001       1       5001     5       6  ESTABLISHED   adopted\n";
    assert!(run.stdout.contains(row), "{}", run.stdout);
}
