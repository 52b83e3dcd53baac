//! Segments that are believed where they do not fit: this host's own, and those of which the other
//! direction is never seen. Then it is the entry that is wrong.

use super::{
    pair::Pair,
    ruling::Ruling,
    seen::{Class, Seen},
    state::State,
};
use crate::verdict::Verdict;

/// Whether a segment does not fit to the entry.
#[inline(always)]
pub(super) fn contradicts(
    pair: &Pair<'_>,
    before: State,
    verdict: Verdict,
    seen: &Seen,
    class: Class,
) -> bool {
    let new = verdict.is_drop() || (verdict == Verdict::IGNORE && !pair.me.seq_is(seen));
    match class {
        Class::Syn | Class::SynAck => new,
        Class::Ack => verdict.is_drop() || (matches!(before, State::SynSent) && new),
        Class::Rst => verdict.is_drop(),
    }
}

/// Makes the entry anew from a segment.
#[inline(always)]
pub(super) fn believe(pair: &mut Pair<'_>, before: State, seen: &Seen, class: Class) -> Ruling {
    let verdict = match class {
        Class::Rst => Verdict::IGNORE,
        Class::Syn => {
            let verdict = seen.may_open();
            if !verdict.is_drop() {
                pair.open(seen);
            }
            verdict
        }
        Class::SynAck | Class::Ack => {
            pair.take_over(seen, class);
            Verdict::ACCEPT
        }
    };
    Ruling::new(verdict)
        .from(before)
        .to(pair.state())
        .going(pair.direction())
        .resynchronised_if(matches!(class, Class::SynAck | Class::Ack))
}
