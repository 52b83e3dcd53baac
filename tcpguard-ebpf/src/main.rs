//! The kernel side of tcpguard: two hooks around one decision.
//!
//! There is no TCP knowledge here. Each hook finds the interface, lets the core judge the frame,
//! counts, and says pass or drop.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(
    internal_features,
    reason = "the target has no other atomic operations"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::inline_always,
    clippy::needless_pass_by_value,
    reason = "frames are shorter than 4 GiB, the verifier carries packet bounds only within one \
              function, and a hook is given its context by value"
)]

mod config;
mod flow;
mod maps;
mod options;
mod packet;
mod parsed;
mod report;
mod table;
mod transcript;
mod witness;

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use tcpguard_common::{conn::seen::Voice, judge::judge_flags, verdict::Verdict};

use crate::{
    config::Hooked,
    flow::Tracked,
    options::Optioned,
    packet::Buffer,
    parsed::{Parseable, Parsed},
    report::{Judgement, Place},
    transcript::Transcribe,
};

/// What arrives at a guarded interface.
#[xdp(frags)]
fn tcpguard_ingress(ctx: XdpContext) -> u32 {
    if guard(&ctx).is_drop() {
        xdp_action::XDP_DROP
    } else {
        xdp_action::XDP_PASS
    }
}

/// What leaves by a guarded interface, before segmentation.
///
/// `TC_ACT_UNSPEC`, which is `TCX_NEXT`, lets the programs after ours run; `TC_ACT_OK` would end
/// the chain (`tcx_run` in the kernel's net/core/dev.c).
#[classifier]
fn tcpguard_egress(ctx: TcContext) -> i32 {
    packet::pull_headers(&ctx);
    if config::judged_on_arrival(&ctx) {
        follow(&ctx);
        return TC_ACT_UNSPEC;
    }
    if guard(&ctx).is_drop() {
        TC_ACT_SHOT
    } else {
        TC_ACT_UNSPEC
    }
}

/// What a hook's context has to be able to do.
trait Guarded: Buffer + Hooked + Optioned + Parseable + Tracked + Transcribe {}

impl<C: Buffer + Hooked + Optioned + Parseable + Tracked + Transcribe> Guarded for C {}

/// Judges a frame and counts it.
///
/// The first look takes the frame for a plain segment in one buffer, as nearly all are, and asks the
/// kernel nothing. Whatever else it is, is found by a second look.
#[inline(always)]
fn guard<C: Guarded>(ctx: &C) -> Verdict {
    let place = Place::of(ctx);
    let mut parsed = Parsed::NOTHING;
    let octets = if parsed::plain(ctx, place.link, &mut parsed) {
        packet::linear(ctx)
    } else {
        let broken = parsed::whole(ctx, place.link, &mut parsed);
        let octets = ctx.octets();
        if let Some(verdict) = broken {
            let verdict = config::policy::<C>().apply(verdict);
            report::frame(ctx, place, verdict, octets);
            return verdict;
        }
        octets
    };
    let judgement = judge(ctx, &mut parsed);
    report::segment(ctx, place, judgement, parsed.flags(), octets);
    judgement.verdict
}

/// Follows the connection of a frame that was judged and counted when it arrived.
///
/// As a rule its half has just been written, and this finds nothing new. But where addresses are
/// translated (NAT) it leaves as a segment of another connection, whose reply arrives under that name.
#[inline(always)]
fn follow<C: Guarded>(ctx: &C) {
    let mut parsed = Parsed::NOTHING;
    let link = Place::of(ctx).link;
    if !config::tracking() || parsed::whole(ctx, link, &mut parsed).is_some() {
        return;
    }
    if !judge_flags(parsed.flags()).is_drop() {
        report::event(flow::track(ctx, &mut parsed, Voice::FORWARDED));
    }
}

/// By what stands in the segment alone, then by its connection.
#[inline(always)]
fn judge<C: Guarded>(ctx: &C, parsed: &mut Parsed) -> Judgement {
    let mut verdict = judge_flags(parsed.flags());
    let mut bits = 0;
    if !verdict.is_drop() && config::tracking() {
        let ruling = flow::track(ctx, parsed, config::voice::<C>());
        report::event(ruling);
        verdict = ruling.verdict();
        bits = ruling.bits();
    }
    if verdict.is_drop() {
        verdict = config::policy::<C>().apply(verdict);
    }
    Judgement {
        verdict,
        ruling: bits,
    }
}

/// A reachable panic would make the verifier refuse the program: a proof that there is none.
#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[expect(unsafe_code, reason = "the kernel finds the licence by its section")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
