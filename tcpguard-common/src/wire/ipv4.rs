//! IPv4 header (RFC 791 section 3.1).

use super::tcp;
use crate::cursor::View;

/// Octets of the header without options.
pub const HEADER_LEN: usize = 20;

const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// Reader of the header's fixed part.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4Header<V>(pub V);

impl<V: View<HEADER_LEN>> Ipv4Header<V> {
    /// IP version, 4.
    #[inline(always)]
    pub fn version(self) -> u8 {
        self.0.u8::<0>() >> 4
    }

    /// Octets of the header with its options, by the IHL field: 0 to 60 in steps of 4.
    #[inline(always)]
    pub fn header_len(self) -> usize {
        usize::from(self.0.u8::<0>() & 0x0f) << 2
    }

    /// Octets of the datagram, header included.
    #[inline(always)]
    pub fn total_length(self) -> u16 {
        self.0.be16::<2>()
    }

    /// Whether this is a part of a larger datagram: the first one, or one behind it.
    #[inline(always)]
    pub fn is_fragment(self) -> bool {
        self.0.be16::<6>() & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0
    }

    /// Whether TCP follows this header in this very datagram, and the header has no options: nearly always.
    #[inline(always)]
    pub fn is_plain_tcp(self) -> bool {
        // Version 4, and five words of four octets.
        const VERSION_AND_LENGTH: u8 = 0x45;
        const FRAGMENT_AND_PROTOCOL: u32 = ((MORE_FRAGMENTS | FRAGMENT_OFFSET) as u32) << 16 | 0xff;
        self.0.u8::<0>() == VERSION_AND_LENGTH
            && self.0.be32::<6>() & FRAGMENT_AND_PROTOCOL == u32::from(tcp::PROTOCOL)
    }

    /// Where the fragment begins, in units of eight octets.
    #[inline(always)]
    pub fn fragment_offset(self) -> u16 {
        self.0.be16::<6>() & FRAGMENT_OFFSET
    }

    /// Protocol number of the payload.
    #[inline(always)]
    pub fn protocol(self) -> u8 {
        self.0.u8::<9>()
    }

    /// Source address.
    #[inline(always)]
    pub fn source(self) -> u32 {
        self.0.be32::<12>()
    }

    /// Destination address.
    #[inline(always)]
    pub fn destination(self) -> u32 {
        self.0.be32::<16>()
    }
}
