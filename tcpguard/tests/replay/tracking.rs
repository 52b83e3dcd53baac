//! What the tracker adds to a replay: directions, states, and who is taken over.

use serde_json::{Value, json};
use tcpguard_common::craft::TcpFrame;

use crate::{
    captures::{Run, Shot, file, replay},
    conversation::{Peers, close, exchange, open},
    usual,
};

/// A frame each second.
fn by_seconds(frames: Vec<TcpFrame>) -> Vec<Shot> {
    (0..)
        .zip(frames)
        .map(|(second, frame)| shot(second, &frame))
        .collect()
}

fn shot(second: u64, frame: &TcpFrame) -> Shot {
    let octets = frame.build();
    Shot {
        interface: 0,
        nanos: second * 1_000_000_000,
        wire_len: u32::try_from(octets.len()).expect("a frame is short"),
        octets,
    }
}

fn objects(run: &Run) -> Vec<Value> {
    let lines = run.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect()
}

/// Direction and states of each frame.
fn way(run: &Run) -> Vec<[String; 3]> {
    let mut objects = objects(run);
    objects.pop();
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    objects
        .iter()
        .map(|line| ["dir", "before", "after"].map(|key| text(&line[key])))
        .collect()
}

/// The states of the summary that occur.
fn at_the_end(run: &Run) -> Value {
    let mut summary = objects(run).pop().expect("a summary");
    let states = summary["summary"]["states"].as_object_mut();
    let states = states.expect("an object");
    assert_eq!(states.len(), 9);
    states.retain(|_, count| *count != 0);
    Value::from(states.clone())
}

#[test]
fn a_connection_goes_through_its_states() {
    let mut peers = Peers::of(TcpFrame::ipv4());
    let frames = [open(&mut peers), exchange(&mut peers), close(&mut peers)].concat();
    let path = file("life.pcap", &usual(&by_seconds(frames)));
    let run = replay(&path, &["--json"]);
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    let way = way(&run);
    let expected = [
        ["orig", "-", "SYN-SENT"],
        ["reply", "SYN-SENT", "SYN-RECEIVED"],
        ["orig", "SYN-RECEIVED", "ESTABLISHED"],
        ["orig", "ESTABLISHED", "ESTABLISHED"],
        ["reply", "ESTABLISHED", "ESTABLISHED"],
        ["orig", "ESTABLISHED", "FIN-WAIT"],
        ["reply", "FIN-WAIT", "CLOSE-WAIT"],
        ["reply", "CLOSE-WAIT", "LAST-ACK"],
        ["orig", "LAST-ACK", "TIME-WAIT"],
    ];
    assert_eq!(way, expected);
    assert_eq!(at_the_end(&run), json!({"TIME-WAIT": 1}));
}

#[test]
fn what_is_over_when_the_capture_ends_is_not_among_the_states() {
    let mut peers = Peers::of(TcpFrame::ipv4());
    let mut shots = by_seconds(open(&mut peers));
    let other = TcpFrame {
        ports: (40_001, 80),
        ..TcpFrame::ipv6()
    };
    shots.push(shot(100, &other));
    let path = file("silent.pcap", &usual(&shots));
    let states = json!({"SYN-SENT": 1, "ESTABLISHED": 1});
    assert_eq!(at_the_end(&replay(&path, &["--json"])), states);
    // A SYN without an answer is forgotten after two minutes.
    shots.push(shot(221, &peers.forth("A", b"")));
    let path = file("forgotten.pcap", &usual(&shots));
    let states = json!({"ESTABLISHED": 1});
    assert_eq!(at_the_end(&replay(&path, &["--json"])), states);
}

#[test]
fn the_middle_of_a_connection_is_taken_over_if_asked() {
    let mut peers = Peers::of(TcpFrame::ipv4());
    open(&mut peers);
    let path = file("middle.pcap", &usual(&by_seconds(exchange(&mut peers))));
    let run = replay(&path, &["--json"]);
    assert_eq!(run.status, Some(1));
    assert_eq!(way(&run), [["-"; 3]; 2]);
    assert_eq!(at_the_end(&run), json!({}));
    let lines = objects(&run);
    assert_eq!(lines[0]["reason"], "no-connection");
    let run = replay(&path, &["--json", "--pickup", "always"]);
    assert_eq!(run.status, Some(0));
    let expected = [
        ["orig", "-", "ESTABLISHED"],
        ["reply", "ESTABLISHED", "ESTABLISHED"],
    ];
    assert_eq!(way(&run), expected);
    assert_eq!(at_the_end(&run), json!({"ESTABLISHED": 1}));
    let text = replay(&path, &["--pickup", "always"]).stdout;
    assert!(text.contains(" ESTABLISHED  accept adopted\n"), "{text}");
    assert!(text.contains("       1  adopted: "), "{text}");
}

#[test]
fn a_clock_that_runs_backwards_ends_no_connection() {
    let mut peers = Peers::of(TcpFrame::ipv4());
    let mut shots = by_seconds(open(&mut peers));
    shots.push(shot(0, &peers.forth("PA", b"late")));
    let path = file("merged.pcap", &usual(&shots));
    let run = replay(&path, &["--json"]);
    assert_eq!(run.status, Some(0), "{run:?}");
    assert_eq!(at_the_end(&run), json!({"ESTABLISHED": 1}));
}
