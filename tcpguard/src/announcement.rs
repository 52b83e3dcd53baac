//! What is said to the operator when a guard has been attached.

use std::io::{self, Write as _};

use crate::{
    admission::{opening, sources::Sources},
    guard::{Attached, Guard},
    sample::{Egress, Ingress},
    tracking::{self, Plan},
    watch::number,
};

/// Says on stderr where each interface is guarded, against whom, and what is remembered.
pub(crate) fn announce(guard: &Guard, sources: &Sources) {
    for attached in guard.attached() {
        let _ = writeln!(io::stderr(), "{}", announcement(attached));
    }
    let plan = tracked(guard.plan());
    let (sources, cookies) = (sources.described(), guard.cookies().described());
    let _ = writeln!(io::stderr(), "{plan}{sources}{cookies}");
}

/// Where an interface is guarded, and why there: nobody should have to guess.
fn announcement(attached: &Attached) -> String {
    let Attached {
        name,
        ingress,
        refusal,
        egress,
        opening,
        ..
    } = attached;
    let ingress = match (ingress, refusal) {
        (Ingress::Native, _) => "native XDP, in the driver".to_owned(),
        (Ingress::Generic, None) => "generic XDP, in the network stack, as asked for".to_owned(),
        (Ingress::Generic, Some(why)) => {
            format!("generic XDP, in the network stack (the driver refuses native: {why})")
        }
    };
    let egress = match egress {
        Egress::Tcx => "egress observed by tcx",
        Egress::Clsact => "egress observed by a clsact filter (no tcx before Linux 6.6)",
        Egress::None => "egress not needed on loopback",
        Egress::Unseen => {
            "egress not seen, so nothing that hangs on it is checked (--ingress-only)"
        }
    };
    let inbound = opening::described(&[(name.clone(), opening.clone())]);
    format!("guarding {name}: {ingress}; {egress}{inbound}")
}

/// What is remembered, in how much memory, and what is not to be expected of it.
fn tracked(plan: &Plan) -> String {
    let mebibytes = tracking::octets(plan.connections).div_ceil(1 << 20);
    let mut text = format!(
        "tracking up to {0} connections of IPv4 and {0} of IPv6 in {1} MiB of kernel memory",
        number::grouped(plan.connections.into()),
        number::grouped(mebibytes),
    );
    if !plan.learning.is_zero() {
        text += "; learning those that were there before for ";
        text += &humantime::format_duration(plan.learning).to_string();
    }
    if plan.ingress_only {
        text += "; only what arrives is seen";
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_tracked_is_told_with_its_memory_and_its_limits() {
        let host = Plan {
            transit: false,
            connections: 1 << 18,
            learning: Duration::ZERO,
            ingress_only: false,
        };
        let plain = "tracking up to 262 144 connections of IPv4 and 262 144 of IPv6 in 57 MiB of \
                     kernel memory";
        assert_eq!(tracked(&host), plain);
        let mirror = Plan {
            transit: true,
            learning: Duration::from_mins(1),
            ingress_only: true,
            ..host
        };
        let more = "; learning those that were there before for 1m; only what arrives is seen";
        assert_eq!(tracked(&mirror), format!("{plain}{more}"));
    }
}
