//! The filters that are compared.

use anyhow::Result;

use crate::lab::{
    means::{self, Means, On},
    place::Place,
};

/// A way to filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    means: Means,
}

const NOTHING: Filter = Filter {
    name: "no filter",
    means: Means::Nothing,
};
/// What it costs on this cable that there are programs at all: native XDP on veth copies what the peer's
/// stack has sent.
pub(crate) const FLOOR: Filter = Filter {
    name: "bare XDP_PASS and tcx",
    means: Means::Programs(&["bare_pass", "bare_egress"]),
};
/// What knows the flood by where it comes from.
pub(crate) const IDEAL: Filter = Filter {
    name: "ideal XDP, by prefix",
    means: Means::Programs(&["ideal"]),
};
/// The usual ruleset of a host that offers two services.
const CONNTRACK: Filter = Filter {
    name: "nft, ct state",
    means: Means::Nft(
        "table ip bench { chain c {
            type filter hook input priority filter; policy drop;
            ct state established,related accept;
            ct state new tcp dport { 80, 5201 } accept; }; }",
    ),
};
pub(crate) const TCPGUARD: Filter = Filter {
    name: "tcpguard",
    means: Means::Tcpguard(&[]),
};

pub(crate) const COOKIES: Filter = Filter {
    name: "tcpguard, SYN cookies",
    means: Means::Tcpguard(means::COOKIES),
};

/// Where there is no attack, in the order of the result.
pub(crate) const AT_PEACE: [Filter; 4] = [NOTHING, FLOOR, CONNTRACK, TCPGUARD];
/// Under floods.
pub(crate) const UNDER_ATTACK: [Filter; 5] = [NOTHING, IDEAL, CONNTRACK, TCPGUARD, COOKIES];

impl Filter {
    /// Puts it in front of the server's stack.
    pub(crate) fn put_on(self, place: &Place) -> Result<On<'_>> {
        let on = self.means.put_on(place)?;
        if self == CONNTRACK {
            means::make_conntrack_strict(place)?;
        }
        Ok(on)
    }
}
