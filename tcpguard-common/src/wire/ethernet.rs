//! Ethernet II and VLAN tags (IEEE 802.3, 802.1Q, 802.1ad).

use crate::cursor::View;

/// Octets of the Ethernet header.
pub const HEADER_LEN: usize = 14;
/// Octets of one VLAN tag, the next `EtherType` included.
pub const TAG_LEN: usize = 4;
/// Tags that are looked behind: QinQ, a service tag before a customer tag.
pub const MAX_TAGS: usize = 2;

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

/// Whether a VLAN tag follows.
#[inline(always)]
#[must_use]
pub const fn is_tag(ether_type: u16) -> bool {
    ether_type == VLAN || ether_type == SERVICE_VLAN
}
