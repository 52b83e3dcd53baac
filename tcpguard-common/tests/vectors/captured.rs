//! Frames that a capture cut: what is not there is not broken.

use tcpguard_common::{
    craft::{Extension, TcpFrame},
    parse::Link,
    reason::Reason,
    verdict::Bypass,
};

use super::{ETHERNET, Vector, patched};

pub(super) fn vectors() -> Vec<Vector> {
    let payload = vec![b'x'; 1000];
    let ipv4 = TcpFrame {
        payload: payload.clone(),
        ..TcpFrame::ipv4()
    };
    let ipv6 = TcpFrame {
        payload,
        ..TcpFrame::ipv6()
    };
    let chain = [Extension::Options(0, 8), Extension::Authentication(24)];
    let mut vectors = [
        cut("IPv4", &ipv4),
        cut(
            "IPv4 with options",
            &TcpFrame {
                ipv4_options: 10,
                ..ipv4.clone()
            },
        ),
        cut("QinQ", &ipv4.clone().with_tags(&[(0x88a8, 1), (0x8100, 2)])),
        cut("IPv6 with extension headers", &ipv6.with_extensions(&chain)),
        cut(
            "raw IPv4",
            &TcpFrame {
                link: Link::RawIp,
                ..ipv4.clone()
            },
        ),
    ]
    .concat();
    vectors.extend(told_by_what_is_left(&ipv4));
    vectors
}

/// Every number of octets up to and a little beyond the fixed TCP header; its options may be cut.
fn cut(name: &str, frame: &TcpFrame) -> Vec<Vector> {
    let frame = TcpFrame {
        options: vec![1; 12],
        ..frame.clone()
    };
    let whole = frame.build();
    let headers = frame.tcp_offset() + 20;
    (0..headers + 20)
        .map(|kept| {
            let name = format!("{name}, {kept} octets kept");
            let octets = whole[..kept].to_vec();
            let vector = if kept < headers {
                Vector::passed(name, octets, Bypass::Unreadable).on(frame.link)
            } else {
                Vector::accepted_as(name, &frame, octets)
            };
            vector.cut_from(whole.len())
        })
        .collect()
}

/// A cut frame is still judged by the headers that are there.
fn told_by_what_is_left(frame: &TcpFrame) -> Vec<Vector> {
    let wire_len = frame.build().len();
    let mut kept = frame.build();
    kept.truncate(ETHERNET + 40);
    let with_length = |length: u16| patched(kept.clone(), ETHERNET + 2, &length.to_be_bytes());
    let udp = patched(kept[..ETHERNET + 20].to_vec(), ETHERNET + 9, &[17]);
    let arp = patched(kept[..ETHERNET].to_vec(), 12, &[0x08, 0x06]);
    vec![
        Vector::passed("cut UDP", udp, Bypass::NotTcp).cut_from(wire_len),
        Vector::passed("cut ARP", arp, Bypass::NotIp).cut_from(wire_len),
        Vector::accepted_as(
            "cut, total length of what was on the wire",
            frame,
            with_length(1040),
        )
        .cut_from(wire_len),
        Vector::dropped(
            "cut, total length beyond",
            with_length(1041),
            Reason::BadLength,
        )
        .cut_from(wire_len),
        Vector::accepted_as("cut in its padding", frame, with_length(40))
            .with_payload(0)
            .cut_from(wire_len),
    ]
}
