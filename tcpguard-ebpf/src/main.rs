//! The kernel side of tcpguard: two hooks around one decision.
//!
//! There is no TCP knowledge here. Each hook finds the interface, lets the core judge the frame,
//! counts, and says pass or drop.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::inline_always,
    clippy::needless_pass_by_value,
    reason = "frames are shorter than 4 GiB, the verifier carries packet bounds only within one \
              function, and a hook is given its context by value"
)]

mod config;
mod maps;
mod packet;
mod report;
mod transcript;

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use tcpguard_common::{judge::judge_segment, parse::parse, segment::Segment, verdict::Verdict};

use crate::{
    config::Hooked,
    packet::{Buffer, Packet},
    report::Place,
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
    if config::judged_on_arrival(&ctx) {
        return TC_ACT_UNSPEC;
    }
    packet::pull_headers(&ctx);
    if guard(&ctx).is_drop() {
        TC_ACT_SHOT
    } else {
        TC_ACT_UNSPEC
    }
}

/// Judges a frame and counts it.
///
/// The first look takes the frame for a segment in one buffer, as nearly all are, and asks the
/// kernel nothing. Whatever else it is, is found by a second look, apart from this path: so here all
/// exits of the parser are one, and no helper call between them takes the registers.
#[inline(always)]
fn guard<C: Buffer + Hooked + Transcribe>(ctx: &C) -> Verdict {
    let place = Place::of(ctx);
    let mut segment = Segment::EMPTY;
    if parse(&mut Packet::first_buffer(ctx), place.link, &mut segment).is_err() {
        return look_again(ctx, place);
    }
    let mut verdict = judge_segment(&segment);
    if verdict.is_drop() {
        verdict = config::policy::<C>().apply(verdict);
    }
    report::segment(ctx, place, verdict, &segment, packet::linear(ctx));
    verdict
}

/// Judges and counts a frame that is no segment in one buffer.
#[inline(never)]
fn look_again<C: Buffer + Hooked + Transcribe>(ctx: &C, place: Place) -> Verdict {
    let mut segment = Segment::EMPTY;
    match parse(&mut Packet::whole(ctx), place.link, &mut segment) {
        Ok(()) => {
            let verdict = config::policy::<C>().apply(judge_segment(&segment));
            report::segment(ctx, place, verdict, &segment, ctx.octets());
            verdict
        }
        Err(verdict) => {
            let verdict = config::policy::<C>().apply(verdict);
            report::frame(ctx, place, verdict, ctx.octets());
            verdict
        }
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
