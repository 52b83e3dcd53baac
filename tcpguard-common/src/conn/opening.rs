//! The first segment of an entry: whether it makes one, and of what.

use super::{
    pair::Pair,
    ruling::Ruling,
    seen::{Class, Seen},
    state::State,
};
use crate::{reason::Reason, verdict::Verdict};

/// Whether a segment without an entry makes one.
#[inline(always)]
pub(super) fn makes_entry(seen: &Seen, class: Class) -> bool {
    match class {
        Class::Syn => !seen.may_open().is_drop(),
        Class::SynAck => seen.is_believed(),
        Class::Ack => seen.is_local(),
        Class::Rst => false,
    }
}

/// Decides about a segment without an entry that makes none.
#[inline(always)]
pub(super) fn refuse(seen: &Seen, class: Class) -> Ruling {
    match class {
        // This host refuses something, or answers what was let through.
        Class::Rst if seen.is_local() => Ruling::new(Verdict::IGNORE),
        Class::Rst => Ruling::appealable(Reason::RstNoConnection),
        Class::SynAck => Ruling::appealable(Reason::SynackUnsolicited),
        Class::Syn => Ruling::new(seen.may_open()),
        Class::Ack => Ruling::appealable(Reason::NoConnection),
    }
}

/// Decides about the first segment of an entry that is free, and makes it if it may.
#[inline(always)]
pub(super) fn begin(pair: &mut Pair<'_>, seen: &Seen, class: Class) -> Ruling {
    if !makes_entry(seen, class) {
        return refuse(seen, class);
    }
    if matches!(class, Class::Syn) {
        pair.open(seen);
        return Ruling::new(seen.may_open())
            .to(State::SynSent)
            .going(pair.direction());
    }
    take_over(pair, seen, class)
}

/// Makes the entry one of a connection in whose middle the segment is.
#[inline(always)]
pub(super) fn take_over(pair: &mut Pair<'_>, seen: &Seen, class: Class) -> Ruling {
    pair.take_over(seen, class);
    Ruling::new(Verdict::ACCEPT)
        .to(pair.state())
        .going(pair.direction())
        .adopting()
}
