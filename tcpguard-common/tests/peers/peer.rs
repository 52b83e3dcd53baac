//! One end of a connection, as RFC 9293 wants it and no better.

use std::collections::BTreeSet;

use tcpguard_common::{flags::TcpFlags, seq::SeqNum};

/// A segment in the numbers of its sender and receiver, counted from their first ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) len: u32,
    pub(crate) flags: TcpFlags,
    /// In octets.
    pub(crate) window: u32,
}

/// Octets of a full segment.
const MSS: u32 = 1000;
/// Milliseconds to the first retransmission, and between any two at most: less than what peers wait
/// for, so that no bad luck outlasts the memory of a state.
const RTO: (u64, u64) = (200, 10_000);

/// One end.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) isn: SeqNum,
    /// Octets that it will have sent.
    pub(crate) total: u32,
    opens: bool,
    /// SND.UNA, SND.NXT and the right edge that the other side offers, from the SYN on.
    una: u32,
    nxt: u32,
    edge: u32,
    /// RCV.NXT; 0 before the other side's SYN.
    received: u32,
    /// Starts of whole segments that came early.
    early: BTreeSet<(u32, u32)>,
    /// Where the other side's FIN ends.
    fin: Option<u32>,
    /// Whether its own FIN came after that one: then nothing is left of it once that is acknowledged.
    closes_last: bool,
    /// What it has room for, and what its user has not read yet.
    buffer: u32,
    unread: u32,
    /// When to retransmit, and how long to wait then.
    pub(crate) alarm: Option<u64>,
    rto: u64,
}

impl Peer {
    pub(crate) fn new(isn: u32, total: u32, opens: bool, buffer: u32) -> Self {
        Self {
            isn: SeqNum(isn),
            total,
            opens,
            una: 0,
            nxt: 0,
            edge: 0,
            received: 0,
            early: BTreeSet::new(),
            fin: None,
            closes_last: false,
            buffer,
            unread: 0,
            alarm: opens.then_some(0),
            rto: RTO.0,
        }
    }

    /// Whether all was sent and acknowledged, and the other side's FIN came.
    pub(crate) fn is_done(&self) -> bool {
        self.una == self.total + 2 && self.fin.is_some_and(|fin| self.received >= fin)
    }

    /// Whether its SYN is acknowledged.
    pub(crate) fn is_open(&self) -> bool {
        self.una > 0
    }

    /// The user reads: a window that was closed opens, and is told.
    pub(crate) fn read(&mut self, out: &mut Vec<Segment>) {
        let told = self.window();
        self.unread = 0;
        if self.received > 0 && told < MSS {
            out.push(self.bare());
        }
    }

    /// A segment comes in.
    pub(crate) fn take(&mut self, segment: &Segment, now: u64, out: &mut Vec<Segment>) {
        let syn = segment.flags.contains(TcpFlags::SYN);
        let reset = segment.flags.contains(TcpFlags::RST);
        if reset || (self.received == 0 && !syn) {
            // Only closed peers reset, and what is open then is in TIME-WAIT (RFC 1337).
            return;
        }
        if self.closes_last && self.is_done() {
            out.extend(refusal(segment));
            return;
        }
        if syn && self.received == 0 {
            self.received = 1;
            if !self.opens {
                self.nxt = 1;
                self.alarm = Some(now + self.rto);
                out.push(self.first());
            }
        }
        if segment.flags.contains(TcpFlags::ACK) {
            self.acknowledged(segment, now);
        }
        let sent = segment.len > 0 || segment.flags.contains(TcpFlags::FIN) || syn;
        let accepted = segment.seq <= self.received + self.window();
        if !syn && accepted {
            self.keep(segment);
        }
        let probe = segment.seq + segment.len < self.received;
        if self.nxt > 0 && (sent || probe || !accepted) && (self.opens || !syn) {
            out.push(self.bare());
        }
        self.send(now, out);
    }

    /// The retransmission timer runs out.
    pub(crate) fn retransmit(&mut self, now: u64, out: &mut Vec<Segment>) {
        self.rto = (2 * self.rto).min(RTO.1);
        self.alarm = Some(now + self.rto);
        if self.una == 0 {
            self.nxt = self.nxt.max(1);
            out.push(self.first());
        } else if self.una < self.nxt {
            // Linux and others retransmit the head, as much as fits a segment.
            let len = MSS.min(self.nxt - self.una);
            out.push(self.piece(self.una, len));
        } else if self.una < self.total + 2 {
            // A zero window is probed below what was acknowledged.
            let mut probe = self.bare();
            probe.seq = self.una - 1;
            out.push(probe);
        } else {
            self.alarm = None;
        }
    }

    fn acknowledged(&mut self, segment: &Segment, now: u64) {
        if segment.ack > self.nxt || segment.ack < self.una {
            return;
        }
        self.edge = self.edge.max(segment.ack + segment.window);
        if segment.ack > self.una {
            self.una = segment.ack;
            self.rto = RTO.0;
            self.alarm = (self.una < self.total + 2).then_some(now + self.rto);
        }
    }

    fn keep(&mut self, segment: &Segment) {
        let end = segment.seq + segment.len;
        if segment.flags.contains(TcpFlags::FIN) {
            self.fin = Some(end + 1);
        }
        if segment.len > 0 && end > self.received {
            self.early.insert((segment.seq, end));
        }
        while let Some(&(start, end)) = self.early.first() {
            if start > self.received {
                break;
            }
            self.early.pop_first();
            self.unread += end.saturating_sub(self.received);
            self.received = self.received.max(end);
        }
        if self.fin == Some(self.received + 1) {
            self.received += 1;
        }
    }

    /// Sends what the window allows, and FIN with or behind the last octet.
    fn send(&mut self, now: u64, out: &mut Vec<Segment>) {
        if self.una == 0 || self.received == 0 {
            return;
        }
        let last = self.total + 1;
        while self.nxt < self.edge.min(last) {
            let len = MSS.min(self.edge.min(last) - self.nxt);
            self.push(len, now, out);
        }
        if self.nxt == last && self.edge > last {
            self.push(1, now, out);
        }
        if self.alarm.is_none() && self.una < self.total + 2 {
            self.alarm = Some(now + self.rto);
        }
    }

    fn push(&mut self, len: u32, now: u64, out: &mut Vec<Segment>) {
        // FIN goes with the last data in every other connection.
        let with_fin = self.total.is_multiple_of(2) && self.nxt + len == self.total + 1;
        let len = len + u32::from(with_fin && self.edge > self.total + 1);
        let nxt = self.nxt;
        self.nxt += len;
        self.closes_last = self.fin.is_some_and(|fin| self.received >= fin);
        out.push(self.piece(nxt, len));
        self.alarm.get_or_insert(now + self.rto);
    }

    /// Sequence space from `seq` on, of which the very last number is the FIN.
    fn piece(&self, seq: u32, len: u32) -> Segment {
        let fin = seq + len == self.total + 2;
        let flags = if fin { TcpFlags::FIN } else { TcpFlags::PSH };
        Segment {
            seq,
            len: len - u32::from(fin),
            flags: flags.with(TcpFlags::ACK),
            ..self.bare()
        }
    }

    fn first(&self) -> Segment {
        let flags = if self.opens {
            TcpFlags::SYN
        } else {
            TcpFlags::SYN.with(TcpFlags::ACK)
        };
        Segment {
            seq: 0,
            flags,
            window: self.window().min(0xffff),
            ..self.bare()
        }
    }

    fn bare(&self) -> Segment {
        Segment {
            seq: self.nxt,
            ack: self.received,
            len: 0,
            flags: TcpFlags::ACK,
            window: self.window(),
        }
    }

    fn window(&self) -> u32 {
        // What the header can say at a scale of 7.
        self.buffer.saturating_sub(self.unread) & !127
    }
}

/// What says that there is nobody (RFC 9293 section 3.10.7.1).
fn refusal(segment: &Segment) -> Option<Segment> {
    let answered = segment.flags.contains(TcpFlags::ACK);
    answered.then_some(Segment {
        seq: segment.ack,
        ack: 0,
        len: 0,
        flags: TcpFlags::RST,
        window: 0,
    })
}
