//! A sighting made by hand, for tests.

use std::time::{Duration, UNIX_EPOCH};

use tcpguard_common::{
    abi::Hook, craft::TcpFrame, flags::TcpFlags, parse::Link, reason::Reason, verdict::Verdict,
};

use crate::evidence::{
    Exhibit,
    archive::{Place, Sighting},
};

/// A segment without flags, dropped at eth0 on 2025-11-22 at 12:03:04.25 UTC, after so many alike.
pub(super) fn sighting(skipped: u64) -> (Place, Sighting) {
    let frame = TcpFrame::ipv4().with_flags(TcpFlags::NULL).build();
    let exhibit = Exhibit {
        time: UNIX_EPOCH + Duration::from_millis(1_763_812_984_250),
        slot: 0,
        hook: Hook::Ingress,
        verdict: Verdict::dropped(Reason::FlagsNull),
        ruling: None,
        octets: 54,
        frame,
        skipped,
        is_first: false,
    };
    let place = Place::new("eth0".to_owned(), Link::Ethernet, true);
    (place, Sighting::new(exhibit, Some(Link::Ethernet)))
}
