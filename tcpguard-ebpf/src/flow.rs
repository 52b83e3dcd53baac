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
    abi::{Fullness, Hook},
    conn::{
        self,
        ruling::Ruling,
        seen::{Seen, Voice},
        time::Ticks,
        witness::{self, Plea},
    },
    flags::TcpFlags,
    flow::{Ends, Way},
    parse::Plain,
    policy::Standing,
    table::{self, Candidates as _},
};

use crate::{
    clock::{self, now},
    config::{self, Hooked},
    maps::FULLNESS,
    options::{self, Optioned},
    parsed::{Held, Parsed, TcpView},
    table::{Sixteen, Tabled},
    witness::Witnessed,
};

/// A context whose segments the tracker can be asked about, by this hook's global functions.
pub(crate) trait Tracked {
    /// The ruling's bits on a segment of IPv4.
    fn rule4(&self, parsed: &Parsed) -> u32;
    /// The same of IPv6.
    fn rule6(&self, parsed: &Parsed) -> u32;
    /// The same on a plain segment that has no entry, if it belongs to no connection for certain; else 0.
    fn rule_stray(&self, parsed: &Parsed) -> u32;
}

impl Tracked for XdpContext {
    #[inline(always)]
    fn rule4(&self, parsed: &Parsed) -> u32 {
        ingress_flow4(self.ctx, parsed)
    }

    #[inline(always)]
    fn rule6(&self, parsed: &Parsed) -> u32 {
        ingress_flow6(self.ctx, parsed)
    }

    #[inline(always)]
    fn rule_stray(&self, parsed: &Parsed) -> u32 {
        ingress_stray(self.ctx, parsed)
    }
}

impl Tracked for TcContext {
    #[inline(always)]
    fn rule4(&self, parsed: &Parsed) -> u32 {
        egress_flow4(parsed)
    }

    #[inline(always)]
    fn rule6(&self, parsed: &Parsed) -> u32 {
        egress_flow6(parsed)
    }

    /// What this host sends is not held against it.
    #[inline(always)]
    fn rule_stray(&self, _: &Parsed) -> u32 {
        0
    }
}

/// The tracker's ruling on a plain segment.
pub(crate) enum Course {
    /// It is of a connection that goes on.
    Going(Ruling),
    /// There is no entry. What may be a stray is written down where the tracker is asked about it.
    Absent,
    /// Who asks has to ask again.
    Unknown,
}

/// The tracker's ruling on a plain segment at a moment, if its connection plainly goes on.
#[inline(always)]
pub(crate) fn track_plain<C: Hooked, I: Ends<Key: Tabled + Held>>(
    segment: &Plain<I, TcpView>,
    standing: Standing,
    now: impl FnOnce() -> Ticks,
) -> Course {
    if !can_be_plain(segment) {
        return Course::Unknown;
    }
    let tcp = segment.tcp;
    let (key, way) = segment.ip.key(tcp.source_port(), tcp.destination_port());
    let sixteen = Sixteen::of(&key);
    let found = sixteen.find_inline();
    let seen = Seen::plain(tcp, segment.payload_len, now(), config::voice::<C>());
    let Some(place) = found else {
        if matches!(C::HOOK, Hook::Ingress) {
            let Some(parsed) = Parsed::of::<C>() else {
                return Course::Unknown;
            };
            parsed.set_stray(key, way, seen, standing);
        }
        return Course::Absent;
    };
    let ruling = sixteen.with(place, |entry| {
        conn::track_plain(&mut entry.conn, way, &seen)
    });
    ruling.map_or(Course::Unknown, Course::Going)
}

/// Neither a turn in the connection's life nor SACK.
#[inline(always)]
fn can_be_plain<I>(segment: &Plain<I, TcpView>) -> bool {
    let turns = TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::RST);
    !segment.tcp.flags().intersects(turns) && !segment.has_wanted_options()
}

/// Whether a SYN is of a connection that is open, or being opened.
#[inline(always)]
pub(crate) fn is_open(parsed: &Parsed) -> bool {
    if parsed.version == 4 {
        is_entry_open(&parsed.key4)
    } else {
        is_entry_open(&parsed.key6)
    }
}

#[inline(always)]
fn is_entry_open<K: Tabled>(key: &K) -> bool {
    let sixteen = Sixteen::of(key);
    sixteen
        .find()
        .is_some_and(|place| sixteen.with(place, |entry| conn::is_open(&mut entry.conn, now())))
}

/// Asks the tracker about a segment with legal flags.
#[inline(always)]
pub(crate) fn track<C: Hooked + Tracked + Optioned>(
    ctx: &C,
    parsed: &mut Parsed,
    voice: Voice,
) -> Ruling {
    options::read(ctx, parsed);
    let seen = &mut parsed.seen;
    seen.now = now();
    seen.voice = voice;
    if seen.flags.contains(TcpFlags::SYN) && config::learns(seen.now) {
        seen.voice = seen.voice.learning();
    }
    let bits = if parsed.version == 4 {
        ctx.rule4(parsed)
    } else {
        ctx.rule6(parsed)
    };
    Ruling::from_trusted_bits(bits)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_flow4(ctx: *mut xdp_md, parsed: *const Parsed) -> u32 {
    // SAFETY: the verifier lets a caller pass memory of this size or null, which is tested.
    let Some(parsed) = (unsafe { parsed.as_ref() }) else {
        return 0;
    };
    arriving(ctx, &parsed.key4, parsed.way(), &parsed.seen)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_flow6(ctx: *mut xdp_md, parsed: *const Parsed) -> u32 {
    // SAFETY: as above.
    let Some(parsed) = (unsafe { parsed.as_ref() }) else {
        return 0;
    };
    arriving(ctx, &parsed.key6, parsed.way(), &parsed.seen)
}

/// Of a flood of segments without an entry each is surely refused: they are not to be parsed as anything, and
/// entered, but for those that may have one. Of what [`arriving`] might find otherwise, 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_stray(ctx: *mut xdp_md, parsed: *const Parsed) -> u32 {
    // SAFETY: as above.
    let Some(parsed) = (unsafe { parsed.as_ref() }) else {
        return 0;
    };
    let (way, seen) = (parsed.way(), &parsed.seen);
    if parsed.version == 4 {
        stray(ctx, &parsed.key4, way, seen)
    } else {
        stray(ctx, &parsed.key6, way, seen)
    }
}

#[inline(always)]
fn stray<K: Tabled + Witnessed>(ctx: *mut xdp_md, key: &K, way: Way, seen: &Seen) -> u32 {
    // With no room for an entry, that there is none proves nothing.
    if is_learned(seen.now) || !Sixteen::of(key).has_room(seen.now) {
        return 0;
    }
    match hear(ctx, key, way, seen) {
        Plea::Refuse => conn::refuse(seen).bits(),
        Plea::Forged => conn::forged().bits(),
        Plea::Adopt | Plea::Prove | Plea::Ignore => 0,
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn egress_flow4(parsed: *const Parsed) -> u32 {
    // SAFETY: as above.
    let Some(parsed) = (unsafe { parsed.as_ref() }) else {
        return 0;
    };
    leaving(&parsed.key4, parsed.way(), &parsed.seen)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn egress_flow6(parsed: *const Parsed) -> u32 {
    // SAFETY: as above.
    let Some(parsed) = (unsafe { parsed.as_ref() }) else {
        return 0;
    };
    leaving(&parsed.key6, parsed.way(), &parsed.seen)
}

/// About a segment that arrives: what is refused may be appealed against. Of a connection that goes
/// through this host there is no witness, but it may be one that is to be learned.
#[inline(always)]
fn arriving<K: Tabled + Witnessed>(ctx: *mut xdp_md, key: &K, way: Way, seen: &Seen) -> u32 {
    rule(key, way, seen, || {
        let plea = hear(ctx, key, way, seen);
        if matches!(plea, Plea::Refuse) && is_learned(seen.now) {
            witness::learn(seen)
        } else {
            plea
        }
    })
}

/// What the witness says. A replay is about another time and, maybe, another host.
#[inline(always)]
fn hear<K: Witnessed>(ctx: *mut xdp_md, key: &K, way: Way, seen: &Seen) -> Plea {
    if clock::is_replayed() {
        Plea::Refuse
    } else {
        crate::witness::ask(ctx, key, way, seen)
    }
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
    let ruling = table::decide(&Sixteen::of(key), way, seen, plead);
    if ruling.is_table_full() {
        let _ = FULLNESS.set(0, Fullness::at(seen.now), 0);
    }
    ruling.bits()
}
