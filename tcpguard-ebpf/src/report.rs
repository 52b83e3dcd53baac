//! Counting.

use tcpguard_common::{
    abi::{Hook, counter_index},
    counters::Counters,
    parse::Link,
    segment::Segment,
    verdict::Verdict,
};

use crate::{
    maps::COUNTERS,
    packet::{Buffer, Packet},
    transcript::{self, Transcribe},
};

/// Where a frame is counted, and how it is read once more if its judgement is written down. Two
/// words, so that it is passed in registers.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Into the counters.
    index: usize,
    link: Link,
}

impl Place {
    #[inline(always)]
    pub(crate) const fn new(slot: usize, hook: Hook, link: Link) -> Self {
        Self {
            index: counter_index(slot, hook),
            link,
        }
    }
}

/// Counts a segment.
#[inline(always)]
pub(crate) fn segment<C>(packet: &Packet<'_, C>, place: Place, verdict: Verdict, segment: &Segment)
where
    C: Buffer + Transcribe,
{
    if let Some(counters) = counters(place) {
        counters.count_segment(verdict, segment, packet.octets_of_segment());
    }
    transcript::write(packet.buffer, place.link, verdict);
}

/// Counts a frame that gave no segment.
///
/// Apart from the path of segments, or each of the parser's exits would set to zero, one by one, all
/// that only a segment has: that costs as much as the counting.
#[inline(never)]
pub(crate) fn frame<C: Buffer + Transcribe>(buffer: &C, place: Place, verdict: Verdict) {
    if let Some(counters) = counters(place) {
        counters.count_frame(verdict, buffer.octets());
    }
    transcript::write(buffer, place.link, verdict);
}

#[inline(always)]
fn counters(place: Place) -> Option<&'static mut Counters> {
    let counters = COUNTERS.get_ptr_mut(place.index as u32)?;
    #[expect(unsafe_code, reason = "map values are reached through raw pointers")]
    // SAFETY: the value is this CPU's own and lives as long as the program, and no hook is
    // interrupted by itself: both run in softirq context or with bottom halves off.
    Some(unsafe { &mut *counters })
}
