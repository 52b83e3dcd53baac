//! Counting, and writing down what was decided.
#![expect(unsafe_code, reason = "map values are reached through raw pointers")]

use aya_ebpf::EbpfContext;
use tcpguard_common::{
    abi::{Hook, counter_index},
    counters::Counters,
    judge::Outcome,
    parse::Link,
};

use crate::{
    config,
    maps::COUNTERS,
    packet::{Buffer, Packet},
    transcript,
};

/// Counts one frame, and writes down what was decided if that was asked for.
#[inline(always)]
pub(crate) fn report<C>(packet: &Packet<'_, C>, slot: usize, hook: Hook, link: Link, outcome: &Outcome)
where
    C: Buffer + EbpfContext,
{
    // Two arms that share nothing, so that what only a segment has need not be carried, as zero,
    // through every exit of the parser: that alone would cost as much as the counting.
    match outcome.segment() {
        Some(segment) => {
            if let Some(counters) = counters(slot, hook) {
                counters.count_segment(outcome.verdict, segment, packet.octets_of_segment());
            }
        }
        None => {
            if let Some(counters) = counters(slot, hook) {
                counters.count_frame(outcome.verdict, packet.buffer.octets());
            }
        }
    }
    if config::adjudicates() {
        transcript::adjudicate(packet.buffer, link, outcome.verdict);
    }
    if config::logs() && outcome.verdict.reason().is_some() {
        transcript::log(packet.buffer, link, outcome.verdict);
    }
}

#[inline(always)]
fn counters(slot: usize, hook: Hook) -> Option<&'static mut Counters> {
    let counters = COUNTERS.get_ptr_mut(counter_index(slot, hook) as u32)?;
    // SAFETY: the value is this CPU's own and lives as long as the program, and no hook is
    // interrupted by itself: both run in softirq context or with bottom halves off.
    Some(unsafe { &mut *counters })
}
