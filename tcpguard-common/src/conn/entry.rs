//! What the flow table keeps of a connection.

use super::{
    half::{Half, Marks},
    pair::outlives,
    state::State,
    time::Ticks,
    verified,
};
use crate::flow::{FlowKey4, FlowKey6};

/// What is known of a connection: what each direction has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Conn {
    /// When the entry was made.
    pub created: Ticks,
    /// The two directions, by [`crate::flow::Way`].
    pub halves: [Half; 2],
}

impl Conn {
    /// Nothing said yet.
    pub const SILENT: Self = Self {
        created: Ticks(0),
        halves: [Half::SILENT; 2],
    };

    /// The state that follows from the halves.
    #[inline(always)]
    #[must_use]
    pub const fn state(&self) -> State {
        let [one, two] = &self.halves;
        State::of_marks(one.marks, two.marks)
    }

    /// Ticks since either direction was heard.
    #[inline(always)]
    #[must_use]
    pub fn idle(&self, now: Ticks) -> u32 {
        let [one, two] = &self.halves;
        now.past_both(one.seen, two.seen)
    }

    /// How readily it gives way to another connection: never at 0, and the greater the sooner.
    #[inline(always)]
    #[must_use]
    pub fn readiness(&self, now: Ticks) -> u32 {
        verified::readiness(&self.halves, now)
    }

    /// Whether this is still a connection, and not only memory that was not needed since.
    #[inline(always)]
    #[must_use]
    pub fn is_live(&self, now: Ticks) -> bool {
        let [one, two] = &self.halves;
        let both_heard = one.marks.common(two.marks).contains(Marks::HEARD);
        outlives(self.idle(now), self.state() as u32, both_heard)
    }
}

/// A connection in the table: both ends, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Entry<K> {
    /// Both ends.
    pub key: K,
    /// What is known of it.
    pub conn: Conn,
}

/// An IPv4 connection: one cache line.
pub type Entry4 = Entry<FlowKey4>;
/// An IPv6 connection.
pub type Entry6 = Entry<FlowKey6>;

const _: () = assert!(size_of::<Entry4>() == 64, "one cache line");
const _: () = assert!(size_of::<Entry6>() == 88);
