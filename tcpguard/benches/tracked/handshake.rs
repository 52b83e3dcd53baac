//! How connections come to be.

use anyhow::Result;
use aya::Ebpf;
use tcpguard_common::{craft::TcpFrame, flags::TcpFlags};

use super::{
    objects,
    path::{PASS, Path},
    shuffle::Shuffle,
};

/// The numbers that both ends of every connection begin with.
const ISNS: [u32; 2] = [1_000_000, 50_000_000];
pub(crate) const SYN_ACK: TcpFlags = TcpFlags::SYN.with(TcpFlags::ACK);

/// The segments of a handshake; the last is one of an established connection, too.
pub(crate) fn handshake(syn: &TcpFrame) -> [TcpFrame; 3] {
    let (seq, ack) = (ISNS[0], ISNS[1] + 1);
    let syn = TcpFrame { seq, ..syn.clone() };
    let syn_ack = TcpFrame {
        source: syn.destination,
        destination: syn.source,
        ports: (syn.ports.1, syn.ports.0),
        seq: ISNS[1],
        ack: seq + 1,
        flags: SYN_ACK,
        ..syn.clone()
    };
    let third = TcpFrame {
        seq: seq + 1,
        ack,
        flags: TcpFlags::ACK,
        ..syn.clone()
    };
    [syn, syn_ack, third]
}

/// Brings the connections from number `from` to below `to` through their handshakes, in the tables of
/// each of these programs, and returns how many the guard has established ever.
pub(crate) fn establish(
    object: &mut Ebpf,
    programs: &[&'static str],
    frames: &[TcpFrame; 3],
    [from, to]: [u32; 2],
) -> Result<u64> {
    let there = Shuffle::from(from);
    for (frame, shuffle) in frames.iter().zip([there, there.back(), there]) {
        for program in programs {
            shuffle.set(object)?;
            Path::new("handshake", program, frame.build(), PASS).run(object, to - from)?;
        }
    }
    objects::established(object)
}
