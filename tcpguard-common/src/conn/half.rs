//! What one direction of a connection has said.

use crate::{flow::FlowKey4, seq::SeqNum};

/// One direction of a connection, written only by the segments that go that way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Half {
    /// Initial sequence number: the SYN's.
    pub isn: SeqNum,
    /// Highest sequence end sent; SYN and FIN count one. After a FIN, the FIN's end.
    pub end: SeqNum,
    /// Highest acknowledgment sent.
    pub ack: SeqNum,
    /// Largest window offered, in octets, scaled.
    pub window: u32,
    /// When this direction was last heard, in jiffies.
    pub seen: u32,
    /// What has passed: SYN, FIN, RST, adopted.
    pub marks: u8,
    /// Window scale that this direction offered, 0 to 14 (RFC 7323).
    pub scale: u8,
    /// Zero: no implicit padding in what the kernel shares.
    pub reserved: u16,
}

/// An IPv4 connection: one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Entry4 {
    /// Both ends.
    pub key: FlowKey4,
    /// When the entry was made, in jiffies.
    pub created: u32,
    /// The two directions, by [`crate::flow::Way`].
    pub halves: [Half; 2],
}

const _: () = assert!(size_of::<Half>() == 24);
const _: () = assert!(size_of::<Entry4>() == 64, "one cache line");
