//! TCP options in packet memory, read by functions that the verifier checks by themselves: for each
//! offset there are as many ways as there are options before it.
#![expect(
    unsafe_code,
    reason = "packet memory is reached through raw pointers; global functions have plain names"
)]

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    programs::{TcContext, XdpContext},
};
use tcpguard_common::{
    conn::seen::Seen,
    cookie::offer::Offer,
    flags::TcpFlags,
    seq::SeqNum,
    wire::options::{self, MAX_LEN, Octets},
};

use crate::{packet::Buffer, parsed::Parsed};

/// A context whose options can be read, by this hook's global functions.
pub(crate) trait Optioned {
    /// The window scale of a SYN, or [`Seen::NO_SCALE`].
    fn window_scale(&self, at: u32, len: u32) -> u32;

    /// The highest octet that is acknowledged.
    fn sacked(&self, at: u32, len: u32, ack: u32) -> u32;

    /// What a SYN offers.
    fn offer(&self, at: u32, len: u32, offer: &mut Offer);
}

impl Optioned for XdpContext {
    #[inline(always)]
    fn window_scale(&self, at: u32, len: u32) -> u32 {
        ingress_window_scale(self.ctx, at, len)
    }

    #[inline(always)]
    fn sacked(&self, at: u32, len: u32, ack: u32) -> u32 {
        ingress_sacked(self.ctx, at, len, ack)
    }

    #[inline(always)]
    fn offer(&self, at: u32, len: u32, offer: &mut Offer) {
        ingress_offer(self.ctx, at, len, offer);
    }
}

impl Optioned for TcContext {
    #[inline(always)]
    fn window_scale(&self, at: u32, len: u32) -> u32 {
        egress_window_scale(self.skb.skb, at, len)
    }

    #[inline(always)]
    fn sacked(&self, at: u32, len: u32, ack: u32) -> u32 {
        egress_sacked(self.skb.skb, at, len, ack)
    }

    #[inline(always)]
    fn offer(&self, at: u32, len: u32, offer: &mut Offer) {
        egress_offer(self.skb.skb, at, len, offer);
    }
}

/// Adds to what is seen of a segment what its options say.
#[inline(always)]
pub(crate) fn read(ctx: &impl Optioned, parsed: &mut Parsed) {
    let (at, len) = (parsed.options_at.into(), parsed.options_len.into());
    if len == 0 {
        return;
    }
    let seen = &mut parsed.seen;
    if seen.flags.contains(TcpFlags::SYN) {
        seen.scale = ctx.window_scale(at, len) as u8;
    } else {
        seen.sacked = SeqNum(ctx.sacked(at, len, seen.ack.0));
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_window_scale(ctx: *mut xdp_md, at: u32, len: u32) -> u32 {
    window_scale(&XdpContext::new(ctx), at, len)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn egress_window_scale(ctx: *mut __sk_buff, at: u32, len: u32) -> u32 {
    window_scale(&TcContext::new(ctx), at, len)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_sacked(ctx: *mut xdp_md, at: u32, len: u32, ack: u32) -> u32 {
    sacked(&XdpContext::new(ctx), at, len, ack)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn egress_sacked(ctx: *mut __sk_buff, at: u32, len: u32, ack: u32) -> u32 {
    sacked(&TcContext::new(ctx), at, len, ack)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_offer(ctx: *mut xdp_md, at: u32, len: u32, offer: *mut Offer) -> u32 {
    read_offer(&XdpContext::new(ctx), at, len, offer)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn egress_offer(ctx: *mut __sk_buff, at: u32, len: u32, offer: *mut Offer) -> u32 {
    read_offer(&TcContext::new(ctx), at, len, offer)
}

#[inline(always)]
fn window_scale(ctx: &impl Buffer, at: u32, len: u32) -> u32 {
    let scale = PacketOptions::new(ctx, at, len).and_then(|found| options::window_scale(&found));
    u32::from(scale.unwrap_or(Seen::NO_SCALE))
}

#[inline(always)]
fn sacked(ctx: &impl Buffer, at: u32, len: u32, ack: u32) -> u32 {
    match PacketOptions::new(ctx, at, len) {
        Some(found) => options::sacked(&found, SeqNum(ack)).0,
        None => ack,
    }
}

#[inline(always)]
fn read_offer(ctx: &impl Buffer, at: u32, len: u32, offer: *mut Offer) -> u32 {
    // SAFETY: the verifier lets a caller pass memory of this size or null, which is tested.
    if let Some(offer) = unsafe { offer.as_mut() } {
        *offer = Offer::NOTHING;
        if let Some(found) = PacketOptions::new(ctx, at, len) {
            offer.read(&found);
        }
    }
    0
}

/// The options of a header in the linear part of a buffer.
struct PacketOptions {
    start: usize,
    end: usize,
    len: usize,
}

impl PacketOptions {
    #[inline(always)]
    fn new(ctx: &impl Buffer, at: u32, len: u32) -> Option<Self> {
        // The verifier wants to know bounds; no first buffer is longer than a page.
        let (at, len) = (at as usize, len as usize);
        (at <= 0x1fff && len <= MAX_LEN).then(|| Self {
            start: ctx.start() + at,
            end: ctx.end(),
            len,
        })
    }

    /// Where `N` octets at `at` begin.
    #[inline(always)]
    fn at<const N: usize>(&self, at: usize) -> Option<*const u8> {
        let position = self.start + at;
        if at + N > self.len || position + N > self.end {
            return None;
        }
        Some(position as *const u8)
    }
}

impl Octets for PacketOptions {
    #[inline(always)]
    fn two(&self, at: usize) -> Option<[u8; 2]> {
        let octets = self.at::<2>(at)?;
        // SAFETY: two octets are there; the verifier proves it again at load time.
        Some(unsafe { *octets.cast() })
    }

    #[inline(always)]
    fn three(&self, at: usize) -> Option<[u8; 3]> {
        let octets = self.at::<3>(at)?;
        // SAFETY: three octets are there; the verifier proves it again at load time.
        Some(unsafe { *octets.cast() })
    }

    #[inline(always)]
    fn word(&self, at: usize) -> Option<u32> {
        let octets = self.at::<4>(at)?;
        // SAFETY: four octets are there. One load, though it may be misaligned, as in `packet`.
        Some(u32::from_be(unsafe { *octets.cast() }))
    }

    /// By hand, because LLVM leaves the mask out where it knows that the number is small.
    #[inline(always)]
    fn forget(&self, mut at: usize) -> usize {
        // SAFETY: masks a register.
        unsafe {
            core::arch::asm!("{0} &= 0x1ff", inout(reg) at, options(pure, nomem, nostack));
        }
        at
    }
}
