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
    abi::{Question4, Question6},
    conn::{
        seen::{Seen, Voice},
        time::Ticks,
    },
    flags::TcpFlags,
    parse::{Link, parse, parse_plain},
    policy::Standing,
    segment::{Addresses, Segment},
    verdict::Verdict,
};

use crate::packet::{Buffer, Packet, opaque};

/// A segment without an enum, whose variants leave memory unset that the verifier wants set: as the
/// question to the tracker, of which the moment and the options are missing.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Parsed {
    pub(crate) question: Question6,
    /// 4, 6, or 0 if there is no segment.
    pub(crate) version: u16,
    /// Where the options that the tracker reads begin in the frame, in octets.
    pub(crate) options_at: u16,
    /// How many octets of them there are.
    pub(crate) options_len: u16,
    /// What is said of the source, a [`Standing`].
    pub(crate) standing: u16,
}

impl Parsed {
    /// Nothing read.
    pub(crate) const NOTHING: Self = Self {
        question: Question6 {
            prefixes: [[0; 3]; 2],
            rest: Question4 {
                source: 0,
                destination: 0,
                source_port: 0,
                destination_port: 0,
                seen: Seen::NOTHING,
            },
        },
        version: 0,
        options_at: 0,
        options_len: 0,
        standing: 0,
    };

    #[inline(always)]
    fn set(&mut self, segment: &Segment) {
        let rest = &mut self.question.rest;
        rest.source_port = segment.source_port;
        rest.destination_port = segment.destination_port;
        rest.seen = Seen::new(segment, Ticks(0), Voice::FOREIGN);
        self.options_at = segment.options_at;
        self.options_len = u16::from(segment.options_len);
        match segment.addresses {
            Addresses::V4 {
                source,
                destination,
            } => {
                self.version = 4;
                rest.source = source;
                rest.destination = destination;
            }
            Addresses::V6 {
                source,
                destination,
            } => {
                self.version = 6;
                rest.source = source[3];
                rest.destination = destination[3];
                self.question.prefixes =
                    [source, destination].map(|address| [address[0], address[1], address[2]]);
            }
        }
    }

    /// The flags of the segment.
    #[inline(always)]
    pub(crate) fn flags(&self) -> TcpFlags {
        self.question.rest.seen.flags
    }

    /// What is said of the source.
    #[inline(always)]
    pub(crate) fn standing(&self) -> Standing {
        Standing::from_number(self.standing.into())
    }

    /// The segment but for its addresses and options.
    #[inline(always)]
    pub(crate) fn segment(&self) -> Segment {
        let Question4 {
            source_port,
            destination_port,
            seen,
            ..
        } = self.question.rest;
        Segment {
            source_port,
            destination_port,
            seq: seen.seq,
            ack: seen.ack,
            window: seen.window,
            flags: seen.flags,
            payload_len: seen.payload_len,
            ..Segment::EMPTY
        }
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

/// Whether a frame is a plain segment in one buffer, and which. All that it is not leaves by one exit,
/// and no helper call takes registers away: this is the path of nearly every segment.
#[inline(always)]
pub(crate) fn plain(ctx: &impl Buffer, link: Link, segment: &mut Segment) -> bool {
    parse_plain(&mut Packet::first_buffer(ctx), link, segment)
}

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
    let link = if raw_ip == 0 {
        Link::Ethernet
    } else {
        Link::RawIp
    };
    let mut segment = Segment::EMPTY;
    match parse(&mut Packet::whole(ctx), link, &mut segment) {
        Ok(()) => {
            parsed.set(&segment);
            0
        }
        Err(verdict) => verdict.cell() as u32,
    }
}
