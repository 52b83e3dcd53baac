//! TCP header (RFC 9293 section 3.1).

use crate::{cursor::View, flags::TcpFlags, seq::SeqNum};

/// Octets of the header without options.
pub const HEADER_LEN: usize = 20;
/// IP protocol number of TCP.
pub const PROTOCOL: u8 = 6;

/// Reader of the header's fixed part.
#[derive(Clone, Copy, Debug)]
pub struct TcpHeader<V>(pub V);

impl<V: View<HEADER_LEN>> TcpHeader<V> {
    /// Source port.
    #[inline(always)]
    pub fn source_port(self) -> u16 {
        self.0.be16::<0>()
    }

    /// Destination port.
    #[inline(always)]
    pub fn destination_port(self) -> u16 {
        self.0.be16::<2>()
    }

    /// Sequence number.
    #[inline(always)]
    pub fn seq(self) -> SeqNum {
        SeqNum(self.0.be32::<4>())
    }

    /// Acknowledgment number, meaningful if ACK is set.
    #[inline(always)]
    pub fn ack(self) -> SeqNum {
        SeqNum(self.0.be32::<8>())
    }

    /// Octets of the header with its options, by the data offset: 0 to 60 in steps of 4.
    #[inline(always)]
    pub fn header_len(self) -> usize {
        usize::from(self.0.u8::<12>() >> 4) << 2
    }

    /// The nine flags.
    #[inline(always)]
    pub fn flags(self) -> TcpFlags {
        TcpFlags::new(self.0.be16_under::<12>(TcpFlags::MASK))
    }

    /// Window as it stands in the header, not scaled.
    #[inline(always)]
    pub fn window(self) -> u16 {
        self.0.be16::<14>()
    }
}
