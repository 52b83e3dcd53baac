//! What the benchmarks measure the guard against.
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
    reason = "as in the guard"
)]
#![expect(
    dead_code,
    reason = "of the guard's modules the hook of what leaves is missing"
)]

mod admission;
mod answer;
mod clock;
mod config;
mod cookie;
mod evidence;
mod flood;
mod flow;
mod guard;
mod hash;
mod limits;
mod maps;
mod options;
mod packet;
mod parsed;
mod report;
mod shuffle;
mod table;
mod transcript;
mod witness;

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use tcpguard_common::{
    parse::{Link, parse},
    segment::Segment,
};

use crate::{guard::guard, shuffle::shuffle};

/// Drops without a look: what the loop around a program costs.
#[xdp(frags)]
fn bare_drop(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// Passes without a look.
#[xdp(frags)]
fn bare_pass(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// The same at the hook of what leaves.
#[classifier]
fn bare_egress(_ctx: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// Drops the flood by where it comes from, and passes all else: no filter that has to find out can do with
/// less.
#[xdp(frags)]
fn ideal(ctx: XdpContext) -> u32 {
    if flood::is_of(&ctx) {
        xdp_action::XDP_DROP
    } else {
        xdp_action::XDP_PASS
    }
}

/// Drops what answers the flood, which on a wire would go to nobody, and passes all else.
#[xdp(frags)]
fn absorb(ctx: XdpContext) -> u32 {
    if flood::is_answer(&ctx) {
        xdp_action::XDP_DROP
    } else {
        xdp_action::XDP_PASS
    }
}

/// Sends the frame as one of a flood from everywhere.
#[xdp]
fn flooding(ctx: XdpContext) -> u32 {
    flood::vary::<0xffff>(&ctx);
    xdp_action::XDP_TX
}

/// Sends the frame as one of a flood from four sources.
#[xdp]
fn flooding_few(ctx: XdpContext) -> u32 {
    flood::vary::<3>(&ctx);
    xdp_action::XDP_TX
}

/// Sends the frame as it is.
#[xdp]
fn repeating(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_TX
}

/// Sends the frame as one of the next connection.
#[xdp]
fn talking(ctx: XdpContext) -> u32 {
    flood::speak(&ctx);
    xdp_action::XDP_TX
}

/// Parses and drops: no flag check, no counter.
#[xdp(frags)]
fn parse_drop(ctx: XdpContext) -> u32 {
    let mut segment = Segment::EMPTY;
    let parsed = parse(
        &mut packet::Packet::whole(&ctx),
        Link::Ethernet,
        &mut segment,
    );
    // The test keeps the parser alive; no segment is all ones.
    if parsed.is_ok() && segment.seq.0 & segment.ack.0 & segment.payload_len == u32::MAX {
        return xdp_action::XDP_ABORTED;
    }
    xdp_action::XDP_DROP
}

/// One lookup and update in the kernel's hash map.
#[xdp(frags)]
fn hash(ctx: XdpContext) -> u32 {
    hash::remember(&ctx);
    xdp_action::XDP_PASS
}

/// What it costs to make another connection's frame of the last one.
#[xdp(frags)]
fn shuffled(ctx: XdpContext) -> u32 {
    shuffle(&ctx);
    xdp_action::XDP_PASS
}

/// The hash map with another connection each time.
#[xdp(frags)]
fn shuffled_hash(ctx: XdpContext) -> u32 {
    shuffle(&ctx);
    hash::remember(&ctx);
    xdp_action::XDP_PASS
}

/// The guard with another connection each time.
#[xdp(frags)]
fn shuffled_guard(ctx: XdpContext) -> u32 {
    shuffle(&ctx);
    if guard(&ctx).verdict.is_drop() {
        xdp_action::XDP_DROP
    } else {
        xdp_action::XDP_PASS
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[expect(unsafe_code, reason = "the kernel finds the licence by its section")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
