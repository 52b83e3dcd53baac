//! The steps of the tracker that the kernel's verifier checks by themselves.
//!
//! The verifier follows each way through a program, and two ways that meet with different numbers are
//! two ways on. A function with global linkage is checked once, for all that it may be given, and of
//! what it returns nothing is known; so the ways through the tracker are added up and not multiplied.
//! Such a function has a plain name, takes numbers or memory of a known size, and returns a number
//! (`do_check_subprogs` in the kernel's kernel/bpf/verifier.c). On the host these are functions like
//! any other.
#![expect(
    unsafe_code,
    reason = "global functions have plain names and take raw pointers"
)]

use super::{
    Conn, Pair,
    half::{Half, Marks},
    opening,
    ruling::Ruling,
    seen::{Class, Seen},
    state::State,
    time::Ticks,
    window,
};
use crate::flow::Way;

/// [`State::of_marks`] by the marks' bits.
#[cfg_attr(target_arch = "bpf", unsafe(no_mangle))]
#[inline(never)]
pub(super) extern "C" fn conn_state(one: u32, two: u32) -> u32 {
    State::of_marks(Marks::from_bits(one), Marks::from_bits(two)) as u32
}

/// [`super::pair::outlives`] by the state's number, and by when each direction was heard.
#[cfg_attr(target_arch = "bpf", unsafe(no_mangle))]
#[inline(never)]
extern "C" fn conn_is_live(now: u32, one: u32, two: u32, state: u32, both_heard: u32) -> u32 {
    let idle = Ticks(now).past_both(Ticks(one), Ticks(two));
    u32::from(super::pair::outlives(idle, state, both_heard != 0))
}

/// [`super::pair::readiness`] by the marks' bits, and by when each direction was heard.
#[cfg_attr(target_arch = "bpf", unsafe(no_mangle))]
#[inline(never)]
extern "C" fn conn_readiness(now: u32, one: u32, two: u32, marks: u32, other_marks: u32) -> u32 {
    let idle = Ticks(now).past_both(Ticks(one), Ticks(two));
    super::pair::readiness(Marks::from_bits(marks), Marks::from_bits(other_marks), idle)
}

/// [`window::fit`] as a number.
#[cfg_attr(target_arch = "bpf", unsafe(no_mangle))]
#[inline(never)]
pub(super) extern "C" fn conn_fit(me: *const Half, other: *const Half, seen: *const Seen) -> u32 {
    // SAFETY: null, or memory of an entry; as below.
    let (Some(me), Some(other)) = (unsafe { me.as_ref() }, unsafe { other.as_ref() }) else {
        return 0;
    };
    // SAFETY: null, or memory of the caller's.
    let Some(seen) = (unsafe { seen.as_ref() }) else {
        return 0;
    };
    window::fit(me, other, seen).number()
}

/// [`window::is_possible`] as 0 or 1.
#[cfg_attr(target_arch = "bpf", unsafe(no_mangle))]
#[inline(never)]
pub(super) extern "C" fn conn_is_possible(in_flight: i64, window: u32) -> u32 {
    u32::from(window::is_possible(in_flight, window))
}

/// [`super::judge_class`] on shared memory, by a function for each kind of segment.
#[inline(always)]
pub(super) fn track(conn: &mut Conn, way: Way, seen: &Seen) -> Ruling {
    let way = way as u32;
    ruling(match seen.class() {
        Class::Syn => conn_syn(conn, way, seen),
        Class::SynAck => conn_syn_ack(conn, way, seen),
        Class::Rst => conn_rst(conn, way, seen),
        Class::Ack => conn_ack(conn, way, seen),
    })
}

/// [`opening::begin`] on shared memory.
#[inline(always)]
pub(super) fn first(conn: &mut Conn, way: Way, seen: &Seen) -> Ruling {
    ruling(conn_first(conn, way as u32, seen))
}

/// [`opening::take_over`] on shared memory.
#[inline(always)]
pub(super) fn adopt(conn: &mut Conn, way: Way, seen: &Seen) -> Ruling {
    ruling(conn_adopt(conn, way as u32, seen))
}

#[cfg_attr(target_arch = "bpf", unsafe(no_mangle))]
#[inline(never)]
extern "C" fn conn_syn(conn: *mut Conn, way: u32, seen: *const Seen) -> u32 {
    with(conn, way, seen, |pair, seen| {
        super::judge_class(pair, seen, Class::Syn)
    })
}

#[cfg_attr(target_arch = "bpf", unsafe(no_mangle))]
#[inline(never)]
extern "C" fn conn_syn_ack(conn: *mut Conn, way: u32, seen: *const Seen) -> u32 {
    with(conn, way, seen, |pair, seen| {
        super::judge_class(pair, seen, Class::SynAck)
    })
}

#[cfg_attr(target_arch = "bpf", unsafe(no_mangle))]
#[inline(never)]
extern "C" fn conn_rst(conn: *mut Conn, way: u32, seen: *const Seen) -> u32 {
    with(conn, way, seen, |pair, seen| {
        super::judge_class(pair, seen, Class::Rst)
    })
}

#[cfg_attr(target_arch = "bpf", unsafe(no_mangle))]
#[inline(never)]
extern "C" fn conn_ack(conn: *mut Conn, way: u32, seen: *const Seen) -> u32 {
    with(conn, way, seen, |pair, seen| {
        super::judge_class(pair, seen, Class::Ack)
    })
}

#[cfg_attr(target_arch = "bpf", unsafe(no_mangle))]
#[inline(never)]
extern "C" fn conn_first(conn: *mut Conn, way: u32, seen: *const Seen) -> u32 {
    with(conn, way, seen, |pair, seen| {
        opening::begin(pair, seen, seen.class())
    })
}

#[cfg_attr(target_arch = "bpf", unsafe(no_mangle))]
#[inline(never)]
extern "C" fn conn_adopt(conn: *mut Conn, way: u32, seen: *const Seen) -> u32 {
    with(conn, way, seen, |pair, seen| {
        opening::take_over(pair, seen, seen.class())
    })
}

/// The verifier lets a caller pass memory of the pointers' types, or null. A ruling's bits, or 0.
#[inline(always)]
fn with(
    conn: *mut Conn,
    way: u32,
    seen: *const Seen,
    work: impl FnOnce(&mut Pair<'_>, &Seen) -> Ruling,
) -> u32 {
    // SAFETY: null, or memory of an entry. Another CPU may write it as well: every field is a number
    // of which any value is valid.
    let Some(conn) = (unsafe { conn.as_mut() }) else {
        return 0;
    };
    // SAFETY: null, or memory of the caller's.
    let Some(seen) = (unsafe { seen.as_ref() }) else {
        return 0;
    };
    work(&mut Pair::of(conn, Way::from_number(way)), seen).bits()
}

/// The ruling of bits that came back from one of the functions above.
#[inline(always)]
fn ruling(bits: u32) -> Ruling {
    Ruling::from_trusted_bits(bits)
}

/// The state of a pair of marks, by a call.
#[inline(always)]
pub(super) fn state(one: Marks, two: Marks) -> State {
    State::from_number_or_closed(conn_state(u32::from(one.bits()), u32::from(two.bits())))
}

/// Whether an entry in this state is still remembered at `now`, by a call.
#[inline(always)]
pub(super) fn is_live(pair: &Pair<'_>, state: State, now: Ticks) -> bool {
    let [one, two] = [pair.me.seen.0, pair.other.seen.0];
    let both = pair.me.marks.common(pair.other.marks);
    let both_heard = u32::from(both.contains(Marks::HEARD));
    conn_is_live(now.0, one, two, state as u32, both_heard) != 0
}

/// The same number, of which the verifier knows nothing any more: what follows is then checked once for
/// all ways that lead here.
#[cfg_attr(target_arch = "bpf", unsafe(no_mangle))]
#[inline(never)]
pub(super) extern "C" fn conn_forget(number: u32) -> u32 {
    number
}

/// How readily a connection gives way to another, by a call.
#[inline(always)]
pub(super) fn readiness(halves: &[Half; 2], now: Ticks) -> u32 {
    let [one, two] = halves;
    let (marks, other_marks) = (one.marks.bits().into(), two.marks.bits().into());
    conn_readiness(now.0, one.seen.0, two.seen.0, marks, other_marks)
}
