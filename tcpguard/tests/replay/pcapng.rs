//! What only pcapng files have: blocks, sections, interfaces with clocks of their own.

use pcap_file::Endianness;
use tcpguard_common::craft::TcpFrame;

use crate::{
    ETHERNET,
    captures::{file, pcapng, replay},
    column, shots,
};

#[test]
fn each_interface_of_a_pcapng_file_has_its_link_type() {
    let ethernet = TcpFrame::ipv4().build();
    let mut shots = shots([ethernet.clone(), ethernet[14..].to_vec()]);
    shots[1].interface = 1;
    let path = file(
        "two.pcapng",
        &pcapng(Endianness::Little, &[ETHERNET, 101], &shots),
    );
    assert_eq!(
        column(&replay(&path, &["--json"]), 2),
        ["accept -", "accept -"]
    );
}

/// A block of a pcapng file, little endian, its body filled up to words of four octets.
fn block(block_type: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let len = u32::try_from(body.len() + 12)
        .expect("a block is short")
        .to_le_bytes();
    [&block_type.to_le_bytes(), &len, body.as_slice(), &len].concat()
}

pub(crate) fn section() -> Vec<u8> {
    let magic = 0x1a2b_3c4d_u32.to_le_bytes();
    block(
        0x0a0d_0d0a,
        &[magic.as_slice(), &[1, 0, 0, 0], &[0xff; 8]].concat(),
    )
}

/// An interface with Ethernet, a snap length and options.
pub(crate) fn interface(snap_len: u32, options: &[u8]) -> Vec<u8> {
    block(
        1,
        &[&[1, 0, 0, 0], snap_len.to_le_bytes().as_slice(), options].concat(),
    )
}

/// An enhanced packet of the first interface.
pub(crate) fn packet(units: u64, octets: &[u8], options: &[u8]) -> Vec<u8> {
    let len = u32::try_from(octets.len())
        .expect("a frame is short")
        .to_le_bytes();
    let [a, b, c, d, high @ ..] = units.to_le_bytes();
    let mut body = [&[0; 4], high.as_slice(), &[a, b, c, d], &len, &len, octets].concat();
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend_from_slice(options);
    block(6, &body)
}

#[test]
fn clocks_of_pcapng_interfaces_are_honoured() {
    let frame = TcpFrame::ipv4().build();
    // Option 9 is the resolution, 14 an offset in seconds.
    for (units, options, printed) in [
        (1_500_000, vec![], "1.5"),
        (1500, vec![9, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0], "1.5"),
        (3 << 9, vec![9, 0, 1, 0, 0x8a, 0, 0, 0], "1.5"),
        (1_500_000_000_001, vec![9, 0, 1, 0, 12, 0, 0, 0], "1.5"),
        (500_000, vec![14, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0], "1.5"),
        (
            u64::MAX,
            vec![9, 0, 1, 0, 0, 0, 0, 0],
            "18446744073709551615.0",
        ),
    ] {
        let octets = [
            section(),
            interface(0, &options),
            packet(units, &frame, &[]),
        ]
        .concat();
        let run = replay(&file("clock.pcapng", &octets), &["--json"]);
        let wanted = format!(r#""ts":{printed},"#);
        assert!(run.stdout.contains(&wanted), "{options:?}: {run:?}");
    }
}

#[test]
fn other_blocks_and_broken_comments_are_passed_over() {
    let frame = TcpFrame::ipv4().build();
    let comment = [1, 0, 2, 0, 0xff, 0xfe, 0, 0, 0, 0, 0, 0];
    let wire_len = u32::try_from(frame.len()).unwrap().to_le_bytes();
    let octets = [
        section(),
        interface(54, &comment),
        block(4, &[0; 8]),
        packet(0, &frame, &comment),
        block(0x0bad, b"of some program"),
        // A simple packet: the length on the wire, and as much as the snap length lets through.
        block(3, &[wire_len.as_slice(), &frame].concat()),
        section(),
        interface(0, &[]),
        packet(7, &frame, &[]),
    ];
    let run = replay(&file("blocks.pcapng", &octets.concat()), &["--json"]);
    assert_eq!(column(&run, 3), ["accept -"; 3]);
}
