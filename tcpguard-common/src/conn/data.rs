//! Data, acknowledgments and FIN: everything between the handshake and the end.

use super::{
    half::Marks,
    pair::Pair,
    seen::Seen,
    state::State,
    window::{self, Fit},
};
use crate::{flags::TcpFlags, reason::Reason, verdict::Verdict};

/// A segment of a connection that is open, or half closed.
#[inline(always)]
pub(super) fn judge(pair: &mut Pair<'_>, seen: &Seen) -> Verdict {
    judge_scaled(pair, seen, pair.me.scale)
}

/// The same, with the window scale that holds from this segment on.
#[inline(always)]
pub(super) fn judge_scaled(pair: &mut Pair<'_>, seen: &Seen, scale: u8) -> Verdict {
    match pair.fit(seen) {
        Fit::Inside => {}
        Fit::Late => return Verdict::IGNORE,
        Fit::Outside(reason) => return pair.object(reason, seen),
    }
    let beyond = seen.end().after(pair.me.end);
    if pair.me.marks.contains(Marks::FIN) && beyond {
        // "This should not occur since a FIN has been received" (RFC 9293 section 3.10.7.4).
        return pair.object(Reason::AfterClose, seen);
    }
    let fin = seen.flags.contains(TcpFlags::FIN);
    if fin && (seen.end().before(pair.me.end) || is_doubtful(pair, seen)) {
        // It has sent octets behind this FIN, so it is not its FIN.
        return Verdict::IGNORE;
    }
    let mut marks = Marks::HEARD;
    // Where the numbers are not certain, one that fits by chance must not end a direction: an idle
    // connection would be forgotten hours too soon.
    if fin && (!pair.is_loose() || pair.agrees()) {
        marks = marks.with(Marks::FIN);
        if !pair.other.marks.contains(Marks::FIN) {
            marks = marks.with(Marks::CLOSER);
        }
    }
    if pair.other.marks.contains(Marks::FIN) && !seen.ack.before(pair.other.end) {
        marks = marks.with(Marks::ACKED_FIN);
    }
    pair.introduce(seen);
    window::advance(pair.me, seen, scale);
    pair.mark(marks, seen);
    Verdict::ACCEPT
}

/// Whether a FIN acknowledges less than its direction did before: where the numbers are not certain, that is
/// more likely one that somebody else has sent than one that was overtaken.
#[inline(always)]
fn is_doubtful(pair: &Pair<'_>, seen: &Seen) -> bool {
    pair.is_loose() && pair.me.marks.contains(Marks::ACKED_SYN) && seen.ack.before(pair.me.ack)
}

/// A segment of a connection that has ended in one way or the other.
#[inline(always)]
pub(super) fn late(pair: &mut Pair<'_>, before: State, seen: &Seen) -> Verdict {
    let new = seen.end().after(pair.me.end);
    match pair.fit(seen) {
        Fit::Outside(_) if pair.is_sure(seen.now) => Verdict::dropped(Reason::AfterClose),
        Fit::Outside(_) | Fit::Late => Verdict::IGNORE,
        // What was in flight when the connection was reset. The receiver answers it with a reset, and
        // a peer that missed the first one must get that.
        Fit::Inside if matches!(before, State::Closed) => Verdict::IGNORE,
        Fit::Inside if new => Verdict::dropped(Reason::AfterClose),
        // The last FIN again, and the last acknowledgment: TIME-WAIT starts over.
        Fit::Inside => {
            pair.me.seen = seen.now;
            Verdict::ACCEPT
        }
    }
}
