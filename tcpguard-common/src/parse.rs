//! From a frame to a [`Segment`], or to the reason why there is none.
//!
//! Nothing walks around the filter unseen: every dead end has a verdict of its own. What is not ours
//! passes to the stack, which checks it again. Found broken are TCP segments, and frames that end
//! inside of their IP header, which no stack takes.
//!
//! LIMIT: what is inside of a tunnel is not looked at, and neither is TCP behind more than two VLANs, or
//! behind more tags or IPv6 extension headers than fit into an Ethernet frame of usual size. Such frames
//! pass, counted by cause.
#![expect(
    clippy::cast_possible_truncation,
    reason = "no header chain is longer than 64 KiB"
)]

mod walks;

use self::walks::{Chain, Tags};
use crate::{
    cursor::{Cursor, View},
    flags::TcpFlags,
    reason::Reason,
    segment::{Addresses, Segment},
    verdict::{Bypass, Verdict},
    wire::{
        ethernet,
        ipv4::{self, Ipv4Header},
        ipv6::{self, Ipv6Header},
        tcp::{self, TcpHeader},
    },
};

/// What a frame of an interface begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// An Ethernet header: also what veth, bridge, VLAN and loopback devices have.
    Ethernet,
    /// The IP header itself: tun, `WireGuard` and other devices without a link layer.
    RawIp,
}

/// Walks from the link layer to the TCP header and writes what it finds to `segment`.
///
/// The segment is an out parameter because of the verifier: of a `Result<Segment, _>` by value LLVM
/// spills the fields that an error leaves unset, as with [`Verdict`]. So are the lengths below.
/// `segment` must be [`Segment::EMPTY`] before.
///
/// # Errors
/// The verdict on a frame without a segment: a bypass, or a drop of what contradicts itself.
/// `segment` is then meaningless.
#[inline(always)]
pub fn parse<C: Cursor>(cursor: &mut C, link: Link, segment: &mut Segment) -> Result<(), Verdict> {
    let mut len = 0;
    match network_type(cursor, link)? {
        ethernet::IPV4 => {
            let header = ipv4(cursor, &mut len)?;
            segment.addresses = Addresses::V4 {
                source: header.source(),
                destination: header.destination(),
            };
        }
        ethernet::IPV6 => {
            let header = ipv6(cursor, &mut len)?;
            segment.addresses = Addresses::V6 {
                source: header.source(),
                destination: header.destination(),
            };
        }
        tag if ethernet::is_tag(tag) => return Err(Verdict::bypass(Bypass::VlanDepth)),
        _ => return Err(NOT_IP),
    }
    let header = tcp(cursor, len, &mut segment.payload_len)?;
    segment.source_port = header.source_port();
    segment.destination_port = header.destination_port();
    segment.seq = header.seq();
    segment.ack = header.ack();
    segment.window = header.window();
    segment.flags = header.flags();
    if has_wanted_options(header.header_len(), segment.flags) {
        segment.options_at = cursor.offset() as u16;
        segment.options_len = (header.header_len() - tcp::HEADER_LEN) as u8;
    }
    Ok(())
}

/// A plain segment where it lies in its frame: what stands in its headers is read where it is needed, because
/// registers are few and the octets are at hand.
#[derive(Clone, Copy, Debug)]
pub struct Plain<I, V> {
    /// The IP header.
    pub ip: I,
    /// The TCP header.
    pub tcp: TcpHeader<V>,
    /// Payload in octets, as in [`Segment`].
    pub payload_len: u32,
}

/// [`parse`] for the path that nearly all segments take: of IPv4, where both headers lie one behind the other, so
/// that one test of bounds is enough, and the offset of each field is known.
///
/// `None` if the frame is not that simple; then [`parse`] has to look at it. So with the other version.
#[inline(always)]
pub fn plain4<C: Cursor>(
    cursor: &mut C,
) -> Option<Plain<Ipv4Header<C::View<{ ipv4::HEADER_LEN }>>, C::View<{ tcp::HEADER_LEN }>>> {
    let readable = cursor.readable();
    let (ip, tcp) = cursor.take_both::<{ ipv4::HEADER_LEN }, { tcp::HEADER_LEN }>()?;
    let ip = Ipv4Header(ip);
    if !ip.is_plain_tcp() {
        return None;
    }
    let len = packet_len(cursor, u32::from(ip.total_length()), readable).ok()?;
    plain(
        ip,
        TcpHeader(tcp),
        len.checked_sub(ipv4::HEADER_LEN as u32)?,
    )
}

/// The same of IPv6.
#[inline(always)]
pub fn plain6<C: Cursor>(
    cursor: &mut C,
) -> Option<Plain<Ipv6Header<C::View<{ ipv6::HEADER_LEN }>>, C::View<{ tcp::HEADER_LEN }>>> {
    let readable = cursor.readable();
    let (ip, tcp) = cursor.take_both::<{ ipv6::HEADER_LEN }, { tcp::HEADER_LEN }>()?;
    let ip = Ipv6Header(ip);
    if !ip.is_plain_tcp() {
        return None;
    }
    let behind = readable - ipv6::HEADER_LEN as u32;
    let len = packet_len(cursor, u32::from(ip.payload_length()), behind).ok()?;
    plain(ip, TcpHeader(tcp), len)
}

/// Of a TCP header of a packet with `len` octets from there to its end.
#[inline(always)]
fn plain<I, V: View<{ tcp::HEADER_LEN }>>(
    ip: I,
    tcp: TcpHeader<V>,
    len: u32,
) -> Option<Plain<I, V>> {
    let header_len = tcp.header_len();
    if header_len < tcp::HEADER_LEN || tcp.source_port() == 0 || tcp.destination_port() == 0 {
        return None;
    }
    Some(Plain {
        ip,
        tcp,
        payload_len: len.checked_sub(header_len as u32)?,
    })
}

/// The type of the network packet that follows, behind as many tags as two VLANs need, or of one more tag.
#[inline(always)]
pub fn ether_type<C: Cursor>(cursor: &mut C, link: Link) -> Result<u16, Verdict> {
    let mut ether_type = link_type(cursor, link)?;
    for _ in 0..ethernet::MAX_VLANS {
        if !ethernet::is_tag(ether_type) {
            break;
        }
        let tag = take_or::<{ ethernet::TAG_LEN }, _>(cursor, NOT_IP)?;
        ether_type = ethernet::inner_ether_type(tag);
    }
    Ok(ether_type)
}

/// The same behind any tags, of which two may name a VLAN.
#[inline(always)]
fn network_type<C: Cursor>(cursor: &mut C, link: Link) -> Result<u16, Verdict> {
    let ether_type = link_type(cursor, link)?;
    if !ethernet::is_tag(ether_type) {
        return Ok(ether_type);
    }
    let mut tags = Tags::before(ether_type);
    cursor.walk(ethernet::MAX_TAGS as u32, &mut tags);
    tags.ether_type()
}

/// A frame too short for an `EtherType` says of nothing that it is IP.
const NOT_IP: Verdict = Verdict::bypass(Bypass::NotIp);

/// What follows the link layer's own header.
#[inline(always)]
fn link_type<C: Cursor>(cursor: &mut C, link: Link) -> Result<u16, Verdict> {
    if link == Link::RawIp {
        return raw_ip(cursor);
    }
    let header = take_or::<{ ethernet::HEADER_LEN }, _>(cursor, NOT_IP)?;
    Ok(ethernet::ether_type(header))
}

/// Without a link layer, the IP version tells.
#[inline(always)]
fn raw_ip<C: Cursor>(cursor: &C) -> Result<u16, Verdict> {
    let mut ahead = cursor.fork();
    // More octets than the one that is read: of `p + 1 > end` LLVM makes `p >= end`, from which the
    // verifier learns nothing (LLVM 22, Linux 6.18). No IP packet is shorter.
    let header = take_or::<{ ipv4::HEADER_LEN }, _>(&mut ahead, NOT_IP)?;
    match Ipv4Header(header).version() {
        4 => Ok(ethernet::IPV4),
        6 => Ok(ethernet::IPV6),
        _ => Err(NOT_IP),
    }
}

/// Reads an IPv4 header; `tcp_len` becomes the octets from the TCP header to the packet's end.
#[inline(always)]
fn ipv4<C: Cursor>(
    cursor: &mut C,
    tcp_len: &mut u32,
) -> Result<Ipv4Header<C::View<{ ipv4::HEADER_LEN }>>, Verdict> {
    let before = cursor.readable();
    let header = Ipv4Header(take::<{ ipv4::HEADER_LEN }, _>(cursor)?);
    if header.version() != 4 {
        return Err(NOT_IP);
    }
    if header.protocol() != tcp::PROTOCOL {
        return Err(Verdict::bypass(Bypass::NotTcp));
    }
    let header_len = header.header_len();
    if header_len < ipv4::HEADER_LEN {
        return Err(Verdict::dropped(Reason::BadOffset));
    }
    let total_length = packet_len(cursor, u32::from(header.total_length()), before)?;
    let len = total_length
        .checked_sub(header_len as u32)
        .ok_or(Verdict::dropped(Reason::BadLength))?;
    cursor.skip(header_len - ipv4::HEADER_LEN);
    if header.is_fragment() {
        match header.fragment_offset() {
            0 => first_fragment(cursor, len)?,
            // It would overwrite the flags of the first fragment (RFC 3128).
            1 => return Err(Verdict::dropped(Reason::TinyFragment)),
            _ => return Err(Verdict::bypass(Bypass::Fragment)),
        }
    }
    *tcp_len = len;
    Ok(header)
}

/// Reads an IPv6 header and its extension headers; `tcp_len` as with IPv4.
#[inline(always)]
fn ipv6<C: Cursor>(
    cursor: &mut C,
    tcp_len: &mut u32,
) -> Result<Ipv6Header<C::View<{ ipv6::HEADER_LEN }>>, Verdict> {
    let header = Ipv6Header(take::<{ ipv6::HEADER_LEN }, _>(cursor)?);
    if header.version() != 6 {
        return Err(NOT_IP);
    }
    let readable = cursor.readable();
    let mut chain = Chain::new(header.next_header());
    if chain.goes_on() {
        cursor.walk(ipv6::MAX_EXTENSIONS as u32, &mut chain);
    }
    chain.end()?;
    let payload_length = packet_len(cursor, u32::from(header.payload_length()), readable)?;
    let len = payload_length
        .checked_sub(chain.octets)
        .ok_or(Verdict::dropped(Reason::BadLength))?;
    if chain.is_fragment {
        first_fragment(cursor, len)?;
    }
    *tcp_len = len;
    Ok(header)
}

/// The next header of a packet. One that the frame ends in is broken.
#[inline(always)]
fn take<const N: usize, C: Cursor>(cursor: &mut C) -> Result<C::View<N>, Verdict> {
    take_or(cursor, Verdict::dropped(Reason::ShortHeader))
}

/// The next header, or `ended` if the frame ends in it. Of one that lies where it cannot be read
/// nobody knows what it says: who is not sure lets pass.
#[inline(always)]
fn take_or<const N: usize, C: Cursor>(
    cursor: &mut C,
    ended: Verdict,
) -> Result<C::View<N>, Verdict> {
    match cursor.take::<N>() {
        Some(view) => Ok(view),
        None if cursor.beyond() > 0 => Err(Verdict::bypass(Bypass::Unreadable)),
        None => Err(ended),
    }
}

/// The length of a packet that declares `declared` octets, of which `readable` can be read.
///
/// BIG TCP: a packet longer than its 16-bit field can say declares none at all, and the buffer tells
/// (RFC 2675; `iph_totlen` and `ipv6_payload_len` in the kernel).
#[inline(always)]
fn packet_len<C: Cursor>(cursor: &mut C, declared: u32, readable: u32) -> Result<u32, Verdict> {
    // Asking for more costs a helper call, and nearly every frame answers without.
    if declared != 0 && declared <= readable {
        return Ok(declared);
    }
    let available = readable.saturating_add(cursor.beyond());
    if declared == 0 && available > u32::from(u16::MAX) {
        return Ok(available);
    }
    if declared == 0 || declared > available {
        return Err(Verdict::dropped(Reason::BadLength));
    }
    Ok(declared)
}

/// A first fragment must hold the whole TCP header: what comes later would go unjudged (RFC 1858).
#[inline(always)]
fn first_fragment<C: Cursor>(cursor: &C, len: u32) -> Result<(), Verdict> {
    let header = cursor.fork().take::<{ tcp::HEADER_LEN }>().map(TcpHeader);
    let whole = header.is_none_or(|header| header.header_len() as u32 <= len);
    if len < tcp::HEADER_LEN as u32 || !whole {
        return Err(Verdict::dropped(Reason::TinyFragment));
    }
    Ok(())
}

/// Reads the TCP header of a packet with `len` octets from there to its end; `payload_len` becomes those behind
/// the header.
#[inline(always)]
fn tcp<C: Cursor>(
    cursor: &mut C,
    len: u32,
    payload_len: &mut u32,
) -> Result<TcpHeader<C::View<{ tcp::HEADER_LEN }>>, Verdict> {
    if len < tcp::HEADER_LEN as u32 {
        return Err(Verdict::dropped(Reason::ShortHeader));
    }
    let header = TcpHeader(take::<{ tcp::HEADER_LEN }, _>(cursor)?);
    let header_len = header.header_len();
    if header_len < tcp::HEADER_LEN {
        return Err(Verdict::dropped(Reason::BadOffset));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the data offset gives at most 60"
    )]
    let behind = len
        .checked_sub(header_len as u32)
        .ok_or(Verdict::dropped(Reason::BadOffset))?;
    *payload_len = behind;
    if header.source_port() == 0 || header.destination_port() == 0 {
        return Err(Verdict::dropped(Reason::PortZero));
    }
    Ok(header)
}

impl Link {
    /// Of a number as it crosses between functions of the kernel: 0, or 1 without a link layer.
    #[inline(always)]
    #[must_use]
    pub const fn from_raw_ip(raw_ip: u32) -> Self {
        if raw_ip == 0 {
            Self::Ethernet
        } else {
            Self::RawIp
        }
    }
}

impl<I, V: View<{ tcp::HEADER_LEN }>> Plain<I, V> {
    /// Whether there may be options that the tracker reads.
    #[inline(always)]
    pub fn has_wanted_options(&self) -> bool {
        has_wanted_options(self.tcp.header_len(), self.tcp.flags())
    }
}

/// Whether there may be options that the tracker reads: the window scale of a SYN, or SACK blocks.
/// Time stamps alone, which most segments carry, take twelve octets.
#[inline(always)]
const fn has_wanted_options(header_len: usize, flags: TcpFlags) -> bool {
    const TIME_STAMPS: usize = 12;
    header_len > tcp::HEADER_LEN + TIME_STAMPS
        || (header_len > tcp::HEADER_LEN && flags.contains(TcpFlags::SYN))
}
