//! The TCP header: data offset, ports, and what is read of it.

use tcpguard_common::{craft::TcpFrame, flags::TcpFlags, reason::Reason};

use super::{ETHERNET, Vector, patched};

const DATA_OFFSET: usize = ETHERNET + 20 + 12;

pub(super) fn vectors() -> Vec<Vector> {
    [data_offsets(), options(), ports(), fields()].concat()
}

/// Of a segment of 40 octets.
fn data_offsets() -> Vec<Vector> {
    let frame = TcpFrame {
        payload: vec![0; 20],
        ..TcpFrame::ipv4()
    };
    (0..=15)
        .map(|offset: u8| {
            let octets = patched(frame.build(), DATA_OFFSET, &[offset << 4]);
            let name = format!("data offset {offset} in a segment of 40 octets");
            match offset {
                5..=10 => Vector::accepted_as(name, &frame, octets)
                    .with_payload(40 - 4 * u32::from(offset)),
                _ => Vector::dropped(name, octets, Reason::BadOffset),
            }
        })
        .collect()
}

fn options() -> Vec<Vector> {
    (0..=10)
        .map(|words| {
            let options = vec![1; 4 * words];
            let frame = TcpFrame {
                options,
                payload: b"hello".to_vec(),
                ..TcpFrame::ipv6()
            };
            Vector::accepted(format!("{words} words of TCP options"), &frame)
        })
        .collect()
}

fn ports() -> Vec<Vector> {
    let with_ports = |ports| TcpFrame {
        ports,
        ..TcpFrame::ipv4()
    };
    let zero = |name, ports| Vector::dropped(name, with_ports(ports).build(), Reason::PortZero);
    let null = TcpFrame {
        ports: (0, 80),
        ..TcpFrame::ipv6()
    }
    .with_flags(TcpFlags::NULL);
    vec![
        zero("source port zero", (0, 80)),
        zero("destination port zero", (40000, 0)),
        zero("both ports zero", (0, 0)),
        // The header comes before its flags.
        Vector::dropped("port zero and no flags", null.build(), Reason::PortZero),
        Vector::accepted("the lowest ports", &with_ports((1, 1))),
        Vector::accepted("the highest ports", &with_ports((65535, 65535))),
    ]
}

fn fields() -> Vec<Vector> {
    let numbers = [0, 1, 0x0102_0304, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    let mut vectors = Vec::new();
    for (at, seq) in numbers.into_iter().enumerate() {
        for base in [TcpFrame::ipv4(), TcpFrame::ipv6()] {
            let frame = TcpFrame {
                seq,
                ack: numbers[numbers.len() - 1 - at],
                window: u16::from_be_bytes([0xa5, 0x5a]) >> at,
                payload: vec![b'x'; 10 * at],
                ..base.with_flags(TcpFlags::ACK.with(TcpFlags::PSH))
            };
            let name = format!("numbers {seq} and {}, {}", frame.ack, frame.source);
            vectors.push(Vector::accepted(name, &frame));
        }
    }
    vectors
}
