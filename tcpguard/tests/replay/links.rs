//! Link types other than Ethernet.

use pcap_file::{Endianness, TsResolution};
use tcpguard_common::craft::TcpFrame;

use crate::{
    captures::{file, pcapng, replay},
    column, frames, pcap, shots, usual,
};

/// Other link types give the lines that Ethernet gives.
fn hold_link_type(link: u32, rewrite: impl Fn(&[u8]) -> Vec<u8>) {
    let ip: Vec<Vec<u8>> = frames()
        .into_iter()
        .filter(|it| it[12..14] != [8, 6])
        .collect();
    let ethernet = usual(&shots(ip.clone()));
    let other = shots(ip.iter().map(|octets| rewrite(octets)));
    let right = replay(
        &file(&format!("ethernet-{link}.pcap"), &ethernet),
        &["--json"],
    );
    for order in [Endianness::Little, Endianness::Big] {
        let octets = pcap(order, TsResolution::MicroSecond, link, &other);
        let path = file(&format!("link-{link}-{order:?}.pcap"), &octets);
        assert_eq!(replay(&path, &["--json"]), right, "link type {link}");
        let path = file(
            &format!("link-{link}-{order:?}.pcapng"),
            &pcapng(order, &[link], &other),
        );
        assert_eq!(
            replay(&path, &["--json"]),
            right,
            "link type {link} in pcapng"
        );
    }
}

#[test]
fn raw_ip_is_read() {
    for link in [101, 12, 14, 228, 229] {
        hold_link_type(link, |ethernet| ethernet[14..].to_vec());
    }
}

#[test]
fn linux_cooked_is_read() {
    hold_link_type(113, |ethernet| {
        let mut cooked = vec![0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
        cooked.extend_from_slice(&ethernet[12..]);
        cooked
    });
    hold_link_type(276, |ethernet| {
        let mut cooked = ethernet[12..14].to_vec();
        cooked.extend_from_slice(&[0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]);
        cooked.extend_from_slice(&ethernet[14..]);
        cooked
    });
}

#[test]
fn bsd_loopback_is_read_in_either_byte_order() {
    for inet6 in [10_u32, 24, 28, 30] {
        let family = |ethernet: &[u8]| if ethernet[12] == 0x86 { inet6 } else { 2 };
        let behind = |family: [u8; 4], ethernet: &[u8]| [&family, &ethernet[14..]].concat();
        hold_link_type(0, |octets| behind(family(octets).to_le_bytes(), octets));
        hold_link_type(0, |octets| behind(family(octets).to_be_bytes(), octets));
        hold_link_type(108, |octets| behind(family(octets).to_be_bytes(), octets));
    }
}

#[test]
fn what_is_not_ip_in_a_cooked_capture_is_not_taken_for_it() {
    let tagged = TcpFrame::ipv4().with_tags(&[(0x8100, 7)]).build();
    let packet = TcpFrame::ipv4().build().split_off(14);
    let cooked = |protocol: [u8; 2], rest: &[u8]| [&[0; 14], protocol.as_slice(), rest].concat();
    let frames = [
        cooked([0x08, 0x06], &packet),
        cooked([0x81, 0x00], &tagged[14..]),
        cooked([0x08, 0x00], &packet)[..15].to_vec(),
    ];
    let octets = pcap(
        Endianness::Big,
        TsResolution::MicroSecond,
        113,
        &shots(frames),
    );
    let run = replay(&file("cooked.pcap", &octets), &["--json"]);
    let verdicts = column(&run, 3);
    assert_eq!(verdicts, ["bypass not-ip", "accept -", "bypass not-ip"]);
}
