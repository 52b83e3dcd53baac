//! Counting.

use tcpguard_common::{
    abi::{HOOKS, Hook, counter_index},
    conn::ruling::Ruling,
    counters::Counters,
    flags::TcpFlags,
    parse::Link,
    verdict::Verdict,
};

use crate::{
    clock,
    config::{self, Hooked},
    evidence::Kept,
    guard::Judgement,
    maps::{COUNTERS, EVENTS},
    packet::opaque,
};

/// Where a frame is seen, and counted.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Into the counters.
    pub(crate) index: usize,
}

impl Place {
    /// Where the frames of this hook and interface are counted.
    #[inline(always)]
    pub(crate) fn of<C: Hooked>(ctx: &C) -> Self {
        Self {
            index: counter_index(config::slot(ctx), C::HOOK),
        }
    }

    /// What its frames begin with.
    #[inline(always)]
    pub(crate) fn link(self) -> Link {
        config::link(self.index / HOOKS)
    }

    /// Whether its frames begin with the IP header, as functions take it that the verifier checks by
    /// themselves.
    #[inline(always)]
    pub(crate) fn raw_ip(self) -> u32 {
        u32::from(self.link() == Link::RawIp)
    }
}

/// Counts a segment to which nobody objects, in a frame of `octets` octets: as [`segment`], in fewer steps.
#[inline(always)]
pub(crate) fn accepted(place: Place, flags: TcpFlags, octets: u32) {
    if let Some(counters) = counters(place.index) {
        counters.count_flags(flags);
        counters.count_frame(Verdict::ACCEPT.cell(), octets);
    }
}

/// Counts a segment in a frame of `octets` octets, and keeps the frame if it is wanted as evidence.
#[inline(always)]
pub(crate) fn segment(
    ctx: &impl Kept,
    place: Place,
    judgement: Judgement,
    flags: TcpFlags,
    octets: u32,
) {
    if let Some(counters) = counters(place.index) {
        counters.count_flags(flags);
        count(ctx, place, judgement, counters, octets);
    }
}

/// The same of a frame that gave no segment.
#[inline(always)]
pub(crate) fn frame(ctx: &impl Kept, place: Place, judgement: Judgement, octets: u32) {
    if let Some(counters) = counters(place.index) {
        count(ctx, place, judgement, counters, octets);
    }
}

#[inline(always)]
fn count(
    ctx: &impl Kept,
    place: Place,
    judgement: Judgement,
    counters: &mut Counters,
    octets: u32,
) {
    // Hidden from LLVM, which would compare an octet with the number of cells and take another copy of
    // it for the index (LLVM 22, Linux 6.18).
    let cell = opaque(judgement.verdict.cell());
    if let Some(allowance) = counters.count_frame(cell, octets)
        && config::keeps_evidence()
        && judgement.verdict.reason().is_some()
        && allowance.take(clock::now())
    {
        ctx.keep(place, judgement);
    }
}

/// Counts what a ruling brought about in the life of a connection: rare beside its segments.
#[inline(always)]
pub(crate) fn event<C: Hooked>(ruling: Ruling) {
    if ruling.is_eventful()
        && let Some(events) = EVENTS.get_ptr_mut(C::HOOK as u32)
    {
        #[expect(unsafe_code, reason = "map values are reached through raw pointers")]
        // SAFETY: as with the counters.
        unsafe {
            (*events).count(ruling);
        }
    }
}

/// Counts a SYN that was answered with a cookie.
#[inline(always)]
pub(crate) fn cookie_sent() {
    if let Some(events) = EVENTS.get_ptr_mut(Hook::Ingress as u32) {
        #[expect(unsafe_code, reason = "map values are reached through raw pointers")]
        // SAFETY: as with the counters.
        unsafe {
            (*events).cookies_sent += 1;
        }
    }
}

/// What this CPU has counted at a place.
#[inline(always)]
pub(crate) fn counters(index: usize) -> Option<&'static mut Counters> {
    let counters = COUNTERS.get_ptr_mut(index as u32)?;
    #[expect(unsafe_code, reason = "map values are reached through raw pointers")]
    // SAFETY: the value is this CPU's own and lives as long as the program, and no hook is
    // interrupted by itself: both run in softirq context or with bottom halves off.
    Some(unsafe { &mut *counters })
}
