//! `tcpguard replay` on captures of every kind, as a user runs it, with the engine that needs no
//! privilege.
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on panics, in its helpers as well"
)]

#[path = "../captures/mod.rs"]
mod captures;
#[path = "../conversation/mod.rs"]
mod conversation;
mod errors;
mod links;
mod pcapng;
mod tracking;

use std::{
    fmt::Write as _,
    fs,
    io::Read as _,
    process::{Command, Stdio},
    time::Duration,
};

use pcap_file::{
    DataLink, Endianness, TsResolution,
    pcap::{PcapHeader, PcapWriter, RawPcapPacket},
};
use tcpguard_common::{craft::TcpFrame, flags::TcpFlags};

use self::captures::{Run, Shot, file, pcapng, replay, run};

const ETHERNET: u32 = 1;

/// One microsecond after another, from 1.5 seconds on.
fn shots(frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Shot> {
    (0..)
        .zip(frames)
        .map(|(number, octets)| Shot {
            interface: 0,
            nanos: 1_500_000_000 + 1000 * number,
            wire_len: u32::try_from(octets.len()).expect("a frame is short"),
            octets,
        })
        .collect()
}

/// Of every verdict one.
fn frames() -> Vec<Vec<u8>> {
    let syn = TcpFrame::ipv4();
    let answer = TcpFrame {
        source: syn.destination,
        destination: syn.source,
        ports: (80, 40000),
        seq: 4_294_967_295,
        ack: 1001,
        payload: b"hello".to_vec(),
        ..TcpFrame::ipv4()
    };
    let acknowledged = TcpFlags::PSH.with(TcpFlags::ACK).with(TcpFlags::ECE);
    let mut udp = syn.build();
    udp[14 + 9] = 17;
    let mut arp = syn.build();
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    let mut cut_short = syn.build();
    cut_short.pop();
    vec![
        syn.build(),
        syn.clone().with_flags("SF".parse().expect("flags")).build(),
        TcpFrame::ipv6().with_flags(TcpFlags::NULL).build(),
        answer.with_flags(acknowledged).build(),
        udp,
        arp,
        cut_short,
    ]
}

/// What the contract wants to be printed of them.
const LINES: &str = r#"{"frame":1,"ts":1.5,"verdict":"accept","reason":"-","conn":"192.0.2.1:40000>192.0.2.2:80","dir":"orig","flags":"S","seq":1000,"ack":0,"len":0,"before":"-","after":"SYN-SENT"}
{"frame":2,"ts":1.500001,"verdict":"drop","reason":"flags-syn-fin","conn":"192.0.2.1:40000>192.0.2.2:80","dir":"-","flags":"FS","seq":1000,"ack":0,"len":0,"before":"-","after":"-"}
{"frame":3,"ts":1.500002,"verdict":"drop","reason":"flags-null","conn":"[2001:db8::1]:40000>[2001:db8::2]:80","dir":"-","flags":"-","seq":1000,"ack":0,"len":0,"before":"-","after":"-"}
{"frame":4,"ts":1.500003,"verdict":"ignore","reason":"-","conn":"192.0.2.2:80>192.0.2.1:40000","dir":"reply","flags":"PAE","seq":4294967295,"ack":1001,"len":5,"before":"SYN-SENT","after":"SYN-SENT"}
{"frame":5,"ts":1.500004,"verdict":"bypass","reason":"not-tcp","conn":"-","dir":"-","flags":"-","seq":0,"ack":0,"len":0,"before":"-","after":"-"}
{"frame":6,"ts":1.500005,"verdict":"bypass","reason":"not-ip","conn":"-","dir":"-","flags":"-","seq":0,"ack":0,"len":0,"before":"-","after":"-"}
{"frame":7,"ts":1.500006,"verdict":"drop","reason":"bad-length","conn":"-","dir":"-","flags":"-","seq":0,"ack":0,"len":0,"before":"-","after":"-"}
"#;
const SUMMARY: &str = r#"{"summary":{"frames":7,"tcp":5,"dropped":3,"reasons":{"bad-length":1,"flags-null":1,"flags-syn-fin":1},"states":{"SYN-SENT":1,"SYN-SENT2":0,"SYN-RECEIVED":0,"ESTABLISHED":0,"FIN-WAIT":0,"CLOSE-WAIT":0,"LAST-ACK":0,"TIME-WAIT":0,"CLOSED":0}}}
"#;

fn right() -> Run {
    Run {
        status: Some(1),
        stdout: format!("{LINES}{SUMMARY}"),
        stderr: String::new(),
    }
}

fn pcap(order: Endianness, resolution: TsResolution, link: u32, shots: &[Shot]) -> Vec<u8> {
    let header = PcapHeader {
        endianness: order,
        ts_resolution: resolution,
        datalink: DataLink::from(link),
        ..PcapHeader::default()
    };
    let unit = if resolution == TsResolution::NanoSecond {
        1
    } else {
        1000
    };
    let mut writer = PcapWriter::with_header(Vec::new(), header).expect("memory is writable");
    for shot in shots {
        let time = Duration::from_nanos(shot.nanos);
        let packet = RawPcapPacket {
            ts_sec: u32::try_from(time.as_secs()).expect("before 2106"),
            ts_frac: time.subsec_nanos() / unit,
            incl_len: u32::try_from(shot.octets.len()).expect("a frame is short"),
            orig_len: shot.wire_len,
            data: shot.octets.as_slice().into(),
        };
        writer
            .write_raw_packet(&packet)
            .expect("memory is writable");
    }
    writer.into_writer()
}

/// Ethernet, little endian, microseconds: what most programs write.
fn usual(shots: &[Shot]) -> Vec<u8> {
    pcap(
        Endianness::Little,
        TsResolution::MicroSecond,
        ETHERNET,
        shots,
    )
}

#[test]
fn json_is_the_contract_in_every_file_format() {
    let shots = shots(frames());
    for (order, order_name) in [(Endianness::Little, "little"), (Endianness::Big, "big")] {
        for resolution in [TsResolution::MicroSecond, TsResolution::NanoSecond] {
            let name = format!("{order_name}-{resolution:?}.pcap");
            let path = file(&name, &pcap(order, resolution, ETHERNET, &shots));
            assert_eq!(replay(&path, &["--json"]), right(), "{name}");
        }
        let name = format!("{order_name}.pcapng");
        let path = file(&name, &pcapng(order, &[ETHERNET], &shots));
        assert_eq!(replay(&path, &["--json"]), right(), "{name}");
    }
}

#[test]
fn json_keeps_nanoseconds() {
    let mut shots = shots([TcpFrame::ipv4().build()]);
    for (nanos, printed) in [
        (1_700_000_000_123_456_789, "1700000000.123456789"),
        (4_294_967_295_000_000_001, "4294967295.000000001"),
        (3_000_000_000, "3.0"),
        (0, "0.0"),
    ] {
        shots[0].nanos = nanos;
        let classic = pcap(Endianness::Big, TsResolution::NanoSecond, ETHERNET, &shots);
        for (name, octets) in [
            ("nanoseconds.pcap", classic),
            (
                "nanoseconds.pcapng",
                pcapng(Endianness::Little, &[ETHERNET], &shots),
            ),
        ] {
            let run = replay(&file(name, &octets), &["--json"]);
            let wanted = format!(r#""ts":{printed},"#);
            assert!(run.stdout.contains(&wanted), "{name}: {}", run.stdout);
        }
    }
}

#[test]
fn text_is_a_table_and_a_summary() {
    let path = file("text.pcap", &usual(&shots(frames())));
    let run = replay(&path, &[]);
    let table = "\
frame       time  source > destination            dir   flags   len  state        verdict
    1   0.000000  192.0.2.1:40000 > 192.0.2.2:80  orig  S         0  SYN-SENT     accept
    2   0.000001  192.0.2.1:40000 > 192.0.2.2:80  -     FS        0  -            drop flags-syn-fin
    3   0.000002  [2001:db8::1]:40000 > [2001:db8::2]:80 -     -         0  -            drop flags-null
    4   0.000003  192.0.2.2:80 > 192.0.2.1:40000  reply PAE       5  SYN-SENT     ignore
    5   0.000004  -                               -     -         -  -            bypass not-tcp
    6   0.000005  -                               -     -         -  -            bypass not-ip
    7   0.000006  -                               -     -         -  -            drop bad-length

7 frames, 5 of them TCP, 3 dropped
       1  bad-length          The IP length is shorter than the headers or longer than the frame.
       1  flags-null          None of SYN, FIN, RST, ACK and URG is set: a NULL scan.
       1  flags-syn-fin       SYN and FIN together: open and close at once.
2 passed unjudged
       1  not-ip
       1  not-tcp
1 connection at the end
       1  SYN-SENT
";
    assert_eq!(run.stdout, table);
    assert_eq!((run.status, run.stderr.as_str()), (Some(1), ""));
}

#[test]
fn time_may_run_backwards() {
    let mut shots = shots([TcpFrame::ipv4().build(), TcpFrame::ipv4().build()]);
    shots[1].nanos = 1_250_000_000;
    let run = replay(&file("backwards.pcap", &usual(&shots)), &[]);
    assert!(run.stdout.contains("    2  -0.250000  "), "{}", run.stdout);
}

#[test]
fn status_is_0_without_a_drop() {
    for (name, frames) in [
        ("clean.pcap", [&frames()[..1], &frames()[3..6]].concat()),
        ("none.pcap", Vec::new()),
    ] {
        let path = file(name, &usual(&shots(frames)));
        assert_eq!(replay(&path, &[]).status, Some(0), "{name}");
        assert_eq!(replay(&path, &["--json"]).status, Some(0), "{name}");
    }
}

/// Verdict and reason of each frame, read as JSON, with all keys in their order.
fn column(run: &Run, frames: usize) -> Vec<String> {
    let lines: Vec<serde_json::Map<String, serde_json::Value>> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect();
    assert_eq!(lines.len(), frames + 1, "{run:?}");
    assert!(lines[frames].contains_key("summary"), "{run:?}");
    let text = |value: &serde_json::Value| value.as_str().expect("a string").to_owned();
    let cause = |line: &serde_json::Map<String, serde_json::Value>| {
        format!("{} {}", text(&line["verdict"]), text(&line["reason"]))
    };
    lines[..frames].iter().map(cause).collect()
}

#[test]
fn a_capture_that_was_cut_is_judged_by_what_is_left() {
    let whole = TcpFrame {
        payload: vec![0; 1000],
        ..TcpFrame::ipv4()
    }
    .build();
    let mut shots = shots([54, 53, 13].map(|kept| whole[..kept].to_vec()));
    for shot in &mut shots {
        shot.wire_len = 1054;
    }
    let run = replay(&file("cut.pcap", &usual(&shots)), &["--json"]);
    assert_eq!(
        column(&run, 3),
        ["accept -", "bypass unreadable", "bypass unreadable"]
    );
    assert!(run.stdout.contains(r#""len":1000,"#), "{}", run.stdout);

    // The header of the capturing system cut in two.
    shots.truncate(1);
    shots[0].octets.truncate(10);
    let octets = pcap(Endianness::Little, TsResolution::MicroSecond, 276, &shots);
    let run = replay(&file("cut-cooked.pcap", &octets), &["--json"]);
    assert_eq!(column(&run, 1), ["bypass unreadable"]);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    // More than a pipe holds.
    let path = file(
        "long.pcap",
        &usual(&shots(vec![TcpFrame::ipv4().build(); 5000])),
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_tcpguard"))
        .arg("replay")
        .arg(path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert_eq!(errors, "");
}

#[test]
fn a_capture_may_come_through_a_pipe() {
    let path = file("piped.pcap", &usual(&shots(frames())));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpguard"));
    command
        .args(["replay", "/dev/stdin", "--json"])
        .stdin(fs::File::open(path).unwrap());
    assert_eq!(run(&mut command), right());
}

#[test]
fn every_frame_has_a_line() {
    // Each on a connection of its own, so that none is judged by what came before.
    let frames = (0..512).map(|bits| {
        let frame = TcpFrame {
            ports: (40_000 + bits, 80),
            ..TcpFrame::ipv4()
        };
        frame.with_flags(TcpFlags::new(bits)).build()
    });
    let path = file("flags.pcap", &usual(&shots(frames)));
    let run = replay(&path, &["--json", "--pickup", "always"]);
    let column = column(&run, 512);
    let count = |wanted: &str| column.iter().filter(|cause| *cause == wanted).count();
    // A reset of which no connection is known passes where any may have been there before.
    assert_eq!((count("accept -"), count("ignore -")), (7 * 16, 2 * 16));
    let mut reasons = String::new();
    for (name, count) in [
        ("flags-null", 16),
        ("flags-syn-fin", 8 * 16),
        ("flags-syn-rst", 4 * 16),
        ("flags-fin-rst", 4 * 16),
        ("flags-xmas", 16),
        ("flags-fin-no-ack", 16),
        ("flags-no-ack", 16),
        ("flags-other", 3 * 16),
    ] {
        write!(reasons, r#","{name}":{count}"#).unwrap();
    }
    let summary = format!(
        r#"{{"summary":{{"frames":512,"tcp":512,"dropped":368,"reasons":{{{}}},"states":{}}}}}"#,
        &reasons[1..],
        concat!(
            r#"{"SYN-SENT":32,"SYN-SENT2":0,"SYN-RECEIVED":16,"ESTABLISHED":32,"FIN-WAIT":32,"#,
            r#""CLOSE-WAIT":0,"LAST-ACK":0,"TIME-WAIT":0,"CLOSED":0}"#
        )
    );
    assert_eq!(run.stdout.lines().last(), Some(summary.as_str()));
}
