//! Good frames that end too early, at every octet.

use tcpguard_common::{
    craft::{Extension, TcpFrame},
    parse::Link,
    reason::Reason,
    verdict::{Bypass, Verdict},
};

use super::Vector;

const NOT_IP: Verdict = Verdict::bypass(Bypass::NotIp);
const SHORT: Verdict = Verdict::dropped(Reason::ShortHeader);
const LENGTH: Verdict = Verdict::dropped(Reason::BadLength);

/// A good frame, and what it is taken for while it has fewer octets than each of these lengths:
/// without an `EtherType` for no IP; from there to the end of the IP headers for broken; and behind
/// them the IP length is more than what is there.
struct Case {
    name: &'static str,
    frame: TcpFrame,
    until: &'static [(usize, Verdict)],
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for Case { name, frame, until } in cases() {
        let whole = frame.build();
        for len in 0..whole.len() {
            let verdict = until
                .iter()
                .find(|(end, _)| len < *end)
                .map_or(LENGTH, |(_, it)| *it);
            let name = format!("{name} of {len} octets");
            let octets = whole[..len].to_vec();
            vectors.push(Vector::without_segment(name, octets, verdict).on(frame.link));
        }
        vectors.push(Vector::accepted(format!("{name}, whole"), &frame));
    }
    vectors
}

fn cases() -> Vec<Case> {
    let payload = b"hello".to_vec();
    let ipv4 = TcpFrame {
        payload: payload.clone(),
        ..TcpFrame::ipv4()
    };
    let ipv6 = TcpFrame {
        payload,
        ..TcpFrame::ipv6()
    };
    // Eight octets from 54 to 62, then sixteen to 78, then eight to 86: until the last one's first
    // eight are there, nobody knows what follows.
    let chain = [
        Extension::Options(0, 8),
        Extension::Options(60, 16),
        Extension::Options(43, 8),
    ];
    let case = |name, frame, until| Case { name, frame, until };
    vec![
        case("IPv4", ipv4.clone(), &[(14, NOT_IP), (34, SHORT)]),
        case(
            "IPv4 with options",
            TcpFrame {
                ipv4_options: 3,
                ..ipv4.clone()
            },
            &[(14, NOT_IP), (34, SHORT)],
        ),
        case(
            "VLAN",
            ipv4.clone().with_tags(&[(0x8100, 1)]),
            &[(18, NOT_IP), (38, SHORT)],
        ),
        case(
            "QinQ",
            ipv4.clone().with_tags(&[(0x88a8, 1), (0x8100, 2)]),
            &[(22, NOT_IP), (42, SHORT)],
        ),
        case("IPv6", ipv6.clone(), &[(14, NOT_IP), (54, SHORT)]),
        case(
            "IPv6 with extension headers",
            ipv6.clone().with_extensions(&chain),
            &[(14, NOT_IP), (86, SHORT)],
        ),
        // No IP packet has fewer than twenty octets, so a shorter one is not taken for one.
        case(
            "raw IPv4",
            TcpFrame {
                link: Link::RawIp,
                ..ipv4
            },
            &[(20, NOT_IP)],
        ),
        case(
            "raw IPv6",
            TcpFrame {
                link: Link::RawIp,
                ..ipv6
            },
            &[(20, NOT_IP), (40, SHORT)],
        ),
    ]
}
