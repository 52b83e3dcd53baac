//! What stands before the IP header, and behind the packet.

use tcpguard_common::{craft::TcpFrame, parse::Link, verdict::Bypass};

use super::{Vector, patched};

pub(super) fn vectors() -> Vec<Vector> {
    [ether_types(), tags(), priority_tags(), padding(), raw_ip()].concat()
}

fn ether_types() -> Vec<Vector> {
    let frame = TcpFrame::ipv4().build();
    let other = |name: &str, ether_type: u16| {
        let octets = patched(frame.clone(), 12, &ether_type.to_be_bytes());
        Vector::passed(name, octets, Bypass::NotIp)
    };
    vec![
        other("ARP", 0x0806),
        other("LLDP", 0x88cc),
        other("MPLS", 0x8847),
        other("PPPoE", 0x8864),
        other("IEEE 802.3 with a length", 0x002e),
        // The EtherType and the version contradict each other: the stack passes neither on to TCP.
        other("IPv6 by its EtherType, IPv4 by its version", 0x86dd),
        Vector::passed("no octet at all", Vec::new(), Bypass::NotIp),
    ]
}

fn tags() -> Vec<Vector> {
    let tagged = |tags: &[(u16, u16)]| TcpFrame::ipv4().with_tags(tags);
    let arp = patched(tagged(&[(0x8100, 1)]).build(), 16, &[0x08, 0x06]);
    vec![
        Vector::accepted("a customer tag", &tagged(&[(0x8100, 0x0fff)])),
        Vector::accepted("a service tag alone", &tagged(&[(0x88a8, 1)])),
        Vector::accepted(
            "a service and a customer tag",
            &tagged(&[(0x88a8, 1), (0x8100, 2)]),
        ),
        Vector::accepted("two customer tags", &tagged(&[(0x8100, 1), (0x8100, 2)])),
        Vector::passed(
            "three tags",
            tagged(&[(0x88a8, 1), (0x8100, 2), (0x8100, 3)]).build(),
            Bypass::VlanDepth,
        ),
        Vector::passed("ARP behind a tag", arp, Bypass::NotIp),
        // The parser knows no tag of that kind: to it this is another protocol.
        Vector::passed(
            "a tag of the old QinQ",
            tagged(&[(0x9100, 1)]).build(),
            Bypass::NotIp,
        ),
    ]
}

/// Tags that name no VLAN, of which Linux takes off any number
/// (`the_parser_finds_every_segment_that_the_stack_finds`).
fn priority_tags() -> Vec<Vector> {
    const CLASS_OF_SERVICE: u16 = 0xe000;
    let tagged = |tags: &[(u16, u16)]| TcpFrame::ipv4().with_tags(tags);
    let many = |count: usize| tagged(&vec![(0x8100, 0); count]);
    let mut vectors: Vec<_> = [1, 2, 3, 4, 60, 366]
        .map(|count| Vector::accepted(format!("{count} priority tags"), &many(count)))
        .into();
    let accepted = [
        [(0x88a8, 1), (0x8100, 2), (0x8100, 0), (0x8100, 0)],
        [(0x8100, 0), (0x88a8, 0), (0x88a8, 1), (0x8100, 2)],
        [
            (0x8100, 1),
            (0x8100, 0),
            (0x8100, CLASS_OF_SERVICE),
            (0x8100, 2),
        ],
    ];
    for tags in accepted {
        let name = format!("two VLANs among priority tags, {tags:x?}");
        vectors.push(Vector::accepted(name, &tagged(&tags)));
    }
    let third = [(0x8100, 1), (0x8100, 0), (0x8100, 2), (0x8100, 3)];
    let ipv6 = TcpFrame {
        padding: 9,
        ..TcpFrame::ipv6().with_tags(&[(0x8100, 0); 5])
    };
    let mut cut = many(5).build();
    cut.truncate(14 + 4 * 4 + 3);
    vectors.extend([
        Vector::accepted("IPv6 behind five priority tags", &ipv6),
        Vector::passed(
            "three VLANs among priority tags",
            tagged(&third).build(),
            Bypass::VlanDepth,
        ),
        Vector::passed("367 priority tags", many(367).build(), Bypass::VlanDepth),
        Vector::passed("a frame that ends in its fifth tag", cut, Bypass::NotIp),
    ]);
    vectors
}

/// Ethernet fills frames up to 60 octets; the payload is told by the IP header.
fn padding() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (family, frame) in [("IPv4", TcpFrame::ipv4()), ("IPv6", TcpFrame::ipv6())] {
        for (payload, padding) in [(0, 6), (0, 400), (1, 5), (100, 8)] {
            let frame = TcpFrame {
                payload: vec![b'x'; payload],
                padding,
                ..frame.clone()
            };
            let name = format!("{family}, {payload} octets of payload, {padding} of padding");
            vectors.push(Vector::accepted(name, &frame));
        }
    }
    vectors
}

fn raw_ip() -> Vec<Vector> {
    let raw = |frame| TcpFrame {
        link: Link::RawIp,
        ..frame
    };
    let version = |version: u8| {
        let octets = patched(raw(TcpFrame::ipv4()).build(), 0, &[version << 4 | 5]);
        let name = format!("raw packet of version {version}");
        Vector::passed(name, octets, Bypass::NotIp).on(Link::RawIp)
    };
    vec![
        Vector::accepted("raw IPv4", &raw(TcpFrame::ipv4())),
        Vector::accepted("raw IPv6", &raw(TcpFrame::ipv6())),
        Vector::accepted(
            "raw IPv4, padded",
            &TcpFrame {
                padding: 9,
                ..raw(TcpFrame::ipv4())
            },
        ),
        version(0),
        version(5),
        version(15),
        Vector::passed(
            "Ethernet where there is none",
            TcpFrame::ipv4().build(),
            Bypass::NotIp,
        )
        .on(Link::RawIp),
    ]
}
