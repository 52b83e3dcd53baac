//! RST (RFC 9293 section 3.5.3, RFC 5961 section 3).

use super::{
    half::Marks, handshake::acknowledges_syn, pair::Pair, seen::Seen, state::State, window,
};
use crate::{flags::TcpFlags, reason::Reason, verdict::Verdict};

/// A reset for a connection that has an entry.
#[inline(always)]
pub(super) fn judge(pair: &mut Pair<'_>, before: State, seen: &Seen) -> Verdict {
    match before {
        // A reset must not end TIME-WAIT early (RFC 1337), and what is closed is closed.
        State::TimeWait | State::Closed => return Verdict::IGNORE,
        State::SynSent
        | State::SynSent2
        | State::SynReceived
        | State::Established
        | State::FinWait
        | State::CloseWait
        | State::LastAck => {}
    }
    // Where nothing is certain, nothing is closed; the receiver knows better.
    if !pair.is_anchored() {
        return Verdict::IGNORE;
    }
    let outside = Verdict::dropped(Reason::RstOutOfWindow);
    if matches!(before, State::SynSent) {
        return match (
            pair.me.marks.contains(Marks::ORIGINAL),
            is_exact(pair, seen),
        ) {
            // It takes its SYN back.
            (true, true) => close(pair, seen),
            // It answers somebody who believes in an older connection.
            (true, false) => Verdict::IGNORE,
            // "If the ACK bit is set and acceptable, reset; otherwise drop" (RFC 9293 section
            // 3.10.7.3).
            (false, _) if refuses(pair, seen) => close(pair, seen),
            (false, _) => outside,
        };
    }
    if is_exact(pair, seen) || (matches!(before, State::SynSent2) && refuses(pair, seen)) {
        return close(pair, seen);
    }
    // Inside of the window but not exact: the receiver answers with a challenge ACK.
    let ahead = seen.seq.offset_from(window::expected(pair.me, pair.other));
    let inside = 0 <= ahead && ahead <= i64::from(pair.other.window);
    if inside || may_be_answer_to_late(pair, ahead) || !pair.is_sure(seen.now) {
        Verdict::IGNORE
    } else {
        outside
    }
}

/// Whether a socket that is closed may say so to a late segment, with that segment's acknowledgment
/// for its number. In TIME-WAIT that is expected; of a connection that was taken over, the FIN that
/// leads there may have gone by unseen.
#[inline(always)]
fn may_be_answer_to_late(pair: &Pair<'_>, ahead: i64) -> bool {
    pair.is_loose() && window::can_be_under_way(-ahead, pair.other)
}

/// Whether it carries the number that comes next: what the other side waits for, or what this side
/// has not sent yet. The two differ while something is in flight.
#[inline(always)]
fn is_exact(pair: &Pair<'_>, seen: &Seen) -> bool {
    seen.seq == pair.me.end || seen.seq == window::expected(pair.me, pair.other)
}

/// Whether it refuses the other side's SYN, and shows that it has seen it.
#[inline(always)]
fn refuses(pair: &Pair<'_>, seen: &Seen) -> bool {
    seen.flags.contains(TcpFlags::ACK) && acknowledges_syn(pair, seen)
}

#[inline(always)]
fn close(pair: &mut Pair<'_>, seen: &Seen) -> Verdict {
    pair.me.seen = seen.now;
    pair.mark(Marks::RST.with(Marks::HEARD), seen);
    Verdict::ACCEPT
}
