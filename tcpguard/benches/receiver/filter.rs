//! The filters that are compared, and which floods each of them drops.

use anyhow::Result;

use crate::lab::{
    flood::Flood,
    means::{self, Means},
    place::Place,
};

/// A way to filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    pub(crate) means: Means,
    /// The floods that it drops.
    pub(crate) drops: &'static [Flood],
}

/// What is sent to each of them.
pub(crate) const FLOODS: [Flood; 3] = [Flood::Null, Flood::Ack, Flood::Syn];
/// What is known for a flood by a segment alone, or by its missing connection.
const STRAY: [Flood; 2] = [Flood::Null, Flood::Ack];

/// In the order of the result.
pub(crate) const ALL: [Filter; 10] = [
    Filter {
        name: "no filter",
        means: Means::Nothing,
        drops: &[],
    },
    Filter {
        name: "bare XDP_DROP",
        means: Means::Programs(&["bare_drop"]),
        drops: &FLOODS,
    },
    Filter {
        name: "bare XDP_PASS",
        means: Means::Programs(&["bare_pass"]),
        drops: &[],
    },
    Filter {
        name: "tcpguard",
        means: Means::Tcpguard(&[]),
        drops: &STRAY,
    },
    Filter {
        name: "tcpguard, SYN cookies",
        means: Means::Tcpguard(means::COOKIES),
        drops: &FLOODS,
    },
    Filter {
        name: "nft, flags, ingress",
        means: Means::Nft(
            "table netdev bench { chain c {
                type filter hook ingress device \"flood1\" priority 0;
                tcp flags & (fin | syn | rst | ack) == 0x0 counter drop; }; }",
        ),
        drops: &[Flood::Null],
    },
    Filter {
        name: "nft, flags, prerouting",
        means: Means::Nft(
            "table ip bench { chain c {
                type filter hook prerouting priority raw;
                tcp flags & (fin | syn | rst | ack) == 0x0 counter drop; }; }",
        ),
        drops: &[Flood::Null],
    },
    Filter {
        name: "nft, ct state invalid",
        means: Means::Nft(
            "table ip bench { chain c {
                type filter hook prerouting priority mangle;
                ct state invalid counter drop; }; }",
        ),
        drops: &STRAY,
    },
    Filter {
        name: "iptables, ctstate INVALID",
        means: Means::Iptables(&[
            "PREROUTING",
            "-t",
            "mangle",
            "-m",
            "conntrack",
            "--ctstate",
            "INVALID",
            "-j",
            "DROP",
        ]),
        drops: &STRAY,
    },
    Filter {
        name: "nft, synproxy",
        means: Means::Nft(
            "table ip bench {
                chain p { type filter hook prerouting priority raw;
                    tcp flags syn counter notrack; };
                chain c { type filter hook input priority filter;
                    tcp dport 80 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm;
                    ct state invalid counter drop; }; }",
        ),
        drops: &STRAY,
    },
];

/// Makes the kernel's tracker strict, which is there only once a rule has asked for it where it is a module.
pub(crate) fn make_conntrack_strict(place: &Place) -> Result<()> {
    if let Some(filter) = ALL.iter().find(|it| it.name == "nft, ct state invalid") {
        filter.means.put_on(place)?.take_off()?;
    }
    means::make_conntrack_strict(place)
}
