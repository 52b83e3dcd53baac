//! Ethernet II and VLAN tags (IEEE 802.3, 802.1Q, 802.1ad).

use super::{ipv4, tcp};
use crate::cursor::View;

/// Octets of the Ethernet header.
pub const HEADER_LEN: usize = 14;
/// Octets of one VLAN tag, the next `EtherType` included.
pub const TAG_LEN: usize = 4;
/// VLANs that are looked into: QinQ, a service tag before a customer tag.
pub const MAX_VLANS: usize = 2;
/// Tags that are looked behind: as many as lie before an IPv4 and a TCP header in a frame of 1518 octets. The
/// kernel takes off any number of tags that name no VLAN (`__netif_receive_skb_core` in net/core/dev.c), so an
/// end before would be a way around the guard.
pub const MAX_TAGS: usize = (1518 - HEADER_LEN - ipv4::HEADER_LEN - tcp::HEADER_LEN) / TAG_LEN;

/// `EtherType` of IPv4.
pub const IPV4: u16 = 0x0800;
/// `EtherType` of IPv6.
pub const IPV6: u16 = 0x86dd;
/// `EtherType` of a customer tag, IEEE 802.1Q.
pub const VLAN: u16 = 0x8100;
/// `EtherType` of a service tag, IEEE 802.1ad.
pub const SERVICE_VLAN: u16 = 0x88a8;

/// The `EtherType` of an Ethernet header.
#[inline(always)]
pub fn ether_type(header: impl View<HEADER_LEN>) -> u16 {
    header.be16::<12>()
}

/// The `EtherType` of what follows a VLAN tag.
#[inline(always)]
pub fn inner_ether_type(tag: impl View<TAG_LEN>) -> u16 {
    tag.be16::<2>()
}

/// Whether a tag names a VLAN: one that does not, carries a priority and nothing else (802.1Q section 6.9).
#[inline(always)]
pub fn names_vlan(tag: impl View<TAG_LEN>) -> bool {
    tag.be16::<0>() & 0x0fff != 0
}

/// Whether a VLAN tag follows.
#[inline(always)]
#[must_use]
pub const fn is_tag(ether_type: u16) -> bool {
    ether_type == VLAN || ether_type == SERVICE_VLAN
}
