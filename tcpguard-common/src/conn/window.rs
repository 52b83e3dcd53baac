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
    verified,
};
use crate::{reason::Reason, seq::SeqNum};

/// How late a segment may be whatever the window: `MAXACKWINCONST` in the kernel.
const LATEST: u32 = 66_000;

/// More than ever is in flight on one connection, and little of the sequence space.
const MOST: i64 = 1 << 24;

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

impl Fit {
    const LATE: u32 = 1;
    const OUTSIDE: u32 = 2;

    /// As a function returns it that the verifier checks by itself.
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Inside => 0,
            Self::Late => Self::LATE,
            Self::Outside(reason) => Self::OUTSIDE + reason as u32,
        }
    }
}

/// How far a segment of S is from the four bounds, in octets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// From R.ack to s.
    pub(super) ahead: i64,
    /// From e back to S.end.
    pub(super) behind: i64,
    /// From R.end to a.
    pub(super) unsent: i64,
    /// From a, or from the highest octet that is selectively acknowledged, to R.end.
    pub(super) lag: i64,
    /// R.window
    pub(super) room: u32,
    /// S.window
    pub(super) own_room: u32,
}

impl Bounds {
    /// Of a segment of the direction `me`.
    #[inline(always)]
    pub(super) fn of(me: &Half, other: &Half, seen: &Seen) -> Self {
        let next = expected(me, other);
        let ahead = seen.seq.offset_from(next);
        // From `next` rather than by a second difference of sequence numbers, which could wrap.
        let in_flight = me.end.offset_from(next);
        Self {
            ahead,
            behind: in_flight - ahead - i64::from(seen.end().since(seen.seq)),
            unsent: seen.ack.offset_from(other.end),
            lag: -seen.sacked.offset_from(other.end),
            room: other.window,
            own_room: me.window,
        }
    }

    /// How the segment lies to them.
    #[inline(always)]
    pub(super) fn fit(&self) -> Fit {
        if self.ahead > i64::from(self.room) {
            return Fit::Outside(Reason::SeqAboveWindow);
        }
        if self.unsent > 0 {
            return Fit::Outside(Reason::AckOfUnsent);
        }
        let latest = i64::from(self.room.max(LATEST));
        if self.behind > latest {
            return late(self.behind, latest, Reason::SeqBelowWindow);
        }
        let latest = i64::from(self.own_room.max(LATEST));
        if self.lag > latest {
            return late(self.lag, latest, Reason::AckTooOld);
        }
        Fit::Inside
    }
}

/// Whether a segment of an established connection is plainly inside: by 32-bit comparisons that never
/// say so of one that is not. What is retransmitted from before the last acknowledgment, later than
/// [`LATEST`], or acknowledges selectively, is left to the exact reckoning.
#[inline(always)]
pub(super) fn is_plainly_inside(me: &Half, other: &Half, seen: &Seen) -> bool {
    let end = seen.end();
    let ahead = seen.seq.0.wrapping_sub(other.ack.0).cast_signed();
    let new = end.0.wrapping_sub(other.ack.0).cast_signed();
    let behind = me.end.0.wrapping_sub(end.0).cast_signed();
    let lag = other.end.0.wrapping_sub(seen.ack.0);
    seen.sacked == seen.ack
        && ahead <= other.window.cast_signed()
        && new >= 0
        && behind <= LATEST.cast_signed()
        && lag <= me.window.max(LATEST)
}

/// How a segment of the direction `me` lies to the windows, whatever is known of the connection.
#[inline(always)]
pub(super) fn fit(me: &Half, other: &Half, seen: &Seen) -> Fit {
    let mut bounds = Bounds::of(me, other, seen);
    if bounds.unsent <= 0 && bounds.lag < 0 {
        // Only SACK is beyond: middleboxes that change sequence numbers forget it there, and it is
        // advisory (RFC 2018 section 8). The kernel's tracker objects.
        return Fit::Late;
    }
    let loose = me.marks.with(other.marks).contains(Marks::LOOSE);
    if loose && me.marks.contains(Marks::ACKED_SYN) {
        // What was in flight when the connection was taken over went by unseen, but it was no more
        // than this side had room for.
        let room = i64::from(me.window).min(MOST);
        bounds.unsent = bounds.unsent.min(seen.ack.offset_from(me.ack) - room);
    }
    bounds.fit()
}

/// [`fit`], by a call.
#[inline(always)]
pub(super) fn fit_verified(me: &Half, other: &Half, seen: &Seen) -> Fit {
    match verified::conn_fit(me, other, seen) {
        0 => Fit::Inside,
        Fit::LATE => Fit::Late,
        number => Fit::Outside(outside(number - Fit::OUTSIDE)),
    }
}

/// The bound of a number that [`Fit::number`] made.
#[inline(always)]
fn outside(number: u32) -> Reason {
    const ABOVE: u32 = Reason::SeqAboveWindow as u32;
    const BELOW: u32 = Reason::SeqBelowWindow as u32;
    const UNSENT: u32 = Reason::AckOfUnsent as u32;
    match number {
        ABOVE => Reason::SeqAboveWindow,
        BELOW => Reason::SeqBelowWindow,
        UNSENT => Reason::AckOfUnsent,
        _ => Reason::AckTooOld,
    }
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
    can_be_under_way(other.end.offset_from(half.ack), half)
}

/// Whether so many octets can be under way to a receiver, or have been when its acknowledgment left.
#[inline(always)]
pub(super) fn can_be_under_way(octets: i64, receiver: &Half) -> bool {
    verified::conn_is_possible(octets, receiver.window) != 0
}

/// Whether so many octets can be in flight to a receiver that offers this window.
///
/// Where more is in flight nothing is certain, and lets pass; a larger bound would let numbers that
/// somebody made up agree by chance.
#[inline(always)]
pub(super) fn is_possible(in_flight: i64, window: u32) -> bool {
    const MOST: u32 = 1 << 20;
    0 <= in_flight && in_flight <= i64::from(window.clamp(LATEST, MOST))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::TcpFlags;

    #[test]
    fn what_is_plainly_inside_is_inside() {
        type Numbers = (u32, [i32; 5], u16, [u8; 2]);
        bolero::check!().with_type().for_each(
            |&(base, [end, seq, other_end, ack, sacked], len, scales): &Numbers| {
                // Near each other, or anywhere.
                let near = |offset: i32| base.wrapping_add_signed(offset >> (scales[0] % 32));
                let window = 1_u32 << (scales[1] % 31);
                let half = |end, ack| Half {
                    end: SeqNum(end),
                    ack: SeqNum(ack),
                    window,
                    marks: Marks::ACKED_SYN,
                    ..Half::SILENT
                };
                let me = half(near(end), base);
                let other = half(near(other_end), base);
                let seen = Seen {
                    seq: SeqNum(near(seq)),
                    ack: SeqNum(near(ack)),
                    // As far beyond as can be told from before.
                    sacked: SeqNum(near(ack)).plus(sacked.max(0).cast_unsigned()),
                    payload_len: u32::from(len),
                    flags: TcpFlags::ACK,
                    ..Seen::NOTHING
                };
                let fit = fit(&me, &other, &seen);
                if is_plainly_inside(&me, &other, &seen) {
                    assert_eq!(fit, Fit::Inside);
                }
                if fit == Fit::Inside {
                    assert!(!seen.ack.after(other.end));
                }
            },
        );
    }
}
