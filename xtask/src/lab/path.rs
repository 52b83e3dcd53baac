//! The ways on which a segment can reach the server, and the address plan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// 802.1Q, the tag of a VLAN.
const CUSTOMER_TAG: u16 = 0x8100;
/// 802.1ad, the outer tag of `QinQ`.
const SERVICE_TAG: u16 = 0x88a8;

/// What stands before the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tagging {
    /// Nothing but Ethernet.
    Untagged,
    /// VLAN 10.
    Vlan,
    /// VLAN 30 within service VLAN 20.
    Qinq,
}

impl Tagging {
    /// Every tagging.
    pub const ALL: [Self; 3] = [Self::Untagged, Self::Vlan, Self::Qinq];

    /// The tags, outermost first: `EtherType` and VLAN number.
    #[must_use]
    pub const fn tags(self) -> &'static [(u16, u16)] {
        match self {
            Self::Untagged => &[],
            Self::Vlan => &[(CUSTOMER_TAG, 10)],
            Self::Qinq => &[(SERVICE_TAG, 20), (CUSTOMER_TAG, 30)],
        }
    }

    /// The networks in use: one for documentation (RFC 5737) each, and a part of one (RFC 3849).
    const fn networks(self) -> ([u8; 3], u16) {
        match self {
            Self::Untagged => ([192, 0, 2], 1),
            Self::Vlan => ([198, 51, 100], 10),
            Self::Qinq => ([203, 0, 113], 20),
        }
    }

    /// Both addresses of a host.
    #[must_use]
    pub fn addresses(self, host: Host) -> [IpAddr; 2] {
        let ([a, b, c], part) = self.networks();
        let number = host as u8;
        let ipv6 = Ipv6Addr::new(0x2001, 0xdb8, 0, part, 0, 0, 0, u16::from(number));
        [Ipv4Addr::new(a, b, c, number).into(), ipv6.into()]
    }
}

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The guarded one.
    Server = 1,
    /// Whose requests are honest.
    Client = 2,
    /// Who scans.
    Attacker = 3,
}

/// A tagging and a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// IPv4 in Ethernet.
    Ipv4,
    /// IPv6 in Ethernet.
    Ipv6,
    /// IPv4 in a VLAN.
    VlanIpv4,
    /// IPv6 in a VLAN.
    VlanIpv6,
    /// IPv4 in `QinQ`.
    QinqIpv4,
    /// IPv6 in `QinQ`.
    QinqIpv6,
}

impl Path {
    /// Every path, in the order in which they are printed.
    pub const ALL: [Self; 6] = [
        Self::Ipv4,
        Self::Ipv6,
        Self::VlanIpv4,
        Self::VlanIpv6,
        Self::QinqIpv4,
        Self::QinqIpv6,
    ];

    /// The name in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::VlanIpv4 => "vlan-ipv4",
            Self::VlanIpv6 => "vlan-ipv6",
            Self::QinqIpv4 => "qinq-ipv4",
            Self::QinqIpv6 => "qinq-ipv6",
        }
    }

    /// What stands before the IP header.
    #[must_use]
    pub const fn tagging(self) -> Tagging {
        match self {
            Self::Ipv4 | Self::Ipv6 => Tagging::Untagged,
            Self::VlanIpv4 | Self::VlanIpv6 => Tagging::Vlan,
            Self::QinqIpv4 | Self::QinqIpv6 => Tagging::Qinq,
        }
    }

    /// The address of a host on this path.
    #[must_use]
    pub fn address(self, host: Host) -> IpAddr {
        let [ipv4, ipv6] = self.tagging().addresses(host);
        match self {
            Self::Ipv4 | Self::VlanIpv4 | Self::QinqIpv4 => ipv4,
            Self::Ipv6 | Self::VlanIpv6 | Self::QinqIpv6 => ipv6,
        }
    }
}
