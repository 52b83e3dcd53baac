//! Keeping frames that are objected to, for an operator to look at.
//!
//! Seldom beside the counting, and in functions of its own: the path of every packet carries for it no
//! more than the question whether this one is wanted.
#![expect(
    unsafe_code,
    reason = "global functions have plain names; helpers and map values take raw pointers"
)]

use core::intrinsics::{AtomicOrdering, atomic_xchg};

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    helpers::generated::{
        bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_skb_load_bytes, bpf_xdp_load_bytes,
    },
    programs::{TcContext, XdpContext},
};
use tcpguard_common::{
    evidence::{KEPT, Record, SNAP, shelf},
    verdict::Verdict,
};

use crate::{
    guard::Judgement,
    maps::EVIDENCE,
    packet::{Buffer, opaque},
    report::{self, Place},
};

/// A context whose frames can be kept, by this hook's global function.
pub(crate) trait Kept: Buffer {
    /// Keeps the frame, which has been counted at `place`.
    fn keep(&self, place: Place, judgement: Judgement);

    /// Copies its first octets, at least one.
    fn copy(&self, to: *mut u8, octets: u32);
}

impl Kept for XdpContext {
    #[inline(always)]
    fn keep(&self, place: Place, judgement: Judgement) {
        let cell = judgement.verdict.cell() as u32;
        ingress_keep(self.ctx, place.index as u32, cell, judgement.ruling);
    }

    #[inline(always)]
    fn copy(&self, to: *mut u8, octets: u32) {
        // SAFETY: the verifier proves that there is memory for so many octets. It fails only of a
        // frame that is shorter, which this one is not.
        let _ = unsafe { bpf_xdp_load_bytes(self.ctx, 0, to.cast(), octets) };
    }
}

impl Kept for TcContext {
    #[inline(always)]
    fn keep(&self, place: Place, judgement: Judgement) {
        let cell = judgement.verdict.cell() as u32;
        egress_keep(self.skb.skb, place.index as u32, cell, judgement.ruling);
    }

    #[inline(always)]
    fn copy(&self, to: *mut u8, octets: u32) {
        // SAFETY: as above.
        let _ = unsafe { bpf_skb_load_bytes(self.skb.skb.cast(), 0, to.cast(), octets) };
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_keep(ctx: *mut xdp_md, place: u32, cell: u32, ruling: u32) -> u32 {
    keep(&XdpContext::new(ctx), place, cell, ruling);
    0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn egress_keep(ctx: *mut __sk_buff, place: u32, cell: u32, ruling: u32) -> u32 {
    keep(&TcContext::new(ctx), place, cell, ruling);
    0
}

/// Puts a frame in the place of the oldest one of its reason on this CPU. Whoever reads that at this
/// moment sees by its number that it changes.
#[inline(always)]
fn keep(ctx: &impl Kept, place: u32, cell: u32, ruling: u32) -> Option<()> {
    let reason = Verdict::from_cell(cell as usize)?.reason()?;
    let counted = report::counters(place as usize)?.cells.get(cell as usize)?;
    let (octets, count) = (ctx.octets(), counted.tally.packets);
    // Hidden from LLVM, which would make a plain minimum of it, and the verifier wants at least one.
    let behind = opaque(octets.wrapping_sub(1).min(SNAP as u32 - 1) as usize);
    let captured = behind as u32 + 1;
    // SAFETY: reads a number of this CPU's.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let shelf = EVIDENCE.get_ptr_mut(shelf(cpu, reason))?;
    // SAFETY: the shelf is a map's value, which is never freed, and this CPU's own; no hook is
    // interrupted by itself, as with the counters.
    let written = unsafe { &mut (*shelf).written };
    // SAFETY: as above.
    let records = unsafe { &raw mut (*shelf).records };
    // SAFETY: the place is masked.
    let record = unsafe { records.cast::<Record>().add(*written as usize & (KEPT - 1)) };
    // SAFETY: as above; other CPUs only read it, by its number.
    let record = unsafe { &mut *record };
    let number = *written + 1;
    renumber(record, 0);
    // SAFETY: reads a clock.
    record.time_ns = unsafe { bpf_ktime_get_boot_ns() };
    record.count = count;
    record.octets = octets;
    record.ruling = ruling;
    record.cell = cell as u16;
    record.place = place as u16;
    record.captured = captured as u16;
    ctx.copy((&raw mut record.frame).cast(), captured);
    renumber(record, number);
    *written = number;
    Some(())
}

/// An exchange and not a store: no CPU may see the number and what it numbers in another order.
#[inline(always)]
fn renumber(record: &mut Record, number: u64) {
    // SAFETY: a field of that record.
    let _ =
        unsafe { atomic_xchg::<u64, { AtomicOrdering::SeqCst }>(&raw mut record.number, number) };
}
