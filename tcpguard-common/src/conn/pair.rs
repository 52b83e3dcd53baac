//! The entry of a connection as one of its segments looks at it: my half, and the other's.

use super::{
    entry::Conn,
    half::{Half, Marks},
    ruling::Direction,
    seen::{Class, Seen},
    state::State,
    time::{self, Ticks},
    verified,
    window::{self, Fit},
};
use crate::{
    flags::TcpFlags, flow::Way, reason::Reason, verdict::Verdict, wire::options::LARGEST_SCALE,
};

/// The windows of a direction whose offers were never seen: the largest that there can be.
const LARGEST_WINDOW: u32 = 65_535 << LARGEST_SCALE;

/// An entry's memory, by the direction of a segment.
#[derive(Debug)]
pub struct Pair<'a> {
    /// The direction that the segment goes.
    pub me: &'a mut Half,
    /// The opposite one; written only where an entry is made.
    pub other: &'a mut Half,
    /// When the entry was made.
    pub created: &'a mut Ticks,
}

impl<'a> Pair<'a> {
    /// The halves of a connection as a segment that goes this way looks at them.
    #[inline(always)]
    pub fn of(conn: &'a mut Conn, way: Way) -> Self {
        let Conn { created, halves } = conn;
        let at = way as usize;
        #[expect(
            unsafe_code,
            reason = "a branch would be one that no processor can foresee"
        )]
        // SAFETY: there are two halves and two ways, and these are different ones.
        let [me, other] = unsafe { halves.get_disjoint_unchecked_mut([at, at ^ 1]) };
        Self { me, other, created }
    }

    /// The state that follows from both halves.
    #[inline(always)]
    pub(super) fn state(&self) -> State {
        verified::state(self.me.marks, self.other.marks)
    }

    /// The direction of the segment.
    #[inline(always)]
    pub(super) fn direction(&self) -> Direction {
        if self.me.marks.contains(Marks::ORIGINAL) {
            Direction::Original
        } else {
            Direction::Reply
        }
    }

    /// Whether either direction's numbers are not anchored by a handshake.
    #[inline(always)]
    pub(super) fn is_loose(&self) -> bool {
        self.me.marks.with(self.other.marks).contains(Marks::LOOSE)
    }

    /// Whether the halves' numbers can be held against a segment: they are those of a handshake, or
    /// the two directions agree. Who sees neither direction makes no two numbers agree by chance, but
    /// might send both; so what was corrected on a segment's own word counts only if the other word
    /// is this host's.
    #[inline(always)]
    pub(super) fn is_anchored(&self) -> bool {
        let either = self.me.marks.with(self.other.marks);
        let unproven = either.contains(Marks::CORRECTED) && !either.contains(Marks::LOCAL);
        !either.contains(Marks::LOOSE) || (!unproven && self.agrees())
    }

    /// Whether what both directions have said of each other is possible. Who has acknowledged nothing yet agrees
    /// with nobody.
    #[inline(always)]
    pub(super) fn agrees(&self) -> bool {
        let both = self.me.marks.common(self.other.marks);
        both.contains(Marks::HEARD.with(Marks::ACKED_SYN)) && window::agree(self.me, self.other)
    }

    /// Whether an objection to a segment's numbers can be relied upon: both sides were heard just now,
    /// and the numbers are anchored. Else it may be the tracker that has missed something.
    #[inline(always)]
    pub(super) fn is_sure(&self, now: Ticks) -> bool {
        self.other.marks.contains(Marks::HEARD)
            && now.past(self.other.seen) <= time::QUIET
            && now.past(self.me.seen) <= time::QUIET
            && self.is_anchored()
    }

    /// How the segment lies to the windows.
    #[inline(always)]
    pub(super) fn fit(&self, seen: &Seen) -> Fit {
        window::fit_verified(self.me, self.other, seen)
    }

    /// Makes the entry one of a connection that this SYN opens.
    #[inline(always)]
    pub(super) fn open(&mut self, seen: &Seen) {
        *self.created = seen.now;
        let scaled = seen.scale != Seen::NO_SCALE;
        *self.me = Half {
            isn: seen.seq,
            end: seen.end(),
            window: offered(seen, if scaled { seen.scale } else { 0 }),
            seen: seen.now,
            marks: Marks::ORIGINAL
                .with(Marks::HEARD)
                .with(Marks::SYN)
                .with(given(Marks::SCALED, scaled))
                .with(given(Marks::LOOSE, seen.is_learned()))
                .with(seen.speaker()),
            scale: if scaled { seen.scale } else { 0 },
            ..Half::SILENT
        };
        *self.other = Half {
            seen: seen.now,
            ..Half::SILENT
        };
    }

    /// Makes the entry one of a connection in whose middle this segment is: what the other direction
    /// has said is what this one acknowledges of it.
    #[inline(always)]
    fn adopt(&mut self, seen: &Seen) {
        *self.created = seen.now;
        let known = Marks::ACKED_SYN.with(Marks::LOOSE);
        let fin = seen.flags.contains(TcpFlags::FIN);
        *self.me = Half {
            isn: seen.seq.plus(u32::MAX),
            end: seen.end(),
            ack: seen.ack,
            window: LARGEST_WINDOW,
            seen: seen.now,
            marks: known
                .with(Marks::ORIGINAL)
                .with(Marks::HEARD)
                .with(given(Marks::FIN, fin))
                .with(seen.speaker()),
            scale: LARGEST_SCALE,
            wraps: 0,
        };
        *self.other = Half {
            isn: seen.ack.plus(u32::MAX),
            end: seen.ack,
            ack: seen.seq,
            window: LARGEST_WINDOW,
            seen: seen.now,
            // What is never seen cannot be waited for.
            marks: known.with(given(Marks::HEARD, seen.is_lone())),
            scale: LARGEST_SCALE,
            wraps: 0,
        };
    }

    /// Makes the entry one of a connection of which this segment is the first that was seen.
    #[inline(always)]
    pub(super) fn take_over(&mut self, seen: &Seen, class: Class) {
        if matches!(class, Class::SynAck) {
            self.answer_unseen(seen);
        } else {
            self.adopt(seen);
        }
    }

    /// Makes the entry one of a handshake whose SYN went by unseen and that this SYN+ACK answers.
    #[inline(always)]
    fn answer_unseen(&mut self, seen: &Seen) {
        *self.created = seen.now;
        *self.other = Half {
            isn: seen.ack.plus(u32::MAX),
            end: seen.ack,
            window: u32::from(u16::MAX),
            seen: seen.now,
            // Its SYN went by unseen: of its scale nothing is known but that it may be any.
            marks: Marks::ORIGINAL
                .with(Marks::SYN)
                .with(Marks::SCALED)
                .with(Marks::LOOSE),
            scale: LARGEST_SCALE,
            ..Half::SILENT
        };
        *self.me = Half::SILENT;
        self.answer(seen);
        // Nor does the answer prove its own, for nothing proves the answer.
        self.me.scale = LARGEST_SCALE;
        self.me.window = LARGEST_WINDOW;
    }

    /// The half of a side that answers with SYN+ACK.
    #[inline(always)]
    pub(super) fn answer(&mut self, seen: &Seen) {
        let scaled = seen.scale != Seen::NO_SCALE;
        // It is offered only in answer to an offer; so if the SYN that was seen has none, it was not
        // the one that is answered.
        let used = scaled && (self.other.marks.contains(Marks::SCALED) || self.is_loose());
        let again = self.me.marks.contains(Marks::SYN);
        let same = again && self.me.seq_is(seen);
        // Sent again, it does not take back what was sent behind it.
        let end = if same && self.me.end.after(seen.end()) {
            self.me.end
        } else {
            seen.end()
        };
        // Of two that differ, the peer may have taken either.
        let differs = again && !same;
        let scale = if used { seen.scale } else { 0 };
        let scale = scale.max(if differs { self.me.scale } else { 0 });
        let kept = self.me.marks.common(Marks::LOOSE.with(Marks::ORIGINAL));
        *self.me = Half {
            isn: seen.seq,
            end,
            ack: seen.ack,
            window: offered(seen, scale).max(self.me.window),
            seen: seen.now,
            marks: kept
                .with(Marks::HEARD)
                .with(Marks::SYN)
                .with(Marks::ACKED_SYN)
                // SYN cookies change with time.
                .with(given(Marks::LOOSE, differs))
                .with(given(Marks::SCALED, scaled))
                .with(seen.speaker()),
            scale,
            wraps: 0,
        };
    }

    /// Takes note of the window that another SYN of this direction offers. Which of them is answered is
    /// not known, so the larger scale counts.
    #[inline(always)]
    pub(super) fn offer(&mut self, seen: &Seen) {
        self.me.window = self.me.window.max(u32::from(seen.window));
        if seen.scale != Seen::NO_SCALE {
            self.me.scale = self.me.scale.max(seen.scale);
            self.mark(Marks::SCALED, seen);
        }
    }

    /// Takes this segment's word for where its direction stands.
    #[inline(always)]
    pub(super) fn anchor(&mut self, seen: &Seen) {
        let window = u32::from(seen.window) << (self.settled_scale() & 15);
        self.me.end = seen.end();
        self.me.ack = seen.ack;
        self.me.window = self.me.window.max(window);
        self.me.seen = seen.now;
        self.mark(Marks::LOOSE.with(Marks::CORRECTED).with(Marks::HEARD), seen);
    }

    /// Whether all that either side has sent is acknowledged, but for its FIN.
    #[inline(always)]
    pub(super) fn has_said_all(&self) -> bool {
        let left = |me: &Half, other: &Half| me.end.offset_from(other.ack);
        left(self.me, self.other) <= 1 && left(self.other, self.me) <= 1
    }

    /// Puts the first word of a direction in place of what the other one implied, which would agree
    /// with itself.
    #[inline(always)]
    pub(super) fn introduce(&mut self, seen: &Seen) {
        if !self.me.marks.contains(Marks::HEARD) {
            self.me.isn = seen.seq.plus(u32::MAX);
            self.me.end = seen.end();
            self.me.ack = seen.ack;
        }
    }

    /// Adds what a segment of this direction makes known.
    #[inline(always)]
    pub(super) fn mark(&mut self, marks: Marks, seen: &Seen) {
        let local = seen.speaker();
        self.me.marks = self.me.marks.with(marks).with(local);
    }

    /// The window scale of this direction. Once the handshake is complete it is known whether both
    /// sides offered one (RFC 7323 section 2.2).
    #[inline(always)]
    pub(super) fn settled_scale(&self) -> u8 {
        let (me, other) = (self.me.marks, self.other.marks);
        if me.contains(Marks::ACKED_SYN) || me.common(other).contains(Marks::SCALED) {
            self.me.scale
        } else if other.contains(Marks::SCALED) && self.is_loose() {
            // Its SYN that was answered went by unseen.
            LARGEST_SCALE
        } else {
            0
        }
    }

    /// Dropped if that can be relied upon; else the segment is believed, and the tracker corrected.
    #[inline(always)]
    pub(super) fn object(&mut self, reason: Reason, seen: &Seen) -> Verdict {
        if self.is_sure(seen.now) {
            return Verdict::dropped(reason);
        }
        // A FIN's end is the last word of a direction: nothing moves it.
        if self.me.marks.contains(Marks::FIN) {
            return Verdict::IGNORE;
        }
        self.anchor(seen);
        Verdict::ACCEPT
    }
}

/// Whether a connection in the state of this number is remembered after so many ticks.
#[inline(always)]
pub(super) const fn outlives(idle: u32, state: u32, both_heard: bool) -> bool {
    let state = State::from_number_or_closed(state);
    let lifetime = if matches!(state, State::Established) && !both_heard {
        time::ONE_SIDED
    } else {
        time::lifetime(state)
    };
    idle <= lifetime
}

/// [`Conn::readiness`] of a connection with these marks that was not heard for so long.
#[inline(always)]
pub(super) const fn readiness(one: Marks, two: Marks, idle: u32) -> u32 {
    const ENDED: u32 = 1 << 31;
    const HALF_OPEN: u32 = 1 << 30;
    let state = State::of_marks(one, two);
    let both_heard = one.common(two).contains(Marks::HEARD);
    if !outlives(idle, state as u32, both_heard) {
        return u32::MAX;
    }
    match state {
        State::TimeWait | State::Closed => ENDED | idle,
        State::SynSent | State::SynSent2 | State::SynReceived => HALF_OPEN | idle,
        State::Established | State::FinWait | State::CloseWait | State::LastAck => 0,
    }
}

/// The window that a SYN or SYN+ACK offers. One that may be a late duplicate says nothing of how far the
/// window has opened since.
#[inline(always)]
const fn offered(seen: &Seen, scale: u8) -> u32 {
    if seen.is_learned() {
        65_535 << (scale & 15)
    } else {
        seen.window as u32
    }
}

#[inline(always)]
const fn given(marks: Marks, condition: bool) -> Marks {
    if condition { marks } else { Marks::NONE }
}
