//! The kernel side of tcpguard: two hooks around one decision.
//!
//! There is no TCP knowledge here. Each hook finds the interface, lets the core judge the frame,
//! counts, and says pass or drop.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics, stmt_expr_attributes)]
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

mod admission;
mod answer;
mod clock;
mod config;
mod cookie;
mod evidence;
mod flow;
mod guard;
mod limits;
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

use crate::guard::{follow, guard};

/// What arrives at a guarded interface.
#[xdp(frags)]
fn tcpguard_ingress(ctx: XdpContext) -> u32 {
    let judgement = guard(&ctx);
    if judgement.verdict.is_drop() {
        xdp_action::XDP_DROP
    } else if judgement.is_answered {
        answer::answer(&ctx)
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
        follow(&ctx);
        return TC_ACT_UNSPEC;
    }
    if guard(&ctx).verdict.is_drop() {
        TC_ACT_SHOT
    } else {
        TC_ACT_UNSPEC
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
