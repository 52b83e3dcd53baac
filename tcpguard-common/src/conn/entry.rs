//! What the flow table keeps of a connection.

use super::{half::Half, time::Ticks};
use crate::flow::{FlowKey4, FlowKey6};

/// A connection: both ends, and what each direction has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Entry<K> {
    /// Both ends.
    pub key: K,
    /// When the entry was made.
    pub created: Ticks,
    /// The two directions, by [`crate::flow::Way`].
    pub halves: [Half; 2],
}

/// An IPv4 connection: one cache line.
pub type Entry4 = Entry<FlowKey4>;
/// An IPv6 connection.
pub type Entry6 = Entry<FlowKey6>;

const _: () = assert!(size_of::<Entry4>() == 64, "one cache line");
const _: () = assert!(size_of::<Entry6>() == 88);
