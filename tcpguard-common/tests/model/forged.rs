//! Segments from somebody who knows both ends of a connection and sees nothing of what they say.

use tcpguard_common::{conn::seen::Seen, flags::TcpFlags, seq::SeqNum};

use crate::peer::{MSS, Peer};

const SYN_ACK: TcpFlags = TcpFlags::SYN.with(TcpFlags::ACK);
const FIN_ACK: TcpFlags = TcpFlags::FIN.with(TcpFlags::ACK);
const RST_ACK: TcpFlags = TcpFlags::RST.with(TcpFlags::ACK);

/// Far from every number of a connection: a quarter of the sequence space ahead and back, and half.
const FAR: [u32; 3] = [1 << 30, 3 << 30, 1 << 31];

/// A segment in the name of the peer `by`, in numbers counted from the first ones of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Forged {
    pub(crate) by: usize,
    pub(crate) flags: TcpFlags,
    seq: u32,
    ack: u32,
    len: u32,
}

impl Forged {
    /// By chance: every set of flags, with numbers that are nowhere near.
    pub(crate) fn blind() -> impl Iterator<Item = Self> {
        let sets = [
            TcpFlags::SYN,
            SYN_ACK,
            TcpFlags::ACK,
            FIN_ACK,
            TcpFlags::RST,
            RST_ACK,
        ];
        (0..2).flat_map(move |by| {
            sets.into_iter().flat_map(move |flags| {
                FAR.into_iter().map(move |far| Self {
                    by,
                    flags,
                    seq: far,
                    // Anything else, as far off.
                    ack: far.wrapping_add(1 << 29),
                    len: 0,
                })
            })
        })
    }

    /// Just beyond what `me`, who is peer `by`, may send or acknowledge, and anywhere else beyond.
    pub(crate) fn beyond(by: usize, me: &Peer, other: &Peer) -> impl Iterator<Item = Self> {
        let (next, edge) = (me.next(), other.edge());
        let unsent = [1, MSS, FAR[0]].map(|octets| other.next().wrapping_add(octets));
        let resets = [next + 1, edge, edge + 1]
            .into_iter()
            .chain(FAR)
            // The very next number would be no guess.
            .filter(move |seq| *seq > next)
            .map(|seq| (TcpFlags::RST, seq, me.expected(), 0));
        let data = [edge + 1, FAR[0], FAR[1]]
            .into_iter()
            .flat_map(move |seq| [(TcpFlags::ACK, seq, 1, 1), (FIN_ACK, seq, 1, 0)]);
        let acks = unsent
            .into_iter()
            .flat_map(move |ack| [(TcpFlags::ACK, next, ack, 1), (FIN_ACK, next, ack, 0)]);
        resets
            .chain(data)
            .chain(acks)
            .map(move |(flags, seq, ack, len)| Self {
                by,
                flags,
                seq,
                ack,
                len,
            })
    }

    /// As the tracker sees it, of peers with these first numbers.
    pub(crate) fn seen(&self, isns: [SeqNum; 2]) -> Seen {
        let ack = isns[1 - self.by].plus(self.ack);
        Seen {
            seq: isns[self.by].plus(self.seq),
            ack,
            sacked: ack,
            payload_len: self.len,
            window: 500,
            flags: self.flags,
            ..Seen::NOTHING
        }
    }
}
