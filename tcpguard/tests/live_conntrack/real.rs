//! What real stacks send to each other, frame by frame.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use xtask::lab::{
    client::request,
    conntrack::Side,
    link::{Station, VethOptions, veth},
    namespace::Namespace,
    packet::PacketSocket,
    web::WebServer,
};

use super::peer::{Sent, Who};

const PORT: u16 = 80;
/// Octets of each answer: many windows.
const ANSWER: usize = 300_000;
/// Room for a frame that nobody has put together from several.
const LARGEST: usize = 2048;

/// The frames of some requests over both families.
pub(crate) fn requests() -> Vec<Sent> {
    let [client, server] = ["client", "server"].map(|label| Namespace::new(label).unwrap());
    let ends = [(&client, Side::West, "west"), (&server, Side::East, "east")];
    veth((&client, "west"), (&server, "east"), VethOptions::default()).unwrap();
    for (namespace, _, interface) in ends {
        leave_work_to_the_stack(namespace, interface);
    }
    introduce(ends[0], ends[1]);
    introduce(ends[1], ends[0]);
    let tap = PacketSocket::receiving(&server, "east").unwrap();
    let web = WebServer::start(&server, PORT, ANSWER).unwrap();
    for address in Side::East.addresses(2) {
        for _ in 0..3 {
            request(&client, SocketAddr::new(address, PORT)).unwrap();
        }
    }
    assert_eq!(web.answered(), 6);
    frames(&tap)
}

/// Without offloads, frames are on the wire as other hosts see them: of the usual size, and with
/// their checksums.
fn leave_work_to_the_stack(namespace: &Namespace, interface: &str) {
    let mut ethtool = namespace.command("ethtool");
    ethtool.args([
        "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off",
    ]);
    assert!(ethtool.status().unwrap().success(), "{ethtool:?}");
}

/// Gives one end its addresses and tells it of the other.
fn introduce(one: (&Namespace, Side, &str), two: (&Namespace, Side, &str)) {
    let station = |(namespace, side, interface): (_, Side, _)| Station {
        namespace,
        interface,
        addresses: side.addresses(2).to_vec(),
    };
    station(one).assign().unwrap();
    let (namespace, _, interface) = one;
    let routes = two
        .1
        .addresses(2)
        .map(|address| format!("route add {address} dev {interface}\n"));
    namespace.configure(&routes.concat()).unwrap();
    station(one).knows(&station(two)).unwrap();
}

/// What the tap has seen of TCP.
fn frames(tap: &PacketSocket) -> Vec<Sent> {
    let mut frames = Vec::new();
    let mut buffer = [0; LARGEST];
    while let Some(len) = tap.receive(&mut buffer).unwrap() {
        let frame = &buffer[..len];
        if let Some(from) = [Side::West, Side::East]
            .into_iter()
            .find(|side| sent_by(*side, frame))
        {
            frames.push(Sent {
                from,
                octets: frame.to_vec(),
                who: Who::Honest,
                now: Duration::ZERO,
            });
        }
    }
    frames
}

/// Whether it is a TCP segment without extension headers from an end.
fn sent_by(side: Side, frame: &[u8]) -> bool {
    let [ipv4, ipv6] = side.addresses(2);
    let is = |address: IpAddr, at: usize| match address {
        IpAddr::V4(address) => frame.get(at..at + 4) == Some(&address.octets()),
        IpAddr::V6(address) => frame.get(at..at + 16) == Some(&address.octets()),
    };
    match frame.get(12..14) {
        Some([0x08, 0x00]) => frame.get(23) == Some(&6) && is(ipv4, 26),
        Some([0x86, 0xdd]) => frame.get(20) == Some(&6) && is(ipv6, 22),
        _ => false,
    }
}
