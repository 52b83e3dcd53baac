//! Files that cannot be read, or not to their end.

use std::path::Path;

use pcap_file::{Endianness, TsResolution};
use tcpguard_common::craft::TcpFrame;

use crate::{
    ETHERNET, LINES,
    captures::{file, pcapng, replay},
    frames, pcap,
    pcapng::{interface, packet, section},
    shots, usual,
};

/// The frames before an error are printed, the summary is not, and the status is 2.
fn hold_error(name: &str, octets: &[u8], frames: usize, message: &str) {
    let path = file(name, octets);
    let run = replay(&path, &["--json"]);
    assert_eq!(run.status, Some(2), "{name}: {run:?}");
    let lines: String = LINES.split_inclusive('\n').take(frames).collect();
    assert_eq!(run.stdout, lines, "{name}");
    let wanted = message.replace("FILE", &path.display().to_string());
    assert_eq!(run.stderr, format!("error: {wanted}\n"), "{name}");
}

#[test]
fn a_truncated_file_names_the_frame_that_it_ends_in() {
    let mut octets = usual(&shots(frames()));
    octets.pop();
    let message = "FILE: frame 7: the file ends inside of it, 52 of 53 octets are there";
    hold_error("truncated.pcap", &octets, 6, message);
    octets.truncate(24 + 16 + 54 + 15);
    let message = "FILE: frame 2: the file ends inside of it, 15 of 16 octets are there";
    hold_error("truncated-header.pcap", &octets, 1, message);
    octets.truncate(23);
    let message = "failed to read FILE: header of the file: the file ends inside of it, \
                   19 of 20 octets are there";
    hold_error("truncated-file-header.pcap", &octets, 0, message);

    let mut octets = pcapng(Endianness::Big, &[ETHERNET], &shots(frames()));
    octets.pop();
    let message = "FILE: frame 7: the file ends inside of it, 79 of 80 octets are there";
    hold_error("truncated.pcapng", &octets, 6, message);
    let octets = [section(), interface(0, &[])].concat();
    let message = "FILE: frame 1: block before it: the file ends inside of it, \
                   9 of 12 octets are there";
    hold_error(
        "truncated-block.pcapng",
        &octets[..octets.len() - 3],
        0,
        message,
    );
}

#[test]
fn a_damaged_file_is_told_from_a_truncated_one() {
    let mut octets = usual(&shots(frames()));
    octets[24 + 8..24 + 12].fill(0xff);
    let message = "FILE: frame 1: its length field says 4294967295 octets, which no frame has: \
                   the file is damaged";
    hold_error("damaged.pcap", &octets, 0, message);

    let frame = packet(0, &TcpFrame::ipv4().build(), &[]);
    let octets = [section(), frame.clone()].concat();
    let message = "FILE: frame 1: it came by interface 0, which is not described";
    hold_error("no-interface.pcapng", &octets, 0, message);

    let mut octets = [section(), interface(0, &[]), frame].concat();
    *octets.last_mut().unwrap() = 1;
    let message = "FILE: frame 1: a block begins with length 88 and ends with 16777304: damaged";
    hold_error("damaged.pcapng", &octets, 0, message);
}

#[test]
fn what_is_no_capture_is_refused_with_a_way_out() {
    let message = "failed to read FILE: the file is empty";
    hold_error("empty.pcap", &[], 0, message);
    let message = "failed to read FILE: not a capture, it begins with [1f, 8b, 08, 00]; \
                   it is compressed, unpack it with gunzip first";
    hold_error(
        "compressed.pcap",
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0],
        0,
        message,
    );
    let message = "failed to read FILE: not a capture, it begins with [23, 21, 2f, 62]; \
                   make a pcap or pcapng file of it, for instance with editcap";
    hold_error("script.pcap", b"#!/bin/sh\n", 0, message);

    let missing = Path::new("/nonexistent/missing.pcap");
    let run = replay(missing, &[]);
    let message = "error: failed to open /nonexistent/missing.pcap: No such file or directory";
    assert!(run.stderr.starts_with(message), "{}", run.stderr);
    assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""));
    assert_eq!(replay(Path::new("/"), &[]).status, Some(2));
}

#[test]
fn a_link_type_that_is_not_supported_is_named() {
    let shots = shots(frames());
    let octets = pcap(Endianness::Little, TsResolution::MicroSecond, 127, &shots);
    let message = "FILE: frame 1: link type 127 (IEEE802_11_RADIOTAP) is not supported; Ethernet, \
                   raw IP, Linux cooked and BSD loopback are: capture on another interface, or \
                   rewrite the file";
    hold_error("radiotap.pcap", &octets, 0, message);
    let mut other = shots.clone();
    other[2].interface = 1;
    let octets = pcapng(Endianness::Little, &[ETHERNET, 9], &other);
    let message = "FILE: frame 3: link type 9 (PPP) is not supported; Ethernet, raw IP, Linux \
                   cooked and BSD loopback are: capture on another interface, or rewrite the file";
    hold_error("ppp.pcapng", &octets, 2, message);
}
