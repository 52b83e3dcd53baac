//! A frame that goes out as if somebody else had sent it each time: the benchmark's flood, and its
//! connections.
#![expect(unsafe_code, reason = "packet memory is reached through raw pointers")]

use aya_ebpf::helpers::generated::bpf_get_prandom_u32;

use crate::{packet::Buffer, shuffle};

/// What is changed in a frame of IPv4 without options reaches up to here.
const REACH: usize = 14 + 20 + 20;
const IP_CHECKSUM: usize = 14 + 10;
/// Both halves of the source address.
const SOURCE: [usize; 2] = [14 + 12, 14 + 14];
const DESTINATION: usize = 14 + 16;
/// Where floods come from, 10.9.0.0/16, as it lies in memory.
const FLOODING: u16 = 0x0a09_u16.to_be();
const SOURCE_PORT: usize = 14 + 20;
/// Both halves of the sequence number.
const SEQUENCE: [usize; 2] = [14 + 20 + 4, 14 + 20 + 6];
const TCP_CHECKSUM: usize = 14 + 20 + 16;
/// Never a port below 1024, as it lies in memory.
const UNPRIVILEGED: u16 = 1024_u16.to_be();

/// Gives a frame of IPv4 another source and another place in the space of numbers, and right checksums.
///
/// Its memory is used again and again, so it is changed from whatever it was before.
#[inline(always)]
pub(crate) fn vary(ctx: &impl Buffer) {
    let (start, end) = (ctx.start(), ctx.end());
    if start + REACH > end {
        return;
    }
    // SAFETY: returns a number.
    let [one, two] = [(); 2].map(|()| unsafe { bpf_get_prandom_u32() });
    let at = |offset: usize| (start + offset) as *mut u16;
    let source = replace(at(SOURCE[1]), one as u16);
    let mut segment = source + replace(at(SOURCE_PORT), (one >> 16) as u16 | UNPRIVILEGED);
    segment += replace(at(SEQUENCE[0]), two as u16);
    segment += replace(at(SEQUENCE[1]), (two >> 16) as u16);
    adjust(at(IP_CHECKSUM), source);
    adjust(at(TCP_CHECKSUM), segment);
}

/// Gives a frame of IPv4 the source address of the next connection, and right checksums.
#[inline(always)]
pub(crate) fn speak(ctx: &impl Buffer) {
    let (start, end) = (ctx.start(), ctx.end());
    if start + REACH > end {
        return;
    }
    let Some((address, _)) = shuffle::next() else {
        return;
    };
    let at = |offset: usize| (start + offset) as *mut u16;
    // As it lies in memory, the first half of the address is the lower one of the number.
    let mut source = replace(at(SOURCE[0]), address as u16);
    source += replace(at(SOURCE[1]), (address >> 16) as u16);
    adjust(at(IP_CHECKSUM), source);
    adjust(at(TCP_CHECKSUM), source);
}

/// Whether a frame of IPv4 is one of a flood.
#[inline(always)]
pub(crate) fn is_of(ctx: &impl Buffer) -> bool {
    has::<{ SOURCE[0] }>(ctx)
}

/// Whether a frame of IPv4 answers one of a flood.
#[inline(always)]
pub(crate) fn is_answer(ctx: &impl Buffer) -> bool {
    has::<DESTINATION>(ctx)
}

/// Whether the address there in a frame of IPv4 is in the network that floods come from.
#[inline(always)]
fn has<const ADDRESS: usize>(ctx: &impl Buffer) -> bool {
    let (start, end) = (ctx.start(), ctx.end());
    if start + REACH > end {
        return false;
    }
    // SAFETY: within `REACH`, which was tested; the verifier proves it again.
    let network = unsafe { *((start + ADDRESS) as *const u16) };
    network == FLOODING
}

/// Writes a word, and returns what its sum grows by (RFC 1624).
#[inline(always)]
fn replace(word: *mut u16, new: u16) -> u32 {
    // SAFETY: within `REACH`, which was tested; the verifier proves it again.
    let old = unsafe { *word };
    // SAFETY: as above.
    unsafe { *word = new };
    u32::from(!old) + u32::from(new)
}

/// Takes that into a checksum.
#[inline(always)]
fn adjust(checksum: *mut u16, grown: u32) {
    // SAFETY: as above.
    let old = unsafe { *checksum };
    let sum = u32::from(!old) + grown;
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    // SAFETY: as above.
    unsafe { *checksum = !(sum as u16) };
}
