//! What the benchmark measures the guard against. Never attached to anything.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::inline_always,
    clippy::needless_pass_by_value,
    reason = "as in the guard"
)]

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use tcpguard_common::{
    parse::{Link, parse},
    segment::Segment,
};

#[path = "packet.rs"]
#[expect(dead_code, reason = "the baseline needs a part of it")]
mod packet;

/// Drops without a look: what the loop around a program costs.
#[xdp(frags)]
fn bare_drop(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_DROP
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

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[expect(unsafe_code, reason = "the kernel finds the licence by its section")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
