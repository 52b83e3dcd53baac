//! Another connection with every run: a test run is given one frame and repeats it.
#![expect(
    unsafe_code,
    reason = "packet memory and map values are reached through raw pointers"
)]

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};

use crate::packet::Buffer;

/// How the next connection follows from the last: the benchmark writes it before each run.
///
/// `state * factor + step` is the next state, and its upper half, masked and counted from `first`,
/// the number of the connection. So one program counts the connections up or runs through them by
/// chance.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Shuffle {
    state: u64,
    factor: u64,
    step: u64,
    mask: u64,
    first: u64,
    /// Whether the frame goes to the far end and not from there, 0 or 1.
    reply: u64,
}

/// One entry, and of it one for each CPU: two may run at once.
#[btf_map]
static SHUFFLE: PerCpuArray<Shuffle, 1> = PerCpuArray::new();

/// What is changed in a frame reaches up to here.
const REACH: usize = 14 + 40;
/// Where the last word of the source address is, and that of the destination.
const IPV4: [usize; 2] = [14 + 12, 14 + 16];
const IPV6: [usize; 2] = [14 + 8 + 12, 14 + 24 + 12];
/// An IPv4 header begins with it.
const VERSION_4: u8 = 0x45;

/// Gives the far end of a frame the address of the next connection.
#[inline(always)]
pub(crate) fn shuffle(ctx: &impl Buffer) {
    let Some((address, is_reply)) = next() else {
        return;
    };
    let (start, end) = (ctx.start(), ctx.end());
    if start + REACH > end {
        return;
    }
    // SAFETY: within `REACH`, which was tested above; the verifier proves it again.
    let version = unsafe { *((start + 14) as *const u8) };
    let [source, destination] = if version == VERSION_4 { IPV4 } else { IPV6 };
    let at = if is_reply { destination } else { source };
    // SAFETY: as above.
    unsafe {
        *((start + at) as *mut u32) = address;
    }
}

/// The address of the next connection's far end, as it lies in memory, and whether the frame goes there.
#[inline(always)]
pub(crate) fn next() -> Option<(u32, bool)> {
    let shuffle = SHUFFLE.get_ptr_mut(0)?;
    // SAFETY: the pointer is valid for the run of the program, and a CPU has one run at a time.
    let shuffle = unsafe { &mut *shuffle };
    shuffle.state = shuffle
        .state
        .wrapping_mul(shuffle.factor)
        .wrapping_add(shuffle.step);
    let number = (((shuffle.state >> 32) & shuffle.mask) + shuffle.first) as u32;
    // 10.0.0.0/8
    Some(((0x0a00_0000 | number).to_be(), shuffle.reply != 0))
}
