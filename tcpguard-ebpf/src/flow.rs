//! Connections: what the tracker is asked about a segment.
//!
//! The tracker runs in global functions, which the verifier checks once and by themselves, whatever
//! way through the parser leads to them. They take a context and a question, and return a number.
#![expect(
    unsafe_code,
    reason = "global functions have plain names and take raw pointers"
)]

use aya_ebpf::{
    bindings::xdp_md,
    programs::{TcContext, XdpContext},
};
use tcpguard_common::{
    abi::{Fullness, Question4, Question6},
    conn::{
        self,
        ruling::Ruling,
        seen::{Seen, Voice},
        time::Ticks,
        witness::{self, Plea},
    },
    flags::TcpFlags,
    flow::{FlowKey4, FlowKey6, Way},
    segment::{Addresses, Segment},
    table::{self, Candidates as _},
};

use crate::{
    clock::{self, now},
    config::{self, Hooked},
    maps::FULLNESS,
    options::{self, Optioned},
    parsed::Parsed,
    table::{Sixteen, Tabled},
    witness::Witnessed,
};

/// A context whose segments the tracker can be asked about, by this hook's global functions.
pub(crate) trait Tracked {
    /// The ruling's bits on a segment of IPv4.
    fn rule4(&self, question: &Question4) -> u32;
    /// The same of IPv6.
    fn rule6(&self, question: &Question6) -> u32;
    /// Whether a plain segment of IPv4 without an entry belongs to no connection for certain.
    fn is_stray4(&self, key: &FlowKey4, way: Way, seen: &Seen) -> bool;
    /// The same of IPv6.
    fn is_stray6(&self, key: &FlowKey6, way: Way, seen: &Seen) -> bool;
}

impl Tracked for XdpContext {
    #[inline(always)]
    fn rule4(&self, question: &Question4) -> u32 {
        ingress_flow4(self.ctx, question)
    }

    #[inline(always)]
    fn rule6(&self, question: &Question6) -> u32 {
        ingress_flow6(self.ctx, question)
    }

    #[inline(always)]
    fn is_stray4(&self, key: &FlowKey4, way: Way, seen: &Seen) -> bool {
        ingress_stray4(self.ctx, key, way as u32, seen) != 0
    }

    #[inline(always)]
    fn is_stray6(&self, key: &FlowKey6, way: Way, seen: &Seen) -> bool {
        ingress_stray6(self.ctx, key, way as u32, seen) != 0
    }
}

impl Tracked for TcContext {
    #[inline(always)]
    fn rule4(&self, question: &Question4) -> u32 {
        egress_flow4(question)
    }

    #[inline(always)]
    fn rule6(&self, question: &Question6) -> u32 {
        egress_flow6(question)
    }

    /// What this host sends is not held against it.
    #[inline(always)]
    fn is_stray4(&self, _: &FlowKey4, _: Way, _: &Seen) -> bool {
        false
    }

    #[inline(always)]
    fn is_stray6(&self, _: &FlowKey6, _: Way, _: &Seen) -> bool {
        false
    }
}

/// The tracker's ruling on a plain segment.
pub(crate) enum Plain {
    /// It is of a connection that goes on.
    Going(Ruling),
    /// It is of none.
    Stray(Ruling),
    /// Who asks has to ask again.
    Unknown,
}

/// The tracker's ruling on a segment, if that is plain.
#[inline(always)]
pub(crate) fn track_plain<C: Hooked + Tracked>(ctx: &C, segment: &Segment) -> Plain {
    // Neither a turn in the connection's life nor SACK.
    let turns = TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::RST);
    if segment.flags.intersects(turns) || segment.options_len > 0 {
        return Plain::Unknown;
    }
    let seen = Seen::new(segment, now(), config::voice::<C>());
    let (from, to) = (segment.source_port, segment.destination_port);
    match segment.addresses {
        Addresses::V4 {
            source,
            destination,
        } => {
            let (key, way) = FlowKey4::new((source, from), (destination, to));
            hit(&key, way, &seen, |key, seen| ctx.is_stray4(key, way, seen))
        }
        Addresses::V6 {
            source,
            destination,
        } => {
            let (key, way) = FlowKey6::new((source, from), (destination, to));
            hit(&key, way, &seen, |key, seen| ctx.is_stray6(key, way, seen))
        }
    }
}

/// Whether a SYN is of a connection that is open, or being opened.
#[inline(always)]
pub(crate) fn is_open(parsed: &Parsed) -> bool {
    if parsed.version == 4 {
        is_entry_open(&parsed.question.rest.key().0)
    } else {
        is_entry_open(&parsed.question.key().0)
    }
}

#[inline(always)]
fn is_entry_open<K: Tabled>(key: &K) -> bool {
    let sixteen = Sixteen::of(key);
    sixteen
        .find()
        .is_some_and(|place| sixteen.with(place, |entry| conn::is_open(&mut entry.conn, now())))
}

#[inline(always)]
fn hit<K: Tabled>(
    key: &K,
    way: Way,
    seen: &Seen,
    is_stray: impl FnOnce(&K, &Seen) -> bool,
) -> Plain {
    let sixteen = Sixteen::of(key);
    let Some(place) = sixteen.find() else {
        // Copies: what is handed over by its address lies in memory, and not in registers.
        let (key, seen) = (*key, *seen);
        // With no room for an entry, that there is none proves nothing.
        return if is_stray(&key, &seen) && sixteen.choose(seen.now).is_some() {
            Plain::Stray(conn::refuse(&seen))
        } else {
            Plain::Unknown
        };
    };
    let ruling = sixteen.with(place, |entry| conn::track_plain(&mut entry.conn, way, seen));
    ruling.map_or(Plain::Unknown, Plain::Going)
}

/// Asks the tracker about a segment with legal flags.
#[inline(always)]
pub(crate) fn track<C: Hooked + Tracked + Optioned>(
    ctx: &C,
    parsed: &mut Parsed,
    voice: Voice,
) -> Ruling {
    options::read(ctx, parsed);
    let seen = &mut parsed.question.rest.seen;
    seen.now = now();
    seen.voice = voice;
    if seen.flags.contains(TcpFlags::SYN) && config::learns(seen.now) {
        seen.voice = seen.voice.learning();
    }
    let bits = if parsed.version == 4 {
        ctx.rule4(&parsed.question.rest)
    } else {
        ctx.rule6(&parsed.question)
    };
    Ruling::from_trusted_bits(bits)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_flow4(ctx: *mut xdp_md, question: *const Question4) -> u32 {
    // SAFETY: the verifier lets a caller pass memory of this size or null, which is tested.
    let Some(question) = (unsafe { question.as_ref() }) else {
        return 0;
    };
    let (key, way) = question.key();
    arriving(ctx, &key, way, &question.seen)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_flow6(ctx: *mut xdp_md, question: *const Question6) -> u32 {
    // SAFETY: as above.
    let Some(question) = (unsafe { question.as_ref() }) else {
        return 0;
    };
    let (key, way) = question.key();
    arriving(ctx, &key, way, &question.rest.seen)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_stray4(
    ctx: *mut xdp_md,
    key: *const FlowKey4,
    way: u32,
    seen: *const Seen,
) -> u32 {
    stray(ctx, key, way, seen)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_stray6(
    ctx: *mut xdp_md,
    key: *const FlowKey6,
    way: u32,
    seen: *const Seen,
) -> u32 {
    stray(ctx, key, way, seen)
}

/// 1 if the refusal of a segment without an entry surely stands, as [`arriving`] would find: a flood of them
/// is not to be parsed and looked up twice. With 0 it is asked again, and made an entry if need be.
#[inline(always)]
fn stray<K: Witnessed>(ctx: *mut xdp_md, key: *const K, way: u32, seen: *const Seen) -> u32 {
    // SAFETY: as above.
    let (Some(key), Some(seen)) = (unsafe { key.as_ref() }, unsafe { seen.as_ref() }) else {
        return 0;
    };
    let way = if way == 0 { Way::Up } else { Way::Down };
    let is_refused = !is_learned(seen.now)
        && (clock::is_replayed()
            || matches!(crate::witness::ask(ctx, key, way, seen), Plea::Refuse));
    u32::from(is_refused)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn egress_flow4(question: *const Question4) -> u32 {
    // SAFETY: as above.
    let Some(question) = (unsafe { question.as_ref() }) else {
        return 0;
    };
    let (key, way) = question.key();
    leaving(&key, way, &question.seen)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn egress_flow6(question: *const Question6) -> u32 {
    // SAFETY: as above.
    let Some(question) = (unsafe { question.as_ref() }) else {
        return 0;
    };
    let (key, way) = question.key();
    leaving(&key, way, &question.rest.seen)
}

/// About a segment that arrives: what is refused may be appealed against. Of a connection that goes
/// through this host there is no witness, but it may be one that is to be learned.
#[inline(always)]
fn arriving<K: Tabled + Witnessed>(ctx: *mut xdp_md, key: &K, way: Way, seen: &Seen) -> u32 {
    rule(key, way, seen, || {
        // A replay is about another time and, maybe, another host.
        let plea = if clock::is_replayed() {
            Plea::Refuse
        } else {
            crate::witness::ask(ctx, key, way, seen)
        };
        if matches!(plea, Plea::Refuse) && is_learned(seen.now) {
            witness::learn(seen)
        } else {
            plea
        }
    })
}

/// Whether a connection without an entry may have been there before, or had no room.
#[inline(always)]
fn is_learned(now: Ticks) -> bool {
    config::learns(now)
        || (config::transit()
            && FULLNESS
                .get(0)
                .is_some_and(|fullness| fullness.forgives(now)))
}

/// About a segment that leaves: the host itself says so, and needs no witness. Of one that only goes
/// through, a witness would know nothing.
#[inline(always)]
fn leaving<K: Tabled>(key: &K, way: Way, seen: &Seen) -> u32 {
    rule(key, way, seen, || {
        if is_learned(seen.now) {
            witness::learn(seen)
        } else {
            Plea::Ignore
        }
    })
}

#[inline(always)]
fn rule<K: Tabled>(key: &K, way: Way, seen: &Seen, plead: impl FnOnce() -> Plea) -> u32 {
    let ruling = table::decide(&Sixteen::of(key), key, way, seen, plead);
    if ruling.is_table_full() {
        let _ = FULLNESS.set(0, Fullness::at(seen.now), 0);
    }
    ruling.bits()
}
