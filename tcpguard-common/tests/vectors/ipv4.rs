//! IPv4: header lengths, total lengths, fragments.

use tcpguard_common::{
    craft::TcpFrame,
    reason::Reason,
    verdict::{Bypass, Verdict},
};

use super::{ETHERNET, Vector, patched};

const VERSION_AND_IHL: usize = ETHERNET;
const TOTAL_LENGTH: usize = ETHERNET + 2;
const FRAGMENT: usize = ETHERNET + 6;
const PROTOCOL: usize = ETHERNET + 9;

pub(super) fn vectors() -> Vec<Vector> {
    let [options, lies] = [header_lengths(), wrong_header_lengths()];
    [
        options,
        lies,
        total_lengths(),
        big_tcp(),
        protocols(),
        fragments(),
        tiny_fragments(),
    ]
    .concat()
}

fn header_lengths() -> Vec<Vector> {
    let with_options = |words| TcpFrame {
        ipv4_options: words,
        ..TcpFrame::ipv4()
    };
    (0..=10)
        .map(|words| Vector::accepted(format!("{words} words of options"), &with_options(words)))
        .collect()
}

/// IHL of a packet of 40 octets that has no options: the TCP header seems to begin elsewhere.
fn wrong_header_lengths() -> Vec<Vector> {
    (0..=15)
        .map(|ihl: u8| {
            let octets = patched(TcpFrame::ipv4().build(), VERSION_AND_IHL, &[0x40 | ihl]);
            let name = format!("IHL {ihl} in a packet of 40 octets");
            match ihl {
                0..=4 => Vector::dropped(name, octets, Reason::BadOffset),
                5 => Vector::accepted_as(name, &TcpFrame::ipv4(), octets),
                // Less than a TCP header is left of the packet,
                6..=10 => Vector::dropped(name, octets, Reason::ShortHeader),
                // or less than nothing.
                11.. => Vector::dropped(name, octets, Reason::BadLength),
            }
        })
        .collect()
}

fn total_lengths() -> Vec<Vector> {
    let frame = TcpFrame {
        payload: vec![b'x'; 10],
        ..TcpFrame::ipv4()
    };
    let with_length = |length: u16| patched(frame.build(), TOTAL_LENGTH, &length.to_be_bytes());
    let name = |length| format!("total length {length} of 50");
    let dropped = |length, reason| Vector::dropped(name(length), with_length(length), reason);
    vec![
        // Zero is for packets of more than 65535 octets alone.
        dropped(0, Reason::BadLength),
        dropped(1, Reason::BadLength),
        dropped(19, Reason::BadLength),
        dropped(20, Reason::ShortHeader),
        dropped(39, Reason::ShortHeader),
        Vector::accepted_as(name(40), &frame, with_length(40)).with_payload(0),
        Vector::accepted_as(name(49), &frame, with_length(49)).with_payload(9),
        Vector::accepted_as(name(50), &frame, with_length(50)),
        dropped(51, Reason::BadLength),
        dropped(0xffff, Reason::BadLength),
    ]
}

/// A packet of more octets than its field can say declares none (Linux, GSO and GRO above 64 KiB).
fn big_tcp() -> Vec<Vector> {
    let frame = TcpFrame::ipv4();
    let of = |octets: usize| {
        let mut packet = patched(frame.build(), TOTAL_LENGTH, &[0, 0]);
        packet.resize(ETHERNET + octets, b'x');
        packet
    };
    vec![
        Vector::dropped(
            "no total length in 65535 octets",
            of(65535),
            Reason::BadLength,
        ),
        Vector::accepted_as("BIG TCP of 65536 octets", &frame, of(65536)).with_payload(65496),
        Vector::accepted_as("BIG TCP of 70000 octets", &frame, of(70000)).with_payload(69960),
        Vector::accepted("a jumbo frame", &with_payload(8960)),
        Vector::accepted("as much as the field can say", &with_payload(65495)),
    ]
}

fn with_payload(octets: usize) -> TcpFrame {
    TcpFrame {
        payload: vec![b'x'; octets],
        ..TcpFrame::ipv4()
    }
}

fn protocols() -> Vec<Vector> {
    let other = |name: &str, protocol: u8| {
        let octets = patched(TcpFrame::ipv4().build(), PROTOCOL, &[protocol]);
        Vector::passed(format!("IPv4 with {name}"), octets, Bypass::NotTcp)
    };
    vec![
        other("ICMP", 1),
        other("IPv4 inside", 4),
        other("UDP", 17),
        other("IPv6 inside", 41),
        other("GRE", 47),
        other("ESP", 50),
        other("SCTP", 132),
    ]
}

fn fragments() -> Vec<Vector> {
    let fragment = |offset, more| TcpFrame {
        ipv4_fragment: (offset, more),
        payload: vec![b'x'; 24],
        ..TcpFrame::ipv4()
    };
    let later =
        |name, offset, more| Vector::passed(name, fragment(offset, more).build(), Bypass::Fragment);
    let udp = patched(fragment(1, false).build(), PROTOCOL, &[17]);
    let dont_fragment = patched(fragment(0, false).build(), FRAGMENT, &[0x40, 0]);
    vec![
        Vector::accepted("a first fragment with the whole header", &fragment(0, true)),
        Vector::accepted_as(
            "a packet that must not be fragmented",
            &fragment(0, false),
            dont_fragment,
        ),
        later("a fragment in the middle", 2, true),
        later("the last fragment", 185, false),
        later("a fragment as far out as can be", 0x1fff, false),
        Vector::passed(
            "a fragment at octet 8 of something else",
            udp,
            Bypass::NotTcp,
        ),
    ]
}

/// What hides the flags from a filter that looks at first fragments (RFC 1858 section 3).
fn tiny_fragments() -> Vec<Vector> {
    let tiny = Verdict::dropped(Reason::TinyFragment);
    let mut vectors = Vec::new();
    for more in [true, false] {
        let frame = TcpFrame {
            ipv4_fragment: (1, more),
            ..TcpFrame::ipv4()
        };
        let name = format!("a fragment at octet 8, more to come: {more}");
        vectors.push(Vector::without_segment(name, frame.build(), tiny));
    }
    let first = TcpFrame {
        ipv4_fragment: (0, true),
        ..TcpFrame::ipv4()
    };
    for octets in [0, 8, 16] {
        let length = u16::to_be_bytes(20 + octets);
        let mut frame = patched(first.build(), TOTAL_LENGTH, &length);
        frame.truncate(ETHERNET + 20 + usize::from(octets));
        let name = format!("a first fragment with {octets} octets of TCP");
        vectors.push(Vector::without_segment(name, frame, tiny));
    }
    let far = patched(first.build(), ETHERNET + 20 + 12, &[0x60]);
    vectors.push(Vector::without_segment(
        "a first fragment without the options",
        far,
        tiny,
    ));
    let near = patched(first.build(), ETHERNET + 20 + 12, &[0x40]);
    vectors.push(Vector::dropped(
        "a first fragment, data offset 4",
        near,
        Reason::BadOffset,
    ));
    vectors
}
