//! Counting.

use tcpguard_common::{
    abi::counter_index, conn::ruling::Ruling, counters::Counters, flags::TcpFlags, parse::Link,
    verdict::Verdict,
};

use crate::{
    config::{self, Hooked},
    maps::{COUNTERS, EVENTS},
};

/// Where a frame is counted, and how it is read once more if its judgement is written down. Two
/// words, so that it is passed in registers.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Into the counters.
    index: usize,
    pub(crate) link: Link,
}

impl Place {
    /// Where the frames of this hook and interface are counted.
    #[inline(always)]
    pub(crate) fn of<C: Hooked>(ctx: &C) -> Self {
        let (slot, link) = config::interface(ctx);
        Self {
            index: counter_index(slot, C::HOOK),
            link,
        }
    }
}

/// Counts a segment in a frame of `octets` octets.
#[inline(always)]
pub(crate) fn segment(place: Place, verdict: Verdict, flags: TcpFlags, octets: u32) {
    if let Some(counters) = counters(place) {
        counters.count_segment(verdict, flags, octets);
    }
}

/// Counts what a ruling brought about in the life of a connection: rare beside its segments.
#[inline(always)]
pub(crate) fn event(ruling: Ruling) {
    if ruling.is_eventful()
        && let Some(events) = EVENTS.get_ptr_mut(0)
    {
        #[expect(unsafe_code, reason = "map values are reached through raw pointers")]
        // SAFETY: as with the counters.
        unsafe {
            (*events).count(ruling);
        }
    }
}

/// Counts a frame of `octets` octets that gave no segment.
#[inline(always)]
pub(crate) fn frame(place: Place, verdict: Verdict, octets: u32) {
    if let Some(counters) = counters(place) {
        counters.count_frame(verdict, octets);
    }
}

#[inline(always)]
fn counters(place: Place) -> Option<&'static mut Counters> {
    let counters = COUNTERS.get_ptr_mut(place.index as u32)?;
    #[expect(unsafe_code, reason = "map values are reached through raw pointers")]
    // SAFETY: the value is this CPU's own and lives as long as the program, and no hook is
    // interrupted by itself: both run in softirq context or with bottom halves off.
    Some(unsafe { &mut *counters })
}
