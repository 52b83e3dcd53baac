//! Flag sets, in every way in which they can be wrapped.

use tcpguard_common::{craft::TcpFrame, flags::TcpFlags, parse::Link, verdict::Verdict};

use super::{Vector, classes::offence};

/// All 512 sets in IPv4, IPv6, VLAN, QinQ and without a link layer.
pub(super) fn vectors() -> Vec<Vector> {
    let wrappings = [
        ("IPv4", TcpFrame::ipv4()),
        ("IPv6", TcpFrame::ipv6()),
        ("VLAN", TcpFrame::ipv4().with_tags(&[(0x8100, 7)])),
        (
            "QinQ",
            TcpFrame::ipv6().with_tags(&[(0x88a8, 7), (0x8100, 8)]),
        ),
        (
            "raw IP",
            TcpFrame {
                link: Link::RawIp,
                ..TcpFrame::ipv4()
            },
        ),
    ];
    let mut vectors = Vec::new();
    for (wrapping, frame) in wrappings {
        for bits in 0..512 {
            let flags = TcpFlags::new(bits);
            let frame = frame.clone().with_flags(flags);
            let verdict = offence(bits).map_or(Verdict::ACCEPT, Verdict::dropped);
            let name = format!("{wrapping}, flags {flags}");
            vectors.push(Vector::segment(name, &frame, frame.build(), verdict));
        }
    }
    vectors
}
