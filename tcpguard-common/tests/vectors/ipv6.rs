//! IPv6: payload lengths, extension headers, fragments.

use tcpguard_common::{
    craft::{Extension, TcpFrame},
    reason::Reason,
    verdict::Bypass,
};

use super::{ETHERNET, Vector, patched};

const PAYLOAD_LENGTH: usize = ETHERNET + 4;
const NEXT_HEADER: usize = ETHERNET + 6;
const FIRST_EXTENSION: usize = ETHERNET + 40;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION: u8 = 60;

pub(super) fn vectors() -> Vec<Vector> {
    let extensions = [chains(), kinds(), wrong_chains()].concat();
    [
        payload_lengths(),
        big_tcp(),
        protocols(),
        extensions,
        fragments(),
        tiny_fragments(),
    ]
    .concat()
}

fn payload_lengths() -> Vec<Vector> {
    let frame = TcpFrame {
        payload: vec![b'x'; 10],
        ..TcpFrame::ipv6()
    };
    let with_length = |length: u16| patched(frame.build(), PAYLOAD_LENGTH, &length.to_be_bytes());
    let name = |length| format!("payload length {length} of 30");
    let dropped = |length, reason| Vector::dropped(name(length), with_length(length), reason);
    vec![
        dropped(0, Reason::BadLength),
        dropped(1, Reason::ShortHeader),
        dropped(19, Reason::ShortHeader),
        Vector::accepted_as(name(20), &frame, with_length(20)).with_payload(0),
        Vector::accepted_as(name(30), &frame, with_length(30)),
        dropped(31, Reason::BadLength),
        dropped(0xffff, Reason::BadLength),
    ]
}

/// Without its jumbo option, as Linux makes it for the driver (RFC 2675).
fn big_tcp() -> Vec<Vector> {
    let frame = TcpFrame::ipv6();
    let of = |octets: usize| {
        let mut packet = patched(frame.build(), PAYLOAD_LENGTH, &[0, 0]);
        packet.resize(FIRST_EXTENSION + octets, b'x');
        packet
    };
    let hop = frame
        .clone()
        .with_extensions(&[Extension::Options(HOP_BY_HOP, 8)]);
    let mut jumbogram = patched(hop.build(), PAYLOAD_LENGTH, &[0, 0]);
    jumbogram.resize(FIRST_EXTENSION + 65536, b'x');
    vec![
        Vector::dropped(
            "no payload length in 65535 octets",
            of(65535),
            Reason::BadLength,
        ),
        Vector::accepted_as("BIG TCP of 65536 octets, IPv6", &frame, of(65536)).with_payload(65516),
        Vector::accepted_as("a jumbogram", &hop, jumbogram).with_payload(65508),
        Vector::accepted("as much as the IPv6 field can say", &with_payload(65515)),
    ]
}

fn with_payload(octets: usize) -> TcpFrame {
    TcpFrame {
        payload: vec![b'x'; octets],
        ..TcpFrame::ipv6()
    }
}

fn protocols() -> Vec<Vector> {
    let other = |name: &str, next_header: u8| {
        let octets = patched(TcpFrame::ipv6().build(), NEXT_HEADER, &[next_header]);
        Vector::passed(format!("IPv6 with {name}"), octets, Bypass::NotTcp)
    };
    let behind = with_chain(&[Extension::Options(DESTINATION, 8)]);
    vec![
        other("UDP", 17),
        other("IPv4 inside", 4),
        other("IPv6 inside", 41),
        other("ESP", 50),
        other("ICMPv6", 58),
        other("no next header", 59),
        other("a number that nobody assigned", 253),
        Vector::passed(
            "UDP behind an extension header",
            patched(behind.build(), FIRST_EXTENSION, &[17]),
            Bypass::NotTcp,
        ),
        Vector::passed(
            "ESP behind an extension header",
            patched(behind.build(), FIRST_EXTENSION, &[50]),
            Bypass::NotTcp,
        ),
        Vector::passed(
            "version 4 under the EtherType of IPv6",
            patched(TcpFrame::ipv6().build(), ETHERNET, &[0x40]),
            Bypass::NotIp,
        ),
    ]
}

fn with_chain(chain: &[Extension]) -> TcpFrame {
    TcpFrame {
        payload: b"hello".to_vec(),
        ..TcpFrame::ipv6().with_extensions(chain)
    }
}

/// As many are walked as fit before TCP in a packet of 1500 octets: Linux goes on behind any number
/// (`the_parser_finds_every_segment_that_the_stack_finds`).
fn chains() -> Vec<Vector> {
    let of = |count| with_chain(&vec![Extension::Options(DESTINATION, 8); count]);
    let walked = (1..=9).chain([64, 180]);
    let mut vectors: Vec<_> = walked
        .map(|count| Vector::accepted(format!("{count} extension headers"), &of(count)))
        .collect();
    let (hidden, beyond) = (of(181).build(), of(180).build());
    let udp = patched(beyond, FIRST_EXTENSION + 179 * 8, &[17]);
    vectors.extend([
        Vector::passed("181 extension headers", hidden, Bypass::ExtensionChain),
        Vector::passed("UDP behind 180 extension headers", udp, Bypass::NotTcp),
        Vector::accepted(
            "long extension headers up to the end of a large frame",
            &with_chain(&[Extension::Options(DESTINATION, 1024); 3]),
        ),
    ]);
    vectors
}

fn kinds() -> Vec<Vector> {
    let in_order = [
        Extension::Options(HOP_BY_HOP, 8),
        Extension::Options(DESTINATION, 24),
        Extension::Options(ROUTING, 40),
        Extension::Fragment(0, false),
        Extension::Authentication(24),
        Extension::Options(DESTINATION, 16),
    ];
    let mut vectors = vec![
        Vector::accepted(
            "every kind in the order of RFC 8200",
            &with_chain(&in_order),
        ),
        Vector::accepted(
            "a long option",
            &with_chain(&[Extension::Options(DESTINATION, 2048)]),
        ),
    ];
    for number in [HOP_BY_HOP, ROUTING, DESTINATION, 135, 139, 140] {
        let frame = with_chain(&[Extension::Options(number, 16)]);
        vectors.push(Vector::accepted(
            format!("extension header {number}"),
            &frame,
        ));
    }
    // Its length counts words of four octets, two fewer than there are.
    for octets in [12, 16, 24, 44] {
        let frame = with_chain(&[Extension::Authentication(octets)]);
        vectors.push(Vector::accepted(
            format!("authentication header of {octets}"),
            &frame,
        ));
    }
    vectors
}

fn wrong_chains() -> Vec<Vector> {
    let frame = with_chain(&[Extension::Options(DESTINATION, 8)]);
    let long = patched(frame.build(), FIRST_EXTENSION + 1, &[255]);
    let to_the_end = patched(frame.build(), FIRST_EXTENSION + 1, &[3]);
    let short = patched(frame.build(), PAYLOAD_LENGTH, &[0, 7]);
    vec![
        // The packet has eight octets less than the header that it begins with.
        Vector::dropped(
            "an extension header behind the packet",
            long,
            Reason::BadLength,
        ),
        Vector::dropped(
            "an extension header up to the end",
            to_the_end,
            Reason::ShortHeader,
        ),
        Vector::dropped(
            "a packet shorter than its extension header",
            short,
            Reason::BadLength,
        ),
    ]
}

fn fragments() -> Vec<Vector> {
    let fragment = |offset, more| with_chain(&[Extension::Fragment(offset, more)]);
    let later =
        |name, offset, more| Vector::passed(name, fragment(offset, more).build(), Bypass::Fragment);
    let options = [
        Extension::Fragment(1, true),
        Extension::Options(DESTINATION, 8),
    ];
    let udp = patched(fragment(1, false).build(), FIRST_EXTENSION, &[17]);
    vec![
        // RFC 6946: the header says that there is only one fragment.
        Vector::accepted("an atomic fragment", &fragment(0, false)),
        Vector::accepted(
            "a first IPv6 fragment with the whole header",
            &fragment(0, true),
        ),
        later("an IPv6 fragment in the middle", 2, true),
        later("the last IPv6 fragment", 160, false),
        // What is at octet 8 is no TCP header then.
        Vector::passed(
            "an IPv6 fragment at octet 8 with options",
            with_chain(&options).build(),
            Bypass::Fragment,
        ),
        Vector::passed(
            "an IPv6 fragment at octet 8 of something else",
            udp,
            Bypass::Fragment,
        ),
    ]
}

/// As with IPv4 (RFC 7112 forbids them in IPv6 altogether).
fn tiny_fragments() -> Vec<Vector> {
    let first = TcpFrame::ipv6().with_extensions(&[Extension::Fragment(0, true)]);
    let mut vectors = Vec::new();
    for octets in [0, 8, 16] {
        let length = u16::to_be_bytes(8 + octets);
        let mut frame = patched(first.build(), PAYLOAD_LENGTH, &length);
        frame.truncate(FIRST_EXTENSION + 8 + usize::from(octets));
        let name = format!("a first IPv6 fragment with {octets} octets of TCP");
        vectors.push(Vector::dropped(name, frame, Reason::TinyFragment));
    }
    for more in [true, false] {
        let frame = with_chain(&[Extension::Fragment(1, more)]).build();
        let name = format!("an IPv6 fragment at octet 8, more to come: {more}");
        vectors.push(Vector::dropped(name, frame, Reason::TinyFragment));
    }
    let far = patched(first.build(), FIRST_EXTENSION + 8 + 12, &[0x60]);
    let name = "a first IPv6 fragment without the options";
    vectors.push(Vector::dropped(name, far, Reason::TinyFragment));
    vectors
}
