//! Counting, and writing down what was decided.
#![expect(unsafe_code, reason = "map values are reached through raw pointers")]

use aya_ebpf::EbpfContext;
use tcpguard_common::{
    abi::{Hook, counter_index},
    judge::Outcome,
    parse::Link,
    wire::{ethernet, ipv4, tcp},
};

use crate::{
    config,
    maps::COUNTERS,
    packet::{self, Buffer},
    transcript,
};

/// Counts one frame, and writes down what was decided if that was asked for.
#[inline(always)]
pub(crate) fn report<C>(ctx: &C, slot: usize, hook: Hook, link: Link, outcome: &Outcome)
where
    C: Buffer + EbpfContext,
{
    if let Some(counters) = COUNTERS.get_ptr_mut(counter_index(slot, hook) as u32) {
        // SAFETY: the value is this CPU's own, and no hook is interrupted by itself: both run in
        // softirq context or with bottom halves off.
        unsafe { &mut *counters }.count(outcome, octets(ctx, outcome));
    }
    if config::adjudicates() {
        transcript::adjudicate(ctx, link, outcome.verdict);
    }
    if config::logs() && outcome.verdict.reason().is_some() {
        transcript::log(ctx, link, outcome.verdict);
    }
}

/// Octets of a frame as they are counted.
///
/// Asking the kernel costs more than all of the counting, so it is asked only where the linear part
/// may be less than the frame: if there is more payload than the linear part has room for, or no
/// segment that would tell.
#[inline(always)]
fn octets(ctx: &impl Buffer, outcome: &Outcome) -> u32 {
    const LEAST_HEADERS: u32 = (ethernet::HEADER_LEN + ipv4::HEADER_LEN + tcp::HEADER_LEN) as u32;
    let linear = packet::linear(ctx);
    match outcome.segment() {
        Some(segment) if segment.payload_len + LEAST_HEADERS <= linear => linear,
        Some(_) | None => ctx.octets(),
    }
}
