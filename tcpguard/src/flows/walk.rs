//! A walk over a flow table, as the kernel programs write it.
//!
//! Of a set of empty slots it touches the one line of tags. An entry is copied whole, and taken only
//! if its tag is the same before and after; so it is one connection, whose two halves may stem from
//! moments a few nanoseconds apart. One that makes room for another in the middle of a walk may be met twice,
//! or not at all.

use std::mem::offset_of;

use tcpguard_common::{
    conn::entry::Entry,
    table::{Set, VAIN, WAYS},
};

use crate::mapped::{Mapped, Plain};

/// Hands over every entry that is in use or was, and not been replaced since, with the number of its
/// slot, in the order of these.
pub(super) fn for_each<K>(table: &Mapped<Set<K>>, mut visit: impl FnMut(usize, &Entry<K>))
where
    Entry<K>: Plain,
    Set<K>: Plain,
{
    for set in 0..table.count() {
        let tags = || table.read::<[u32; WAYS]>(set, offset_of!(Set<K>, tags));
        for (way, tag) in (0..WAYS).zip(tags()) {
            // EMPTY, BUSY or VAIN: the entry is not even looked at.
            if tag <= VAIN {
                continue;
            }
            let offset = offset_of!(Set<K>, entries) + way * size_of::<Entry<K>>();
            let entry = table.read::<Entry<K>>(set, offset);
            if tags().get(way) == Some(&tag) {
                visit(set * WAYS + way, &entry);
            }
        }
    }
}
