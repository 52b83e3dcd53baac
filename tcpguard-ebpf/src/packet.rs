//! A frame in the kernel. All raw packet pointers live here.
#![expect(unsafe_code, reason = "packet memory is reached through raw pointers")]

use core::{ffi::c_void, mem::offset_of, ptr};

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    helpers::generated::{bpf_loop, bpf_xdp_get_buff_len},
    programs::{TcContext, XdpContext},
};
use tcpguard_common::{
    cursor::{Cursor, View, Walk},
    wire::{ethernet, ipv4, ipv6, tcp},
};

/// Enough for two tags, a fixed IP header with all IPv4 options or some extension headers, and TCP:
/// what is pulled into the linear part of a buffer that leaves.
#[expect(clippy::cast_possible_truncation, reason = "a sum of small constants")]
const HEADERS: u32 = (ethernet::HEADER_LEN
    + ethernet::MAX_VLANS * ethernet::TAG_LEN
    + ipv6::HEADER_LEN
    + ipv4::HEADER_LEN * 2
    + tcp::HEADER_LEN) as u32;

/// A hook's context, as far as it is a buffer with a frame in it.
pub(crate) trait Buffer {
    /// What the kernel calls it.
    type Raw;

    /// The kernel's own.
    fn raw(&self) -> *mut Self::Raw;
    /// Of the kernel's own.
    fn of(raw: *mut Self::Raw) -> Self;
    /// First octet of the linear part.
    fn start(&self) -> usize;
    /// Behind the last octet of the linear part.
    fn end(&self) -> usize;
    /// Octets of the whole frame.
    fn octets(&self) -> u32;
    /// The same as far as it is known without a call: those of the linear part, where the whole may be longer.
    fn known_octets(&self) -> u32;
    /// Brings the headers into the linear part, if they may be elsewhere. Packet pointers from before are
    /// invalid after it.
    fn gather(&self);
}

impl Buffer for XdpContext {
    type Raw = xdp_md;

    #[inline(always)]
    fn raw(&self) -> *mut xdp_md {
        self.ctx
    }

    #[inline(always)]
    fn of(raw: *mut xdp_md) -> Self {
        Self::new(raw)
    }

    #[inline(always)]
    fn start(&self) -> usize {
        pointer::<{ offset_of!(xdp_md, data) }, _>(self.ctx)
    }

    #[inline(always)]
    fn end(&self) -> usize {
        pointer::<{ offset_of!(xdp_md, data_end) }, _>(self.ctx)
    }

    #[inline(always)]
    fn octets(&self) -> u32 {
        // SAFETY: the context is valid for the run of the program.
        let octets = unsafe { bpf_xdp_get_buff_len(self.ctx) };
        octets as u32
    }

    #[inline(always)]
    fn known_octets(&self) -> u32 {
        linear(self)
    }

    /// No driver puts headers elsewhere.
    #[inline(always)]
    fn gather(&self) {}
}

impl Buffer for TcContext {
    type Raw = __sk_buff;

    #[inline(always)]
    fn raw(&self) -> *mut __sk_buff {
        self.skb.skb
    }

    #[inline(always)]
    fn of(raw: *mut __sk_buff) -> Self {
        Self::new(raw)
    }

    #[inline(always)]
    fn start(&self) -> usize {
        pointer::<{ offset_of!(__sk_buff, data) }, _>(self.skb.skb)
    }

    #[inline(always)]
    fn end(&self) -> usize {
        pointer::<{ offset_of!(__sk_buff, data_end) }, _>(self.skb.skb)
    }

    #[inline(always)]
    fn octets(&self) -> u32 {
        self.len()
    }

    #[inline(always)]
    fn known_octets(&self) -> u32 {
        self.len()
    }

    /// Nearly always they are there, and copying what comes behind them costs more than all the rest.
    #[inline(always)]
    fn gather(&self) {
        let wanted = self.len().min(HEADERS);
        if self.data_end() - self.data() < wanted as usize {
            // Without memory for it the frame stays as it is and passes as unreadable.
            let _ = self.pull_data(wanted);
        }
    }
}

/// A packet pointer of a context, which has 32 bits there and 64 in a register. By hand, because of a
/// plain load LLVM knows that the upper bits are zero, and copies the pointer as 32 bits, which makes
/// a mere number of it (LLVM 22, Linux 6.18).
#[inline(always)]
fn pointer<const AT: usize, C>(context: *const C) -> usize {
    let pointer;
    // SAFETY: the context is valid for the run of the program, and the field lies within it.
    unsafe {
        core::arch::asm!(
            "{0} = *(u32 *)({1} + {at})",
            out(reg) pointer,
            in(reg) context,
            at = const AT,
            options(pure, readonly, nostack)
        );
    }
    pointer
}

/// [`Cursor`] over the linear part of a buffer.
///
/// Addresses are kept as integers: the verifier follows the packet pointers in them, and proves each
/// read by the comparison with `end` that comes before it.
pub(crate) struct Packet<'a, B> {
    buffer: &'a B,
    position: usize,
    end: usize,
    /// Whether the kernel is asked for what lies behind `end`, where that takes a call: it costs more than all
    /// of the counting, and nearly every frame that arrives lies in one buffer.
    asks: bool,
}

impl<'a, B: Buffer> Packet<'a, B> {
    /// At the first octet of a frame that is as long as is known without a call.
    #[inline(always)]
    pub(crate) fn known(buffer: &'a B) -> Self {
        Self::new(buffer, false)
    }

    /// At the first octet of a frame that may go on behind its linear part.
    #[inline(always)]
    pub(crate) fn whole(buffer: &'a B) -> Self {
        Self::new(buffer, true)
    }

    #[inline(always)]
    fn new(buffer: &'a B, asks: bool) -> Self {
        Self {
            buffer,
            position: buffer.start(),
            end: buffer.end(),
            asks,
        }
    }
}

impl<B: Buffer> Cursor for Packet<'_, B> {
    type View<const N: usize> = PacketView<N>;

    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Option<PacketView<N>> {
        let view = PacketView(self.position);
        if self.position + N > self.end {
            return None;
        }
        self.position += N;
        Some(view)
    }

    #[inline(always)]
    fn take_both<const N: usize, const M: usize>(
        &mut self,
    ) -> Option<(PacketView<N>, PacketView<M>)> {
        let at = self.position;
        if at + (N + M) > self.end {
            return None;
        }
        self.position += N + M;
        Some((PacketView(at), PacketView(at + N)))
    }

    #[inline(always)]
    fn skip(&mut self, octets: usize) {
        self.position += octets;
    }

    #[inline(always)]
    fn fork(&self) -> Self {
        Self { ..*self }
    }

    #[inline(always)]
    fn offset(&self) -> u32 {
        linear(self.buffer) - self.readable()
    }

    #[inline(always)]
    fn readable(&self) -> u32 {
        opaque(self.end - self.position) as u32
    }

    #[inline(always)]
    fn beyond(&mut self) -> u32 {
        let octets = if self.asks {
            self.buffer.octets()
        } else {
            self.buffer.known_octets()
        };
        octets - linear(self.buffer)
    }

    /// By the kernel, so that the verifier follows one step and not all of them.
    #[inline(always)]
    fn walk<W: Walk>(&mut self, steps: u32, walk: &mut W) {
        let mut walking = Walking::<B, W> {
            buffer: self.buffer.raw(),
            at: opaque(self.position - self.buffer.start()),
            walk: *walk,
        };
        let step: unsafe extern "C" fn(u32, *mut Walking<B, W>) -> i64 = one_step::<B, W>;
        // SAFETY: the kernel calls the function with what it is given here, while it lives.
        unsafe {
            bpf_loop(
                steps,
                step as *mut c_void,
                ptr::from_mut(&mut walking).cast(),
                0,
            );
        }
        *walk = walking.walk;
        self.position = self.buffer.start() + within_reach(walking.at);
    }
}

/// What the kernel keeps from one step of a walk to the next.
#[repr(C)]
struct Walking<B: Buffer, W> {
    buffer: *mut B::Raw,
    /// Octets from the beginning of the frame.
    at: usize,
    walk: W,
}

/// One step of a walk: 0 if another one has to be taken, or 1. BTF wants a name for how many were taken.
unsafe extern "C" fn one_step<B: Buffer, W: Walk>(_taken: u32, walking: *mut Walking<B, W>) -> i64 {
    // SAFETY: the kernel passes on what `walk` gave it.
    let walking = unsafe { &mut *walking };
    let buffer = B::of(walking.buffer);
    let mut packet = Packet::whole(&buffer);
    packet.position += within_reach(walking.at);
    let goes_on = walking.walk.step(&mut packet);
    walking.at = opaque(packet.position - buffer.start());
    i64::from(!goes_on)
}

/// A number of octets that may be added to a packet pointer, by the verifier's rules (`MAX_PACKET_OFF`). No first
/// buffer has as many: what is farther than that ends behind it as well. By hand, because LLVM leaves the mask out
/// where it knows that the number is small, and the verifier does not.
#[inline(always)]
fn within_reach(mut octets: usize) -> usize {
    // SAFETY: masks a register.
    unsafe {
        core::arch::asm!(
            "{0} &= 0x7fff",
            inout(reg) octets,
            options(pure, nomem, nostack)
        );
    }
    octets
}

/// Octets of the linear part.
#[inline(always)]
pub(crate) fn linear(buffer: &impl Buffer) -> u32 {
    opaque(buffer.end() - buffer.start()) as u32
}

/// Hides where a number comes from. Of `octets - (end - start)` LLVM makes `octets + start - end`,
/// and the verifier lets no packet pointer be added in 32 bits (LLVM 22, Linux 6.18). The addition
/// of nothing is there because an empty statement would have no line in the debug information.
#[inline(always)]
pub(crate) fn opaque(mut number: usize) -> usize {
    // SAFETY: adds nothing to a register.
    unsafe {
        core::arch::asm!("{0} += 0", inout(reg) number, options(pure, nomem, nostack));
    }
    number
}

/// Where ways meet, as the verifier sees it: it compares states where a jump leads to, and takes this one out again.
#[inline(always)]
pub(crate) fn rejoin(mut number: usize) -> usize {
    // SAFETY: goes on to the next instruction.
    unsafe {
        core::arch::asm!("goto +0 /* {0} */", inout(reg) number, options(pure, nomem, nostack));
    }
    number
}

/// `N` octets of packet memory; made only by [`Packet::take`].
#[derive(Clone, Copy)]
pub(crate) struct PacketView<const N: usize>(usize);

impl<const N: usize> PacketView<N> {
    /// One load, though packet memory may be misaligned for `T`: this machine's BPF allows that, and
    /// `read_unaligned` would be a load and a shift for each octet.
    #[inline(always)]
    fn read<T: Copy, const AT: usize>(self) -> T {
        const {
            assert!(
                AT + size_of::<T>() <= N,
                "the field lies outside of its header"
            );
        };
        // SAFETY: `position + N <= end` was tested in `take`, and `AT + size_of::<T>() <= N` above;
        // the verifier proves it again at load time.
        unsafe { *((self.0 + AT) as *const T) }
    }
}

impl<const N: usize> View<N> for PacketView<N> {
    #[inline(always)]
    fn u8<const AT: usize>(self) -> u8 {
        self.read::<u8, AT>()
    }

    #[inline(always)]
    fn be16<const AT: usize>(self) -> u16 {
        u16::from_be(self.read::<u16, AT>())
    }

    /// Swapped by hand: LLVM applies the mask before it swaps, and of what has been swapped the verifier of Linux
    /// 6.1 knows no bounds (LLVM 22).
    #[inline(always)]
    fn be16_under<const AT: usize>(self, mask: u16) -> u16 {
        let mut octets = usize::from(self.read::<u16, AT>());
        // SAFETY: swaps the octets of a register.
        unsafe {
            core::arch::asm!("{0} = be16 {0}", inout(reg) octets, options(pure, nomem, nostack));
        }
        octets as u16 & mask
    }

    #[inline(always)]
    fn be32<const AT: usize>(self) -> u32 {
        u32::from_be(self.read::<u32, AT>())
    }

    #[inline(always)]
    fn words<const AT: usize>(self) -> [u32; 4] {
        self.read::<[u32; 4], AT>()
    }
}
