//! The filters that are compared, each as strict as it can be.

use anyhow::Result;

use super::lab::{
    means::{self, Means, On},
    place::Place,
};

/// A way to filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    means: Means,
}

/// In the order of the result.
pub(crate) const ALL: [Filter; 4] = [
    Filter {
        name: "no filter",
        means: Means::Nothing,
    },
    Filter {
        name: "nft, ct state",
        means: Means::Nft(
            "table inet siege { chain c {
                type filter hook input priority filter; policy drop;
                ct state established,related accept;
                ct state new tcp flags & (fin | syn | rst | ack) == syn tcp dport 80-99 accept;
                meta l4proto ipv6-icmp accept; }; }",
        ),
    },
    Filter {
        name: "nft, synproxy",
        means: Means::Nft(
            "table inet siege {
                chain p { type filter hook prerouting priority raw;
                    tcp dport 80-99 tcp flags & (fin | syn | rst | ack) == syn notrack; }
                chain c { type filter hook input priority filter; policy drop;
                    iif lo accept;
                    tcp dport 80-99 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm;
                    ct state established,related accept;
                    meta l4proto ipv6-icmp accept; }; }",
        ),
    },
    Filter {
        name: "tcpguard",
        means: Means::Tcpguard(GUARDING),
    },
];

/// Connections that tcpguard has room for, of either version of IP, and how many while it has little.
pub(crate) const ROOM: &str = "65536";
pub(crate) const LITTLE: &str = "6553";
/// How the guard is attached.
pub(crate) const GUARDING: &[&str] = &[
    "--max-conns",
    ROOM,
    "--syn-cookies",
    "auto",
    "--syn-cookies-sysctl",
];

impl Filter {
    /// Whether it is us.
    pub(crate) const fn is_tcpguard(self) -> bool {
        matches!(self.means, Means::Tcpguard(_))
    }

    /// Puts it in front of the server's stack.
    pub(crate) fn put_on(self, place: &Place) -> Result<On<'_>> {
        let on = self.means.put_on(place)?;
        if matches!(self.means, Means::Nft(_)) {
            means::make_conntrack_strict(place)?;
        }
        Ok(on)
    }
}
