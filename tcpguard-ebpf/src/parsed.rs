//! Frames parsed: at a first look as a plain segment, at a second as whatever they are.
//!
//! The whole parser is a function that the verifier checks by itself. The walk along IPv6 extension
//! headers has many ways through it, and what follows would be checked anew for each; what comes
//! back from here are numbers of which the verifier knows nothing.
#![expect(
    unsafe_code,
    reason = "global functions have plain names and take raw pointers"
)]

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    programs::{TcContext, XdpContext},
};
use tcpguard_common::{
    conn::{
        seen::{Seen, Voice},
        time::Ticks,
    },
    cookie::{
        listener::{Listener, Local},
        offer::Offer,
    },
    flags::TcpFlags,
    flow::{FlowKey4, FlowKey6, Way},
    parse::{self, Link},
    policy::Standing,
    segment::{Addresses, Segment},
    verdict::Verdict,
    wire::{ethernet, tcp},
};

use crate::{
    config::Hooked,
    maps::PARSED,
    packet::{Buffer, Packet, PacketView, opaque},
};

/// A segment that may be any, as the tracker is asked about it. Not on the stack, which the tracker needs, but
/// in a map: each hook has one on each CPU, where it is not interrupted by itself.
///
/// Without an enum, whose variants leave memory unset that the verifier wants set.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Parsed {
    /// The connection, if the version is 4.
    pub(crate) key4: FlowKey4,
    /// The same if it is 6.
    pub(crate) key6: FlowKey6,
    /// Which way it goes there, a [`Way`].
    way: u32,
    pub(crate) seen: Seen,
    /// 4, 6, or 0 if there is no segment.
    pub(crate) version: u16,
    /// Where the options that the tracker reads begin in the frame, in octets.
    pub(crate) options_at: u16,
    /// How many octets of them there are.
    pub(crate) options_len: u16,
    /// What is said of the source, a [`Standing`].
    pub(crate) standing: u16,
    /// What it offers, if it is a SYN that may be answered with a cookie, or the answer to a SYN.
    pub(crate) offer: Offer,
    /// On whose behalf it is answered then.
    pub(crate) listener: Listener,
    /// Whether it is answered by the guard, 0 or 1.
    pub(crate) is_answered: u32,
}

impl Parsed {
    /// The memory of a hook.
    #[inline(always)]
    pub(crate) fn of<C: Hooked>() -> Option<&'static mut Self> {
        let parsed = PARSED.get_ptr_mut(C::HOOK as u32)?;
        // SAFETY: the value is this CPU's own and lives as long as the program; as with the counters.
        Some(unsafe { &mut *parsed })
    }

    #[inline(always)]
    fn set(&mut self, segment: &Segment) {
        let (from, to) = (segment.source_port, segment.destination_port);
        let way = match segment.addresses {
            Addresses::V4 {
                source,
                destination,
            } => {
                self.version = 4;
                let (key, way) = FlowKey4::new((source, from), (destination, to));
                self.key4 = key;
                way
            }
            Addresses::V6 {
                source,
                destination,
            } => {
                self.version = 6;
                let (key, way) = FlowKey6::new((source, from), (destination, to));
                self.key6 = key;
                way
            }
        };
        self.way = way as u32;
        self.seen = Seen::new(segment, Ticks(0), Voice::FOREIGN);
        self.options_at = segment.options_at;
        self.options_len = u16::from(segment.options_len);
        self.standing = Standing::Unlisted as u16;
        self.is_answered = 0;
    }

    /// A plain segment without an entry, of which nobody has parsed more.
    #[inline(always)]
    pub(crate) fn set_stray<K: Held>(&mut self, key: K, way: Way, seen: Seen, standing: Standing) {
        self.version = K::VERSION;
        *K::of_mut(self) = key;
        self.way = way as u32;
        self.seen = seen;
        self.standing = standing as u16;
    }

    /// Which way the segment goes.
    #[inline(always)]
    pub(crate) fn way(&self) -> Way {
        Way::from_number(self.way)
    }

    /// The addresses of IPv4, source first.
    #[inline(always)]
    pub(crate) fn ends4(&self) -> [u32; 2] {
        self.way().order(self.key4.addresses)
    }

    /// The addresses of IPv6, source first.
    #[inline(always)]
    pub(crate) fn ends6(&self) -> [[u32; 4]; 2] {
        self.way().order(self.key6.addresses)
    }

    /// The ports, that of the source first.
    #[inline(always)]
    pub(crate) fn ports(&self) -> [u16; 2] {
        self.way().order(if self.version == 4 {
            self.key4.ports
        } else {
            self.key6.ports
        })
    }

    /// The address and port that it goes to.
    #[inline(always)]
    pub(crate) fn destination(&self) -> Local {
        self.end(self.way())
    }

    /// The address and port that it comes from.
    #[inline(always)]
    pub(crate) fn source(&self) -> Local {
        self.end(self.way().reverse())
    }

    #[inline(always)]
    fn end(&self, way: Way) -> Local {
        if self.version == 4 {
            Local::destination4(&self.key4, way)
        } else {
            Local::destination6(&self.key6, way)
        }
    }

    /// The flags of the segment.
    #[inline(always)]
    pub(crate) fn flags(&self) -> TcpFlags {
        self.seen.flags
    }

    /// What is said of the source.
    #[inline(always)]
    pub(crate) fn standing(&self) -> Standing {
        Standing::from_number(self.standing.into())
    }

    /// The segment but for its ends and options.
    #[inline(always)]
    pub(crate) fn segment(&self) -> Segment {
        let seen = &self.seen;
        Segment {
            seq: seen.seq,
            ack: seen.ack,
            window: seen.window,
            flags: seen.flags,
            payload_len: seen.payload_len,
            ..Segment::EMPTY
        }
    }
}

/// A key that there is memory for.
pub(crate) trait Held {
    /// Of IP.
    const VERSION: u16;
    /// Where it is.
    fn of(parsed: &Parsed) -> &Self;
    /// The same, to be written.
    fn of_mut(parsed: &mut Parsed) -> &mut Self;
}

impl Held for FlowKey4 {
    const VERSION: u16 = 4;

    #[inline(always)]
    fn of(parsed: &Parsed) -> &Self {
        &parsed.key4
    }

    #[inline(always)]
    fn of_mut(parsed: &mut Parsed) -> &mut Self {
        &mut parsed.key4
    }
}

impl Held for FlowKey6 {
    const VERSION: u16 = 6;

    #[inline(always)]
    fn of(parsed: &Parsed) -> &Self {
        &parsed.key6
    }

    #[inline(always)]
    fn of_mut(parsed: &mut Parsed) -> &mut Self {
        &mut parsed.key6
    }
}

/// A context whose frame can be parsed, by this hook's global function.
pub(crate) trait Parseable {
    /// The segment, or the cell of the verdict on a frame without one, or 0.
    fn parse_into(&self, raw_ip: u32, parsed: &mut Parsed) -> u32;
}

impl Parseable for XdpContext {
    #[inline(always)]
    fn parse_into(&self, raw_ip: u32, parsed: &mut Parsed) -> u32 {
        ingress_parse(self.ctx, raw_ip, parsed)
    }
}

impl Parseable for TcContext {
    #[inline(always)]
    fn parse_into(&self, raw_ip: u32, parsed: &mut Parsed) -> u32 {
        egress_parse(self.skb.skb, raw_ip, parsed)
    }
}

/// What is found in a frame by what is to be done behind the link layer with a packet of either
/// version. All that is no plain segment leaves by one exit, and no helper call takes registers away: this is
/// the path of nearly every segment.
#[inline(always)]
pub(crate) fn plain<'a, B: Buffer, R>(
    ctx: &'a B,
    link: Link,
    of_ipv4: impl FnOnce(&mut Packet<'a, B>) -> Option<R>,
    of_ipv6: impl FnOnce(&mut Packet<'a, B>) -> Option<R>,
) -> Option<R> {
    let mut cursor = Packet::known(ctx);
    match parse::ether_type(&mut cursor, link).ok()? {
        ethernet::IPV4 => of_ipv4(&mut cursor),
        ethernet::IPV6 => of_ipv6(&mut cursor),
        _ => None,
    }
}

/// A TCP header in a packet.
pub(crate) type TcpView = PacketView<{ tcp::HEADER_LEN }>;

/// The segment of a frame that may be anything, or the verdict on one without a segment.
#[inline(always)]
pub(crate) fn whole(ctx: &impl Parseable, link: Link, parsed: &mut Parsed) -> Option<Verdict> {
    let cell = ctx.parse_into(u32::from(link == Link::RawIp), parsed);
    // LLVM sees the bounds of what comes back, the verifier does not.
    Verdict::from_cell(opaque(cell as usize))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_parse(ctx: *mut xdp_md, raw_ip: u32, parsed: *mut Parsed) -> u32 {
    parse_frame(&XdpContext::new(ctx), raw_ip, parsed)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn egress_parse(ctx: *mut __sk_buff, raw_ip: u32, parsed: *mut Parsed) -> u32 {
    parse_frame(&TcContext::new(ctx), raw_ip, parsed)
}

#[inline(always)]
fn parse_frame(ctx: &impl Buffer, raw_ip: u32, parsed: *mut Parsed) -> u32 {
    // SAFETY: the verifier lets a caller pass memory of this size or null, which is tested.
    let Some(parsed) = (unsafe { parsed.as_mut() }) else {
        return 0;
    };
    parsed.version = 0;
    let link = Link::from_raw_ip(raw_ip);
    let mut segment = Segment::EMPTY;
    match parse::parse(&mut Packet::whole(ctx), link, &mut segment) {
        Ok(()) => {
            parsed.set(&segment);
            0
        }
        Err(verdict) => verdict.cell() as u32,
    }
}
