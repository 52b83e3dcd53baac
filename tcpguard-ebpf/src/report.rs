//! Counting.

use tcpguard_common::{
    abi::counter_index, counters::Counters, parse::Link, segment::Segment, verdict::Verdict,
};

use crate::{
    config::{self, Hooked},
    maps::COUNTERS,
    transcript::{self, Transcribe},
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
pub(crate) fn segment(
    ctx: &impl Transcribe,
    place: Place,
    verdict: Verdict,
    segment: &Segment,
    octets: u32,
) {
    if let Some(counters) = counters(place) {
        counters.count_segment(verdict, segment, octets);
    }
    transcript::write(ctx, place.link, verdict);
}

/// Counts a frame of `octets` octets that gave no segment.
#[inline(always)]
pub(crate) fn frame(ctx: &impl Transcribe, place: Place, verdict: Verdict, octets: u32) {
    if let Some(counters) = counters(place) {
        counters.count_frame(verdict, octets);
    }
    transcript::write(ctx, place.link, verdict);
}

#[inline(always)]
fn counters(place: Place) -> Option<&'static mut Counters> {
    let counters = COUNTERS.get_ptr_mut(place.index as u32)?;
    #[expect(unsafe_code, reason = "map values are reached through raw pointers")]
    // SAFETY: the value is this CPU's own and lives as long as the program, and no hook is
    // interrupted by itself: both run in softirq context or with bottom halves off.
    Some(unsafe { &mut *counters })
}
