//! IPv6 header and extension headers (RFC 8200 sections 3 and 4).

use super::tcp;
use crate::cursor::View;

/// Octets of the fixed header.
pub const HEADER_LEN: usize = 40;
/// Octets that every extension header has at least; also the unit of their lengths.
pub const EXTENSION_LEN: usize = 8;
/// Extension headers that are walked: as many as lie before a TCP header in a packet of 1500 octets. RFC 8200
/// section 4.1 has eight at most, but a node has to accept any number of most of them, and so does the kernel:
/// an end before would be a way around the guard.
pub const MAX_EXTENSIONS: usize = (1500 - HEADER_LEN - tcp::HEADER_LEN) / EXTENSION_LEN;

/// Next-header number of TCP.
pub const TCP: u8 = 6;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// Reader of the fixed header.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6Header<V>(pub V);

impl<V: View<HEADER_LEN>> Ipv6Header<V> {
    /// IP version, 6.
    #[inline(always)]
    pub fn version(self) -> u8 {
        self.0.u8::<0>() >> 4
    }

    /// Whether TCP follows this header: nearly always.
    #[inline(always)]
    pub fn is_plain_tcp(self) -> bool {
        self.version() == 6 && self.next_header() == TCP
    }

    /// Octets behind the fixed header, extension headers included; 0 in a jumbogram.
    #[inline(always)]
    pub fn payload_length(self) -> u16 {
        self.0.be16::<4>()
    }

    /// Number of the first extension header or of the payload's protocol.
    #[inline(always)]
    pub fn next_header(self) -> u8 {
        self.0.u8::<6>()
    }

    /// Source address, in words as they lie in the frame.
    #[inline(always)]
    pub fn source(self) -> [u32; 4] {
        self.0.words::<8>()
    }

    /// Destination address, in words as they lie in the frame.
    #[inline(always)]
    pub fn destination(self) -> [u32; 4] {
        self.0.words::<24>()
    }
}

/// What a next-header number leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHeader {
    /// The TCP header.
    Tcp,
    /// The fragment header, eight octets.
    Fragment,
    /// The authentication header, whose length counts units of four octets (RFC 4302).
    Authentication,
    /// An extension header whose length counts units of eight octets (RFC 6564).
    Extension,
    /// Another protocol, an encrypted payload or nothing at all.
    Other,
}

impl NextHeader {
    /// Classifies a next-header number (IANA, IPv6 Extension Header Types).
    #[inline(always)]
    #[must_use]
    pub const fn new(number: u8) -> Self {
        match number {
            TCP => Self::Tcp,
            FRAGMENT => Self::Fragment,
            AUTHENTICATION => Self::Authentication,
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6 => {
                Self::Extension
            }
            _ => Self::Other,
        }
    }
}

/// Reader of the eight octets that every extension header begins with.
#[derive(Clone, Copy, Debug)]
pub struct ExtensionHeader<V>(pub V);

impl<V: View<EXTENSION_LEN>> ExtensionHeader<V> {
    /// Number of the header that follows.
    #[inline(always)]
    pub fn next_header(self) -> u8 {
        self.0.u8::<0>()
    }

    /// Octets of this header, at least eight.
    #[inline(always)]
    pub fn len(self, kind: NextHeader) -> usize {
        let units = usize::from(self.0.u8::<1>());
        match kind {
            NextHeader::Authentication => (units + 2) << 2,
            NextHeader::Extension => (units + 1) << 3,
            NextHeader::Fragment | NextHeader::Tcp | NextHeader::Other => EXTENSION_LEN,
        }
    }

    /// Where the fragment begins, in units of eight octets; only of a fragment header.
    #[inline(always)]
    pub fn fragment_offset(self) -> u16 {
        self.0.be16::<2>() >> 3
    }

    /// Whether more fragments follow; only of a fragment header.
    #[inline(always)]
    pub fn more_fragments(self) -> bool {
        self.0.be16::<2>() & 1 != 0
    }
}
