//! A TCP segment as RFC 9293 speaks of it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{flags::TcpFlags, seq::SeqNum};

/// Where a segment comes from and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// IPv4, in host order.
    V4 {
        /// Source address.
        source: u32,
        /// Destination address.
        destination: u32,
    },
    /// IPv6, in words as they lie in the frame.
    V6 {
        /// Source address.
        source: [u32; 4],
        /// Destination address.
        destination: [u32; 4],
    },
}

/// The IPv6 address of words as they lie in the frame.
#[must_use]
pub fn ipv6_address(words: [u32; 4]) -> Ipv6Addr {
    let mut octets = [0; 16];
    for (part, word) in octets.chunks_exact_mut(4).zip(words) {
        part.copy_from_slice(&word.to_ne_bytes());
    }
    octets.into()
}

/// A TCP segment. Numbers are in host order, lengths in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Addresses of both ends.
    pub addresses: Addresses,
    /// Port of the sender.
    pub source_port: u16,
    /// Port of the receiver.
    pub destination_port: u16,
    /// SEG.SEQ
    pub seq: SeqNum,
    /// SEG.ACK, meaningful if ACK is set.
    pub ack: SeqNum,
    /// SEG.WND as it stands in the header, not scaled.
    pub window: u16,
    /// The flags.
    pub flags: TcpFlags,
    /// Where the options begin in the frame, in octets; 0 if there are none that the tracker reads.
    pub options_at: u16,
    /// How many octets of options there are, at most 40.
    pub options_len: u8,
    /// Payload by the IP length, so Ethernet padding is not counted. Of a first fragment, the part
    /// that this fragment carries.
    pub payload_len: u32,
}

impl Segment {
    /// Nothing read yet.
    pub const EMPTY: Self = Self {
        addresses: Addresses::V4 {
            source: 0,
            destination: 0,
        },
        source_port: 0,
        destination_port: 0,
        seq: SeqNum(0),
        ack: SeqNum(0),
        window: 0,
        flags: TcpFlags::NULL,
        options_at: 0,
        options_len: 0,
        payload_len: 0,
    };

    /// Its source and its destination.
    #[must_use]
    pub fn ends(&self) -> [SocketAddr; 2] {
        let [source, destination]: [IpAddr; 2] = match self.addresses {
            Addresses::V4 {
                source,
                destination,
            } => [source, destination].map(|address| Ipv4Addr::from_bits(address).into()),
            Addresses::V6 {
                source,
                destination,
            } => [source, destination].map(|words| ipv6_address(words).into()),
        };
        [
            SocketAddr::new(source, self.source_port),
            SocketAddr::new(destination, self.destination_port),
        ]
    }

    /// SEG.LEN: octets in terms of sequence space, where SYN and FIN count one each.
    #[inline(always)]
    #[must_use]
    pub const fn seq_len(&self) -> u32 {
        let syn = self.flags.contains(TcpFlags::SYN) as u32;
        let fin = self.flags.contains(TcpFlags::FIN) as u32;
        self.payload_len.wrapping_add(syn).wrapping_add(fin)
    }

    /// The sequence number behind this segment: what the receiver acknowledges once it has it all.
    #[inline(always)]
    #[must_use]
    pub const fn end(&self) -> SeqNum {
        self.seq.plus(self.seq_len())
    }
}
