//! Segments as a tracker sees them.

use tcpguard_common::{
    conn::{seen::Seen, time::Ticks},
    flags::TcpFlags,
    seq::SeqNum,
};

/// One without payload and options, with the largest window that needs no scale.
pub(crate) fn seen(flags: TcpFlags, seq: u32, ack: u32, now: u32) -> Seen {
    Seen {
        flags,
        seq: SeqNum(seq),
        ack: SeqNum(ack),
        sacked: SeqNum(ack),
        now: Ticks(now),
        window: 65_535,
        ..Seen::NOTHING
    }
}
