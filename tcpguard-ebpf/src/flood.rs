//! A frame that goes out as if somebody else had sent it each time: the benchmark's flood, and its
//! connections.
#![expect(unsafe_code, reason = "packet memory is reached through raw pointers")]

use aya_ebpf::helpers::generated::bpf_get_prandom_u32;

use crate::{packet::Buffer, shuffle};

/// What is looked at or changed in a frame without options reaches up to here.
const REACH: usize = V4.segment + 20;
const REACH_V6: usize = V6.segment + 20;
const ETHER_TYPE: usize = 12;
/// As they lie in memory.
const IPV4: u16 = 0x0800_u16.to_be();
const IPV6: u16 = 0x86dd_u16.to_be();
const IP_CHECKSUM: usize = 14 + 10;
/// Both halves of the source address of IPv4.
const SOURCE: [usize; 2] = [14 + 12, 14 + 14];
/// Where the IPv6 header says that TCP is next.
const NEXT_HEADER: usize = 14 + 6;
const TCP: u8 = 6;
/// Where floods come from, 10.9.0.0/16 and `2001:db8:9::/48`, as it lies in memory.
const FLOODING: u16 = 0x0a09_u16.to_be();
const FLOODING_V6: [u16; 3] = [0x2001_u16.to_be(), 0x0db8_u16.to_be(), 0x0009_u16.to_be()];
/// Never a port below 1024, as it lies in memory.
const UNPRIVILEGED: u16 = 1024_u16.to_be();

/// Where things are in a frame.
#[derive(Clone, Copy)]
struct Layout {
    source: usize,
    destination: usize,
    /// The word of the source that is changed: behind the network that floods come from. Of IPv6 it tells one /64
    /// from another.
    varied: usize,
    segment: usize,
}

const V4: Layout = Layout {
    source: SOURCE[0],
    destination: 14 + 16,
    varied: SOURCE[1],
    segment: 14 + 20,
};
const V6: Layout = Layout {
    source: 14 + 8,
    destination: 14 + 24,
    varied: 14 + 8 + 6,
    segment: 14 + 40,
};

/// Gives a frame another source, of as many as `SOURCES` has ones (a mask), and another place in the space of
/// numbers, and right checksums.
///
/// Its memory is used again and again, so it is changed from whatever it was before.
#[inline(always)]
pub(crate) fn vary<const SOURCES: u16>(ctx: &impl Buffer) {
    let (start, end) = (ctx.start(), ctx.end());
    if start + REACH > end {
        return;
    }
    // SAFETY: returns a number.
    let dice = [(); 2].map(|()| unsafe { bpf_get_prandom_u32() });
    let source = (dice[0] as u16 & SOURCES).to_be();
    let at = |offset: usize| (start + offset) as *mut u16;
    if read(at(ETHER_TYPE)) == IPV4 {
        let grown = replace(at(V4.varied), source);
        adjust(at(IP_CHECKSUM), grown);
        number(at(V4.segment), dice, grown);
    } else if start + REACH_V6 <= end && read(at(ETHER_TYPE)) == IPV6 {
        let grown = replace(at(V6.varied), source);
        // SAFETY: within `REACH`, which was tested; the verifier proves it again.
        let next = unsafe { *((start + NEXT_HEADER) as *const u8) };
        // Else it is a fragment, of which nobody verifies a checksum.
        if next == TCP {
            number(at(V6.segment), dice, grown);
        }
    }
}

/// Gives a segment another source port and sequence number, and the right checksum after its addresses have grown
/// by that.
#[inline(always)]
fn number(segment: *mut u16, [one, two]: [u32; 2], addresses: u32) {
    const SOURCE_PORT: usize = 0;
    /// Both halves.
    const SEQUENCE: [usize; 2] = [2, 3];
    const CHECKSUM: usize = 8;
    let word = |number: usize| segment.wrapping_add(number);
    let mut grown = addresses;
    grown += replace(word(SOURCE_PORT), (one >> 16) as u16 | UNPRIVILEGED);
    grown += replace(word(SEQUENCE[0]), two as u16);
    grown += replace(word(SEQUENCE[1]), (two >> 16) as u16);
    adjust(word(CHECKSUM), grown);
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
    adjust(at(V4.segment + 16), source);
}

/// Whether a frame is one of a flood.
#[inline(always)]
pub(crate) fn is_of(ctx: &impl Buffer) -> bool {
    has(ctx, V4.source, V6.source)
}

/// Whether a frame answers one of a flood.
#[inline(always)]
pub(crate) fn is_answer(ctx: &impl Buffer) -> bool {
    has(ctx, V4.destination, V6.destination)
}

/// Whether the address there, of either version of IP, is in the network that floods come from.
#[inline(always)]
fn has(ctx: &impl Buffer, v4: usize, v6: usize) -> bool {
    let (start, end) = (ctx.start(), ctx.end());
    if start + REACH > end {
        return false;
    }
    let at = |offset: usize| (start + offset) as *mut u16;
    if read(at(ETHER_TYPE)) == IPV4 {
        return read(at(v4)) == FLOODING;
    }
    let [one, two, three] = [0, 2, 4].map(|word| read(at(v6 + word)));
    let network = FLOODING_V6[0] == one && FLOODING_V6[1] == two && FLOODING_V6[2] == three;
    network && read(at(ETHER_TYPE)) == IPV6
}

#[inline(always)]
fn read(word: *const u16) -> u16 {
    // SAFETY: within `REACH`, which was tested; the verifier proves it again.
    unsafe { *word }
}

/// Writes a word, and returns what its sum grows by (RFC 1624).
#[inline(always)]
fn replace(word: *mut u16, new: u16) -> u32 {
    let old = read(word);
    // SAFETY: as above.
    unsafe { *word = new };
    u32::from(!old) + u32::from(new)
}

/// Takes that into a checksum.
#[inline(always)]
fn adjust(checksum: *mut u16, grown: u32) {
    let sum = u32::from(!read(checksum)) + grown;
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    // SAFETY: as above.
    unsafe { *checksum = !(sum as u16) };
}
