//! The four bounds of stateful window tracking.
//!
//! Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2001), as in the kernel's
//! `tcp_in_window`. Of a sender S and the other side R, a segment with SEG.SEQ s, end e and
//! acknowledgment a has to satisfy:
//!
//! ```text
//! I    s <= R.ack + R.window        not beyond what R has room for
//! II   e >= S.end - R.window        not older than what R can have waited for
//! III  a <= R.end                   nothing acknowledged that was not sent
//! IV   a >= R.end - S.window        not older than what S can have acknowledged
//! ```
//!
//! I and III are the limits of what is possible. II and IV only tell what is late: the kernel lets
//! it pass and changes nothing since 2022, and so do we up to twice the distance.

use super::{
    half::{Half, Marks},
    seen::Seen,
};
use crate::{reason::Reason, seq::SeqNum};

/// How late a segment may be whatever the window: `MAXACKWINCONST` in the kernel.
const LATEST: i64 = 66_000;

/// How a segment lies to the windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Within all four bounds.
    Inside,
    /// Late: retransmitted, overtaken, or a probe.
    Late,
    /// Outside of what its sender can have meant, and which bound says so.
    Outside(Reason),
}

/// Holds a segment of the direction `me` against the four bounds.
#[inline(always)]
pub(super) fn fit(me: &Half, other: &Half, seen: &Seen) -> Fit {
    let next = expected(me, other);
    let ahead = seen.seq.offset_from(next);
    if ahead > i64::from(other.window) {
        return Fit::Outside(Reason::SeqAboveWindow);
    }
    let unsent = seen.sacked.offset_from(other.end);
    if unsent > 0 {
        return Fit::Outside(Reason::AckOfUnsent);
    }
    // From `next` rather than by a second difference of sequence numbers, which could wrap.
    let in_flight = me.end.offset_from(next);
    let behind = in_flight - ahead - i64::from(seen.end().since(seen.seq));
    let latest = i64::from(other.window).max(LATEST);
    if behind > latest {
        return late(behind, latest, Reason::SeqBelowWindow);
    }
    let latest = i64::from(me.window).max(LATEST);
    if -unsent > latest {
        return late(-unsent, latest, Reason::AckTooOld);
    }
    Fit::Inside
}

#[inline(always)]
fn late(distance: i64, latest: i64, reason: Reason) -> Fit {
    if distance > 2 * latest {
        Fit::Outside(reason)
    } else {
        Fit::Late
    }
}

/// The next octet that the receiver of `me` waits for (RCV.NXT), as far as it said.
#[inline(always)]
pub(super) fn expected(me: &Half, other: &Half) -> SeqNum {
    if other.marks.contains(Marks::ACKED_SYN) {
        other.ack
    } else {
        me.isn.plus(1)
    }
}

/// Whether what the two directions say of each other is possible: each acknowledges about what the
/// other has sent. Numbers made up by somebody who sees neither fail this.
#[inline(always)]
pub(super) fn agree(me: &Half, other: &Half) -> bool {
    acknowledges(me, other) && acknowledges(other, me)
}

#[inline(always)]
fn acknowledges(half: &Half, other: &Half) -> bool {
    /// More than ever is in flight on one connection, and little of the sequence space.
    const MOST: i64 = 1 << 24;
    let in_flight = other.end.offset_from(half.ack);
    0 <= in_flight && in_flight <= i64::from(half.window).clamp(LATEST, MOST)
}

/// Moves a half on by a segment of its own that is inside; `scale` is that of its windows.
#[inline(always)]
pub(super) fn advance(me: &mut Half, seen: &Seen, scale: u8) {
    me.extend(seen.end());
    if seen.ack.after(me.ack) {
        me.ack = seen.ack;
    }
    let window = u32::from(seen.window) << (scale & 15);
    if window > me.window {
        me.window = window;
    }
    // Only if it differs: a line that is not written stays with the other CPU.
    if me.seen != seen.now {
        me.seen = seen.now;
    }
}
