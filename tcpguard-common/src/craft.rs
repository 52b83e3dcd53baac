//! Frames made octet by octet: for tests, benchmarks and the lab. Never part of a guard.
//!
//! Headers are right in every field, checksums included, unless a field is set otherwise; so a
//! frame that differs from a good one in its flags differs in nothing else.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test or a lab that asks for an impossible frame should stop there"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    flags::TcpFlags,
    parse::Link,
    wire::{ethernet, ipv4, ipv6, tcp},
};

/// An extension header to put between the IPv6 header and TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Hop-by-hop, destination options, routing and the like, by number, with so many octets (a
    /// multiple of eight).
    Options(u8, u16),
    /// Authentication header of so many octets (a multiple of four).
    Authentication(u16),
    /// Fragment header: offset in units of eight octets, and whether more follow.
    Fragment(u16, bool),
}

/// A frame with a TCP segment. Fill in what matters; `build` gives the octets.
#[derive(Clone, Debug)]
pub struct TcpFrame {
    /// What the frame begins with.
    pub link: Link,
    /// Destination and source of the Ethernet header.
    pub macs: ([u8; 6], [u8; 6]),
    /// VLAN tags, outermost first: `EtherType` and VLAN number.
    pub tags: Vec<(u16, u16)>,
    /// Source address; both must be of one family.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IPv4 options in words of four octets, 0 to 10.
    pub ipv4_options: usize,
    /// IPv4 fragment: offset in units of eight octets, and whether more follow.
    pub ipv4_fragment: (u16, bool),
    /// IPv6 extension headers.
    pub extensions: Vec<Extension>,
    /// Source and destination port.
    pub ports: (u16, u16),
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// The nine flags.
    pub flags: TcpFlags,
    /// Window, not scaled.
    pub window: u16,
    /// TCP options, a multiple of four octets.
    pub options: Vec<u8>,
    /// Payload.
    pub payload: Vec<u8>,
    /// Octets behind the IP packet: Ethernet padding.
    pub padding: usize,
}

impl TcpFrame {
    /// A SYN between two documentation addresses (RFC 5737).
    #[must_use]
    pub fn ipv4() -> Self {
        Self::between(
            Ipv4Addr::new(192, 0, 2, 1).into(),
            Ipv4Addr::new(192, 0, 2, 2).into(),
        )
    }

    /// A SYN between two documentation addresses (RFC 3849).
    #[must_use]
    pub fn ipv6() -> Self {
        let net = [0x2001, 0x0db8, 0, 0, 0, 0, 0];
        let host = |n| Ipv6Addr::new(net[0], net[1], net[2], net[3], net[4], net[5], net[6], n);
        Self::between(host(1).into(), host(2).into())
    }

    /// A SYN from `source` to `destination`, port 40000 to port 80.
    #[must_use]
    pub fn between(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            link: Link::Ethernet,
            macs: ([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]),
            tags: Vec::new(),
            source,
            destination,
            ipv4_options: 0,
            ipv4_fragment: (0, false),
            extensions: Vec::new(),
            ports: (40000, 80),
            seq: 1000,
            ack: 0,
            flags: TcpFlags::SYN,
            window: 64240,
            options: Vec::new(),
            payload: Vec::new(),
            padding: 0,
        }
    }

    /// The same frame with these flags.
    #[must_use]
    pub fn with_flags(mut self, flags: TcpFlags) -> Self {
        self.flags = flags;
        self
    }

    /// The same frame behind these VLAN tags.
    #[must_use]
    pub fn with_tags(mut self, tags: &[(u16, u16)]) -> Self {
        self.tags = tags.to_vec();
        self
    }

    /// The same frame with these IPv6 extension headers.
    #[must_use]
    pub fn with_extensions(mut self, extensions: &[Extension]) -> Self {
        self.extensions = extensions.to_vec();
        self
    }

    /// The octets of the frame.
    ///
    /// # Panics
    /// If the addresses are of different families or a length does not fit its field.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut frame = Vec::new();
        if self.link == Link::Ethernet {
            self.put_ethernet(&mut frame);
        }
        let segment = self.segment();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.put_ipv4(&mut frame, source, destination, &segment);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.put_ipv6(&mut frame, source, destination, &segment);
            }
            mixed => panic!("addresses of two families: {mixed:?}"),
        }
        frame.extend_from_slice(&segment);
        frame.resize(frame.len() + self.padding, 0);
        frame
    }

    /// Octets before the TCP header.
    #[must_use]
    pub fn tcp_offset(&self) -> usize {
        self.build().len() - self.padding - self.segment().len()
    }

    fn put_ethernet(&self, frame: &mut Vec<u8>) {
        frame.extend_from_slice(&self.macs.0);
        frame.extend_from_slice(&self.macs.1);
        for (ether_type, vlan) in &self.tags {
            frame.extend_from_slice(&ether_type.to_be_bytes());
            frame.extend_from_slice(&vlan.to_be_bytes());
        }
        let ether_type = if self.source.is_ipv4() {
            ethernet::IPV4
        } else {
            ethernet::IPV6
        };
        frame.extend_from_slice(&ether_type.to_be_bytes());
    }

    fn put_ipv4(&self, frame: &mut Vec<u8>, source: Ipv4Addr, dest: Ipv4Addr, segment: &[u8]) {
        let header_len = ipv4::HEADER_LEN + 4 * self.ipv4_options;
        let mut header = vec![0; header_len];
        header[0] = 0x40 | low_byte(header_len / 4);
        header[2..4].copy_from_slice(&length(header_len + segment.len()));
        let (offset, more) = self.ipv4_fragment;
        header[6..8].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
        header[8] = 64;
        header[9] = tcp::PROTOCOL;
        header[12..16].copy_from_slice(&source.octets());
        header[16..20].copy_from_slice(&dest.octets());
        header[ipv4::HEADER_LEN..].fill(1); // no-operation options
        let sum = checksum(&[&header]);
        header[10..12].copy_from_slice(&sum);
        frame.extend_from_slice(&header);
    }

    fn put_ipv6(&self, frame: &mut Vec<u8>, source: Ipv6Addr, dest: Ipv6Addr, segment: &[u8]) {
        let mut chain = Vec::new();
        for (i, extension) in self.extensions.iter().enumerate() {
            let next = self
                .extensions
                .get(i + 1)
                .map_or(ipv6::TCP, |next| next.number());
            extension.put(&mut chain, next);
        }
        let mut header = [0; ipv6::HEADER_LEN];
        header[0] = 0x60;
        header[4..6].copy_from_slice(&length(chain.len() + segment.len()));
        header[6] = self
            .extensions
            .first()
            .map_or(ipv6::TCP, |next| next.number());
        header[7] = 64;
        header[8..24].copy_from_slice(&source.octets());
        header[24..40].copy_from_slice(&dest.octets());
        frame.extend_from_slice(&header);
        frame.extend_from_slice(&chain);
    }

    fn segment(&self) -> Vec<u8> {
        let mut segment = vec![0; tcp::HEADER_LEN];
        segment[0..2].copy_from_slice(&self.ports.0.to_be_bytes());
        segment[2..4].copy_from_slice(&self.ports.1.to_be_bytes());
        segment[4..8].copy_from_slice(&self.seq.to_be_bytes());
        segment[8..12].copy_from_slice(&self.ack.to_be_bytes());
        let header_len = tcp::HEADER_LEN + self.options.len();
        segment[12..14].copy_from_slice(&self.flags.bits().to_be_bytes());
        segment[12] |= low_byte(header_len / 4) << 4;
        segment[14..16].copy_from_slice(&self.window.to_be_bytes());
        segment.extend_from_slice(&self.options);
        segment.extend_from_slice(&self.payload);
        let sum = checksum(&[&self.pseudo_header(segment.len()), &segment]);
        segment[16..18].copy_from_slice(&sum);
        segment
    }

    /// What the TCP checksum covers beside the segment (RFC 9293 section 3.1).
    fn pseudo_header(&self, segment_len: usize) -> Vec<u8> {
        let mut pseudo = Vec::new();
        for address in [self.source, self.destination] {
            match address {
                IpAddr::V4(address) => pseudo.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => pseudo.extend_from_slice(&address.octets()),
            }
        }
        pseudo.extend_from_slice(&[0, tcp::PROTOCOL]);
        pseudo.extend_from_slice(&length(segment_len));
        pseudo
    }
}

impl Extension {
    fn number(self) -> u8 {
        match self {
            Self::Options(number, _) => number,
            Self::Authentication(_) => 51,
            Self::Fragment(..) => 44,
        }
    }

    fn put(self, chain: &mut Vec<u8>, next: u8) {
        let mut header = match self {
            Self::Options(_, len) => {
                let mut header = vec![0; usize::from(len)];
                header[1] = low_byte(usize::from(len) / 8 - 1);
                header[2] = 1; // PadN over the rest
                header[3] = low_byte(usize::from(len) - 4);
                header
            }
            Self::Authentication(len) => {
                let mut header = vec![0; usize::from(len)];
                header[1] = low_byte(usize::from(len) / 4 - 2);
                header
            }
            Self::Fragment(offset, more) => {
                let field = (offset << 3 | u16::from(more)).to_be_bytes();
                vec![0, 0, field[0], field[1], 0, 0, 0, 1]
            }
        };
        header[0] = next;
        chain.extend_from_slice(&header);
    }
}

fn low_byte(value: usize) -> u8 {
    value.to_le_bytes()[0]
}

fn length(octets: usize) -> [u8; 2] {
    u16::try_from(octets)
        .expect("a crafted packet fits its length field")
        .to_be_bytes()
}

/// Internet checksum (RFC 1071) over `parts`, each but the last of even length, as it lies in a header.
#[must_use]
pub fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let mut sum = 0_u32;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = (!sum).to_be_bytes();
    [high, low]
}
