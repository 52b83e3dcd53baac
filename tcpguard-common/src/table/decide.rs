//! One segment against the table: the same steps in the kernel and on the host.

use super::Candidates;
use crate::{
    conn::{self, entry::Entry, ruling::Ruling, seen::Seen, state::State, witness::Plea},
    flow::Way,
    verdict::Verdict,
};

/// Decides about a segment that goes `way`, and remembers what it said.
///
/// `plead` asks the witness, at most once, and only about a segment that is refused.
#[inline(always)]
pub fn decide<K>(
    table: &impl Candidates<K>,
    way: Way,
    seen: &Seen,
    plead: impl FnOnce() -> Plea,
) -> Ruling {
    let found = table.find();
    let ruling = match found {
        Some(slot) => table.with(slot, |entry| conn::track(&mut entry.conn, way, seen)),
        None if conn::opens(seen) => {
            return enter(table, seen, |entry| conn::first(&mut entry.conn, way, seen));
        }
        None => conn::refuse(seen),
    };
    if !ruling.is_appealable() {
        return ruling;
    }
    let plea = plead();
    match (plea, found) {
        // The stack's request knows no better than the entry what completes it.
        (Plea::Adopt, Some(_)) if ruling.before_number() == State::SynReceived as usize => ruling,
        (Plea::Adopt | Plea::Prove, found) => {
            let adopt = |entry: &mut Entry<K>| conn::adopt(&mut entry.conn, way, seen);
            let adopted = match found {
                Some(slot) => table.with(slot, adopt),
                None => enter(table, seen, adopt),
            };
            if plea == Plea::Prove {
                adopted.proved()
            } else {
                adopted
            }
        }
        (Plea::Forged, _) => conn::forged(),
        (Plea::Ignore, _) => Ruling::new(Verdict::IGNORE),
        // With no room for an entry, that there is none proves nothing.
        (Plea::Refuse, None) if !table.has_room(seen.now) => Ruling::table_full(),
        (Plea::Refuse, _) => ruling,
    }
}

/// How often a slot is chosen of which other CPUs take one first.
const ATTEMPTS: usize = 3;

/// Claims a slot, if there is room: one that another CPU has taken meanwhile does not mean that there is none.
#[inline(always)]
fn take<K, T: Candidates<K>>(table: &T, seen: &Seen) -> Option<T::Place> {
    for _ in 0..ATTEMPTS {
        let Some((slot, tag)) = table.choose(seen.now) else {
            return table.make_room(seen.now, true);
        };
        if table.claim(slot, tag) {
            return Some(slot);
        }
    }
    None
}

/// Makes an entry, if there is room.
#[inline(always)]
fn enter<K>(
    table: &impl Candidates<K>,
    seen: &Seen,
    fill: impl FnOnce(&mut Entry<K>) -> Ruling,
) -> Ruling {
    let Some(slot) = take(table, seen) else {
        return Ruling::table_full();
    };
    let ruling = table.with(slot, fill);
    table.publish(slot);
    // Two CPUs may have entered one connection at once. Both find the same entry from here on, that
    // which comes first; the other is given back.
    if table.find() != Some(slot) {
        table.release(slot);
    }
    ruling
}
