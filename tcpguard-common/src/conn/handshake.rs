//! SYN, SYN+ACK, and the segment that completes the handshake (RFC 9293 section 3.5).

use super::{
    data,
    half::Marks,
    pair::Pair,
    seen::{Class, Seen},
    state::State,
};
use crate::{reason::Reason, verdict::Verdict};

/// A SYN for a connection that has an entry.
#[inline(always)]
pub(super) fn syn(pair: &mut Pair<'_>, before: State, seen: &Seen) -> Verdict {
    let spoken = pair.me.marks.contains(Marks::SYN);
    match before {
        // Both want to open: simultaneous open (figure 8), or a split handshake.
        State::SynSent if !spoken => begin(pair, seen),
        State::SynSent | State::SynSent2 => again(pair, seen),
        // The one that opened it, again or late.
        State::SynReceived | State::LastAck if pair.me.seq_is(seen) => Verdict::IGNORE,
        State::SynReceived if pair.me.marks.contains(Marks::ORIGINAL) => again(pair, seen),
        // The receiver answers with a challenge ACK; should its peer have restarted, a reset follows
        // that closes (RFC 5961 section 4).
        State::SynReceived | State::Established | State::FinWait | State::CloseWait => {
            Verdict::IGNORE
        }
        State::LastAck if !pair.has_said_all() => Verdict::IGNORE,
        // RFC 9293 section 3.6.1 lets a higher number open anew, and RFC 6191 a later timestamp. In
        // LAST-ACK it may be that the last ACK went by unseen.
        State::LastAck | State::TimeWait | State::Closed => open_anew(pair, seen),
    }
}

/// A SYN for a connection that has ended, if new ones may be opened.
#[inline(always)]
fn open_anew(pair: &mut Pair<'_>, seen: &Seen) -> Verdict {
    let verdict = seen.may_open();
    if !verdict.is_drop() {
        pair.open(seen);
        // Should somebody else have sent it, what is left of the old connection still passes.
        pair.mark(Marks::LOOSE, seen);
    }
    verdict
}

/// The reply side's own SYN, while that of the original side is unanswered.
#[inline(always)]
fn begin(pair: &mut Pair<'_>, seen: &Seen) -> Verdict {
    // `open` makes an original of the sender and forgets the other: keep both as they are.
    let (other, created) = (*pair.other, *pair.created);
    pair.open(seen);
    *pair.other = other;
    *pair.created = created;
    pair.me.marks = pair.me.marks.without(Marks::ORIGINAL);
    Verdict::ACCEPT
}

/// A SYN of a side that has sent one before and has no answer yet.
#[inline(always)]
fn again(pair: &mut Pair<'_>, seen: &Seen) -> Verdict {
    if !pair.me.seq_is(seen) {
        // It has given up and tries anew, or an old duplicate, or a forgery: of two stories neither
        // proves anything (RFC 9293 section 3.5, figure 9, "recovery from old duplicate SYN").
        pair.me.isn = seen.seq;
        pair.me.end = seen.end();
        pair.mark(Marks::LOOSE, seen);
        pair.offer(seen);
    }
    pair.me.extend(seen.end());
    pair.me.seen = seen.now;
    Verdict::ACCEPT
}

/// A SYN+ACK for a connection that has an entry.
#[inline(always)]
pub(super) fn syn_ack(pair: &mut Pair<'_>, before: State, seen: &Seen) -> Verdict {
    // Of a connection that was taken over, who spoke first is a guess.
    let original = pair.me.marks.contains(Marks::ORIGINAL) && !pair.is_loose();
    let repeated = pair.me.marks.contains(Marks::SYN) && pair.me.seq_is(seen);
    let unsolicited = Verdict::dropped(Reason::SynackUnsolicited);
    match before {
        State::SynSent if original => unsolicited,
        // After a simultaneous open both sides send one, with the number of their SYN.
        State::SynReceived if original && !repeated => unsolicited,
        State::SynSent | State::SynSent2 | State::SynReceived => answer(pair, seen),
        // Taken over while it was being closed, a connection may have ended without our knowing, and
        // its ports are used again. The SYN went by as one that only draws a challenge ACK.
        State::FinWait | State::CloseWait | State::LastAck
            if pair.is_loose() && !pair.me.seq_is(seen) =>
        {
            pair.take_over(seen, Class::SynAck);
            Verdict::ACCEPT
        }
        // A late duplicate: the third segment was lost, and is sent again.
        State::Established | State::FinWait | State::CloseWait | State::LastAck
            if original && !repeated =>
        {
            unsolicited
        }
        State::Established
        | State::FinWait
        | State::CloseWait
        | State::LastAck
        | State::TimeWait => Verdict::IGNORE,
        State::Closed => Verdict::dropped(Reason::AfterClose),
    }
}

/// It must acknowledge the SYN, and may acknowledge data that came with it (RFC 7413).
#[inline(always)]
fn answer(pair: &mut Pair<'_>, seen: &Seen) -> Verdict {
    if !acknowledges_syn(pair, seen) && !pair.is_loose() {
        return Verdict::dropped(Reason::SynackBadAck);
    }
    pair.answer(seen);
    Verdict::ACCEPT
}

/// Whether the acknowledgment lies behind the other side's SYN, and not beyond what came with it.
#[inline(always)]
pub(super) fn acknowledges_syn(pair: &Pair<'_>, seen: &Seen) -> bool {
    let acked = seen.ack.since(pair.other.isn);
    let sent = pair.other.end.since(pair.other.isn);
    1 <= acked && acked <= sent
}

/// Any other segment with ACK while the handshake is not complete.
#[inline(always)]
pub(super) fn ack(pair: &mut Pair<'_>, before: State, seen: &Seen) -> Verdict {
    if matches!(before, State::SynSent) {
        // The other side believes in an older connection and says so; the answer is a reset, and
        // then the handshake goes on (RFC 9293 section 3.5.1, figure 10). Or the first step of a split
        // handshake.
        let tolerated = !pair.me.marks.contains(Marks::ORIGINAL) || pair.is_loose();
        return if tolerated {
            Verdict::IGNORE
        } else {
            Verdict::dropped(Reason::HandshakeBadAck)
        };
    }
    if pair.me.marks.contains(Marks::ACKED_SYN) {
        // Data behind the SYN+ACK, before the third segment (RFC 7413 section 4.2).
        return data::judge(pair, seen);
    }
    if !acknowledges_syn(pair, seen) && !pair.is_loose() {
        return Verdict::dropped(Reason::HandshakeBadAck);
    }
    let scale = pair.settled_scale();
    let mut verdict = data::judge_scaled(pair, seen, scale);
    if verdict == Verdict::IGNORE && pair.is_loose() {
        // Of two SYNs with numbers near each other it completes the one that is not remembered.
        pair.anchor(seen);
        verdict = Verdict::ACCEPT;
    }
    if verdict == Verdict::ACCEPT {
        pair.me.scale = scale;
        // Until now there was no acknowledgment that this one could lie behind.
        pair.me.ack = seen.ack;
        pair.mark(Marks::ACKED_SYN, seen);
    }
    verdict
}
