//! How many connections what arrives may open: by the buckets of its interface and of its source.
#![expect(unsafe_code, reason = "map values are reached through raw pointers")]

use tcpguard_common::{
    conn::time::Ticks,
    flow::{FlowKey4, FlowKey6},
    limit,
    table::key::Key as _,
};

use crate::{
    clock, config,
    maps::{LIMITS, SOURCES},
    parsed::Parsed,
};

/// Whether a SYN that arrives at the interface in a slot would open one connection too many; if not, it is
/// reckoned in. Its source is asked first, so that one that exceeds its own rate takes nothing of
/// everybody's.
#[inline(always)]
pub(crate) fn is_exceeded(slot: usize, parsed: &Parsed) -> bool {
    let Some(limit) = LIMITS.get_ptr_mut(slot as u32) else {
        return false;
    };
    // SAFETY: a map's value is never freed. Other CPUs write its bucket at the same time, and any
    // numbers are one.
    let limit = unsafe { &mut *limit };
    let now = clock::now();
    limit.source != 0 && !source_has_one(slot, parsed, limit.source, now)
        || limit.total != 0 && !limit.left.take(limit.total, now)
}

/// Takes a token of the source's.
#[inline(always)]
fn source_has_one(slot: usize, parsed: &Parsed, rate: u32, now: Ticks) -> bool {
    let pair = limit::pair(source(slot, parsed), config::buckets());
    let [one, other] = pair.map(|index| take(index, rate, now));
    one || other
}

/// A hash of what is one source at an interface, whose limit may be another: nobody outside can aim at the
/// bucket of another.
#[inline(always)]
fn source(slot: usize, parsed: &Parsed) -> u64 {
    let ports = [slot as u16, 0];
    if parsed.version == 4 {
        let [source, _] = parsed.ends4();
        let key = FlowKey4 {
            addresses: [source & config::source_mask4(), 0],
            ports,
        };
        return key.hash(&config::seed4());
    }
    let [[first, second, ..], _] = parsed.ends6();
    let [mask, next_mask] = config::source_mask6();
    let key = FlowKey6 {
        addresses: [[first & mask, second & next_mask, 0, 0], [0; 4]],
        ports,
    };
    key.hash(&config::seed6())
}

#[inline(always)]
fn take(index: u32, rate: u32, now: Ticks) -> bool {
    let Some(bucket) = SOURCES.get_ptr_mut(index) else {
        return true;
    };
    // SAFETY: as above.
    unsafe { &mut *bucket }.take(rate, now)
}
