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
use tcpguard_common::{abi::Hook, judge::judge, policy::Policy, verdict::Verdict};

use crate::{
    config::OnInterface,
    packet::{Buffer, Packet},
    report::Place,
    transcript::Transcribe,
};

/// What arrives at a guarded interface.
#[xdp(frags)]
fn tcpguard_ingress(ctx: XdpContext) -> u32 {
    if guard(&ctx, Hook::Ingress, config::ingress_policy).is_drop() {
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
    if guard(&ctx, Hook::Egress, config::egress_policy).is_drop() {
        TC_ACT_SHOT
    } else {
        TC_ACT_UNSPEC
    }
}

/// Judges a frame under a policy, which is only read if the frame is objected to, and counts it.
#[inline(always)]
fn guard<C>(ctx: &C, hook: Hook, policy: fn() -> Policy) -> Verdict
where
    C: Buffer + OnInterface + Transcribe,
{
    let (slot, link) = config::interface(ctx);
    let place = Place::new(slot, hook, link);
    let mut packet = Packet::new(ctx);
    let outcome = judge(&mut packet, link);
    let Some(segment) = outcome.segment() else {
        let verdict = policy().apply(outcome.verdict);
        report::frame(ctx, place, verdict);
        return verdict;
    };
    let mut verdict = outcome.verdict;
    if verdict.is_drop() {
        verdict = policy().apply(verdict);
    }
    report::segment(&packet, place, verdict, segment);
    verdict
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
