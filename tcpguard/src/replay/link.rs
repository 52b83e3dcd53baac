//! Link types of captures (<https://www.tcpdump.org/linktypes.html>), made into what the core reads.

use anyhow::{Result, bail};
use tcpguard_common::{
    parse::Link,
    wire::ethernet::{self, IPV4, IPV6},
};

use super::capture::Record;
use crate::engine::Frame;

/// What stands before the IP header in a frame of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// What the core reads itself.
    Native(Link),
    /// NULL and LOOP: loopback of BSD systems.
    Loopback,
    /// SLL, Linux cooked: a capture of all interfaces at once.
    Cooked,
    /// SLL2, its second version.
    Cooked2,
}

impl LinkType {
    /// The link type with this number of the registry.
    pub fn new(number: u16) -> Result<Self> {
        Ok(match number {
            1 => Self::Native(Link::Ethernet),
            // The second and third are what BSD systems write for the first.
            101 | 12 | 14 | 228 | 229 => Self::Native(Link::RawIp),
            0 | 108 => Self::Loopback,
            113 => Self::Cooked,
            276 => Self::Cooked2,
            other => bail!(
                "link type {other} ({}) is not supported; Ethernet, raw IP, Linux cooked and BSD \
                 loopback are: capture on another interface, or rewrite the file",
                name(other)
            ),
        })
    }

    /// The frame as the core reads it. `scratch` is where a foreign one is rewritten.
    ///
    /// A foreign header is exchanged for an Ethernet header without addresses, not only cut off, so
    /// that VLAN tags and protocols other than IP stay what they are.
    pub fn frame<'a>(self, record: &Record<'a>, scratch: &'a mut Vec<u8>) -> Frame<'a> {
        let (header_len, ether_type) = match self {
            Self::Native(link) => return Frame::captured(link, record.octets, record.wire_len),
            Self::Loopback => (4, of_family(record.octets)),
            Self::Cooked => (16, be16(record.octets, 14)),
            Self::Cooked2 => (20, be16(record.octets, 0)),
        };
        scratch.clear();
        if let Some(packet) = record.octets.get(header_len..) {
            scratch.resize(ethernet::HEADER_LEN - 2, 0);
            scratch.extend_from_slice(&ether_type.to_be_bytes());
            scratch.extend_from_slice(packet);
        }
        let cut_off = record.wire_len.saturating_sub(octets(record.octets));
        let wire_len = octets(scratch).saturating_add(cut_off);
        Frame::captured(Link::Ethernet, scratch, wire_len)
    }
}

/// The protocol of an address family, in the byte order of whichever machine captured. IPv6 has
/// another number on each system; 0 is no `EtherType`.
fn of_family(header: &[u8]) -> u16 {
    const AF_INET: u32 = 2;
    const AF_INET6: [u32; 4] = [10, 24, 28, 30];
    let family = u32::from(be16(header, 0)) << 16 | u32::from(be16(header, 2));
    match family.min(family.swap_bytes()) {
        AF_INET => IPV4,
        family if AF_INET6.contains(&family) => IPV6,
        _ => 0,
    }
}

fn be16(octets: &[u8], at: usize) -> u16 {
    let field = octets.get(at..).and_then(<[u8]>::first_chunk).copied();
    field.map_or(0, u16::from_be_bytes)
}

fn octets(slice: &[u8]) -> u32 {
    u32::try_from(slice.len()).unwrap_or(u32::MAX)
}

/// Names of link types that people may have captured.
fn name(number: u16) -> &'static str {
    match number {
        9 => "PPP",
        50 => "PPP_HDLC",
        51 => "PPP_ETHER",
        104 => "C_HDLC",
        105 => "IEEE802_11",
        119 => "IEEE802_11_PRISM",
        127 => "IEEE802_11_RADIOTAP",
        147..=162 => "USER",
        187 | 201 => "BLUETOOTH_HCI_H4",
        189 | 220 => "USB_LINUX",
        192 => "PPI",
        195 | 230 => "IEEE802_15_4",
        227 => "CAN_SOCKETCAN",
        239 => "NFLOG",
        253 => "NETLINK",
        _ => "of a kind unknown here",
    }
}
