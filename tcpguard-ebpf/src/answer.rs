//! A SYN becomes the SYN+ACK that answers it, in its own frame, and goes back where it came from.
#![expect(
    unsafe_code,
    reason = "packet memory is reached through raw pointers; global functions have plain names"
)]

use core::ptr;

use aya_ebpf::{
    bindings::{xdp_action, xdp_md},
    helpers::generated::{
        bpf_ktime_get_ns, bpf_tcp_raw_gen_syncookie_ipv4, bpf_tcp_raw_gen_syncookie_ipv6,
        bpf_xdp_adjust_tail,
    },
    programs::XdpContext,
};
use tcpguard_common::{
    cookie::answer::{Answer, FEW_WORDS, Syn, folded, halves},
    cursor::Cursor as _,
    flags::TcpFlags,
    flow::{FlowKey4, FlowKey6, Way},
    parse::{self, Link},
    wire::{ethernet, tcp},
};

use crate::{
    config, cookie,
    packet::{Buffer as _, Packet, linear},
    parsed::{Held, Parsed},
    report::{self, Place},
    witness::{Witnessed, port_word},
};

const NANOSECONDS_IN_MILLISECOND: u64 = 1_000_000;

/// A TCP header with the MSS option and no other, of which the kernel makes a cookie.
type Asking = [u32; FEW_WORDS];

/// A key of connections to which SYN+ACKs can be sent.
trait Answered: Witnessed + Held {
    /// What a peer takes that does not say so (RFC 9293 section 3.7.1).
    const DEFAULT_MSS: u16;

    /// The kernel's cookie for a SYN with these headers; negative if it has none.
    fn cookie(header: &mut Self::Header, segment: &mut Asking) -> i64;

    /// The IP header of an answer of `octets` octets to what goes `way`.
    fn reply(&self, way: Way, octets: usize) -> Self::Header;

    /// The sum of the halves of both addresses.
    fn sum(&self) -> u32;
}

impl Answered for FlowKey4 {
    const DEFAULT_MSS: u16 = 536;

    #[inline(always)]
    fn cookie(header: &mut Self::Header, segment: &mut Asking) -> i64 {
        // SAFETY: the headers have the size of the kernel's, and that which is told.
        unsafe {
            bpf_tcp_raw_gen_syncookie_ipv4(
                ptr::from_mut(header).cast(),
                segment.as_mut_ptr().cast(),
                size_of::<Asking>() as u32,
            )
        }
    }

    #[inline(always)]
    fn reply(&self, way: Way, octets: usize) -> Self::Header {
        const DO_NOT_FRAGMENT: u32 = 0x4000;
        let [hop_limit, _] = config::hop_limits();
        let first = 0x4500_0000 | (size_of::<Self::Header>() + octets) as u32;
        let third = u32::from(hop_limit) << 24 | u32::from(tcp::PROTOCOL) << 16;
        let sum = halves(first) + DO_NOT_FRAGMENT + halves(third) + self.sum();
        let [_, _, _, source, destination] = self.header(way.reverse());
        [
            first.to_be(),
            DO_NOT_FRAGMENT.to_be(),
            (third | u32::from(folded(sum))).to_be(),
            source,
            destination,
        ]
    }

    #[inline(always)]
    fn sum(&self) -> u32 {
        let [one, other] = self.addresses;
        halves(one) + halves(other)
    }
}

impl Answered for FlowKey6 {
    const DEFAULT_MSS: u16 = 1220;

    #[inline(always)]
    fn cookie(header: &mut Self::Header, segment: &mut Asking) -> i64 {
        // SAFETY: as above.
        unsafe {
            bpf_tcp_raw_gen_syncookie_ipv6(
                ptr::from_mut(header).cast(),
                segment.as_mut_ptr().cast(),
                size_of::<Asking>() as u32,
            )
        }
    }

    #[inline(always)]
    fn reply(&self, way: Way, octets: usize) -> Self::Header {
        let [_, hop_limit] = config::hop_limits();
        let second = (octets as u32) << 16 | u32::from(tcp::PROTOCOL) << 8 | u32::from(hop_limit);
        let ([first, _], ends) = self.header(way.reverse());
        ([first, second.to_be()], ends)
    }

    #[inline(always)]
    fn sum(&self) -> u32 {
        let words = self.addresses.as_flattened().iter();
        words.fold(0, |sum, word| sum + halves(u32::from_be(*word)))
    }
}

/// Answers the SYN that was judged last: what becomes of the frame.
#[inline(always)]
pub(crate) fn answer(ctx: &XdpContext) -> u32 {
    match Parsed::of::<XdpContext>() {
        Some(parsed) => ingress_answer(ctx.ctx, parsed),
        None => xdp_action::XDP_PASS,
    }
}

/// What cannot be answered passes as it is: the stack is who can.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_answer(ctx: *mut xdp_md, parsed: *const Parsed) -> u32 {
    // SAFETY: the verifier lets a caller pass memory of this size or null, which is tested.
    let Some(parsed) = (unsafe { parsed.as_ref() }) else {
        return xdp_action::XDP_PASS;
    };
    let ctx = XdpContext::new(ctx);
    let sent = if parsed.version == 4 {
        send::<FlowKey4>(&ctx, parsed)
    } else {
        send::<FlowKey6>(&ctx, parsed)
    };
    if sent.is_none() {
        return xdp_action::XDP_PASS;
    }
    cookie::sent();
    report::cookie_sent();
    xdp_action::XDP_TX
}

#[inline(always)]
fn send<K: Answered>(ctx: &XdpContext, parsed: &Parsed) -> Option<()> {
    let (key, way) = (K::of(parsed), parsed.way());
    let link = Place::of(ctx).link();
    if link == Link::Ethernet && is_for_many(ctx) {
        return None;
    }
    let behind_link = network_header(ctx, link)?;
    let cookie = make_cookie(key, way, parsed)?;
    let syn = Syn {
        ports: parsed.ports(),
        seq: parsed.seen.seq,
        flags: parsed.seen.flags,
        offer: &parsed.offer,
    };
    let answer = Answer::new(
        &syn,
        &parsed.listener,
        config::means(),
        cookie,
        milliseconds,
    );
    let answer = answer.with_checksum(key.sum());
    let header = key.reply(way, answer.octets());
    resize(ctx, behind_link + size_of::<K::Header>() + answer.octets())?;
    let words = answer.words.map(u32::to_be);
    if answer.is_long() {
        write(ctx, behind_link, (header, words))?;
    } else {
        let [few @ .., _, _, _, _] = words;
        write(ctx, behind_link, (header, few))?;
    }
    if link == Link::Ethernet {
        turn_around(ctx)?;
    }
    Some(())
}

/// The moment by the clock of time stamps.
#[inline(always)]
fn milliseconds() -> u32 {
    // SAFETY: reads a clock.
    (unsafe { bpf_ktime_get_ns() } / NANOSECONDS_IN_MILLISECOND) as u32
}

/// Where the network header begins in a frame that lies in one buffer, with no more tags than VLANs may need.
#[inline(always)]
fn network_header(ctx: &XdpContext, link: Link) -> Option<usize> {
    let mut cursor = Packet::known(ctx);
    let ether_type = parse::ether_type(&mut cursor, link).ok()?;
    let is_whole = ctx.octets() == linear(ctx);
    (is_whole && !ethernet::is_tag(ether_type)).then(|| cursor.offset() as usize)
}

#[inline(always)]
fn make_cookie<K: Answered>(key: &K, way: Way, parsed: &Parsed) -> Option<u32> {
    let mss = match parsed.offer.mss {
        0 => K::DEFAULT_MSS,
        mss => mss,
    };
    let offset_and_flags = (FEW_WORDS as u32) << 28 | u32::from(TcpFlags::SYN.bits()) << 16;
    let mut segment = [
        port_word(key.ports(way)),
        parsed.seen.seq.0.to_be(),
        0,
        offset_and_flags.to_be(),
        0,
        (0x0204_0000 | u32::from(mss)).to_be(),
    ];
    // Above the cookie is the MSS that it carries.
    let cookie = u64::try_from(K::cookie(&mut key.header(way), &mut segment)).ok()?;
    Some(cookie as u32)
}

/// Makes the frame as long as that.
#[inline(always)]
fn resize(ctx: &XdpContext, octets: usize) -> Option<()> {
    let more = (octets as u32).cast_signed() - linear(ctx).cast_signed();
    // SAFETY: the context is valid, and no packet pointer from before is used behind this.
    (more == 0 || unsafe { bpf_xdp_adjust_tail(ctx.ctx, more) } == 0).then_some(())
}

/// Puts headers behind the link layer's.
#[inline(always)]
fn write<T>(ctx: &XdpContext, behind_link: usize, headers: T) -> Option<()> {
    // The verifier wants to know a bound: two tags are the most.
    let start = ctx.start() + (behind_link & 0x1f);
    if start + size_of::<T>() > ctx.end() {
        return None;
    }
    // SAFETY: that many octets are there; the verifier proves it again at load time. They may be
    // misaligned, as in `packet`.
    unsafe { *(start as *mut T) = headers };
    Some(())
}

/// Destination and source of an Ethernet header.
type Hardware = [[u16; 3]; 2];

/// Whether a frame was sent to more than one host: nobody answers that.
#[inline(always)]
fn is_for_many(ctx: &XdpContext) -> bool {
    const GROUP: u16 = 1;
    hardware(ctx).is_none_or(|addresses| {
        // SAFETY: as in `write`.
        let [[first, ..], _] = unsafe { *addresses };
        u16::from_le(first) & GROUP != 0
    })
}

/// Exchanges the hardware addresses.
#[inline(always)]
fn turn_around(ctx: &XdpContext) -> Option<()> {
    let addresses = hardware(ctx)?;
    // SAFETY: as in `write`.
    let [destination, source] = unsafe { *addresses };
    // SAFETY: as above.
    unsafe { *addresses = [source, destination] };
    Some(())
}

#[inline(always)]
fn hardware(ctx: &XdpContext) -> Option<*mut Hardware> {
    let start = ctx.start();
    (start + ethernet::HEADER_LEN <= ctx.end()).then_some(start as *mut Hardware)
}
