//! One end of a connection, as RFC 9293 wants it and no better.

use std::collections::BTreeSet;

use tcpguard_common::{conn::seen::Seen, flags::TcpFlags, seq::SeqNum};

/// A segment in the numbers of its sender and receiver, counted from their first ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Segment {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) len: u32,
    pub(crate) flags: TcpFlags,
    /// In octets.
    pub(crate) window: u32,
}

impl Segment {
    /// As the tracker sees it, of a sender and a receiver with these first numbers.
    pub(crate) fn seen(&self, sender: SeqNum, receiver: SeqNum) -> Seen {
        let syn = self.flags.contains(TcpFlags::SYN);
        let window = self.window >> if syn { 0 } else { SCALE };
        let ack = receiver.plus(self.ack);
        Seen {
            seq: sender.plus(self.seq),
            ack,
            sacked: ack,
            payload_len: self.len,
            window: u16::try_from(window).expect("a window fits at its scale"),
            flags: self.flags,
            scale: if syn { SCALE } else { Seen::NO_SCALE },
            ..Seen::default()
        }
    }
}

/// Octets of a full segment.
pub(crate) const MSS: u32 = 1000;
/// The window scale of both ends.
const SCALE: u8 = 7;
/// Milliseconds to the first retransmission, and between any two at most: less than what peers wait
/// for, so that no bad luck outlasts the memory of a state.
const RTO: (u64, u64) = (200, 10_000);

/// One end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    pub(crate) isn: SeqNum,
    /// Octets that it will have sent.
    pub(crate) total: u32,
    /// Where what its user has written so far ends: all of it and FIN, unless told otherwise.
    written: u32,
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
            written: total + 2,
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

    /// The same peer, whose user has written nothing so far.
    pub(crate) fn silent(self) -> Self {
        Self { written: 1, ..self }
    }

    /// Whether its user may still write, or close.
    pub(crate) fn may_write(&self) -> bool {
        self.is_open() && self.written < self.total + 2
    }

    /// The user writes as much as fits a segment, or closes behind the last octet.
    pub(crate) fn write(&mut self, out: &mut Vec<Segment>) {
        let last = self.total + 1;
        self.written = if self.written < last {
            last.min(self.written + MSS)
        } else {
            last + 1
        };
        self.send(0, out);
    }

    /// How far the other side can ever have been told that it may send.
    pub(crate) fn edge(&self) -> u32 {
        self.received + self.buffer
    }

    /// What it sends next.
    pub(crate) fn next(&self) -> u32 {
        self.nxt
    }

    /// What it waits for.
    pub(crate) fn expected(&self) -> u32 {
        self.received
    }

    /// Whether there is something to read.
    pub(crate) fn may_read(&self) -> bool {
        self.unread > 0
    }

    /// Whether nothing is left of it, not even TIME-WAIT.
    pub(crate) fn is_gone(&self) -> bool {
        self.closes_last && self.is_done()
    }

    /// Forgets how long it has waited, where time is no matter.
    pub(crate) fn settle(&mut self) {
        self.rto = RTO.0;
        self.alarm = self.alarm.map(|_| 0);
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
        if self.is_gone() {
            out.extend(refusal(segment));
            return;
        }
        let known = self.received > 0;
        let answers = segment.flags.contains(TcpFlags::ACK);
        if syn && !known {
            self.received = 1;
            // Who opens as well answers a SYN in the same way: simultaneous open.
            if !answers {
                self.nxt = 1;
                self.alarm = Some(now + self.rto);
                out.push(self.first());
            }
        }
        if answers {
            self.acknowledged(segment, now);
        }
        let sent = segment.len > 0 || segment.flags.contains(TcpFlags::FIN) || syn;
        let accepted = segment.seq <= self.received + self.window();
        if !syn && accepted {
            self.keep(segment);
        }
        let probe = segment.seq + segment.len < self.received;
        if self.nxt > 0 && (sent || probe || !accepted) && (known || answers) {
            // A SYN that comes again draws the answer again, or a challenge (RFC 9293 section 3.10.7.4).
            let again = syn && self.una == 0;
            out.push(if again { self.first() } else { self.bare() });
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
        while self.nxt < self.limit().min(last) {
            let len = MSS.min(self.limit().min(last) - self.nxt);
            self.push(len, now, out);
        }
        if self.nxt == last && self.limit() > last {
            self.push(1, now, out);
        }
        if self.alarm.is_none() && self.una < self.total + 2 {
            self.alarm = Some(now + self.rto);
        }
    }

    /// How far it may send: what was written, as far as there is room for it.
    fn limit(&self) -> u32 {
        self.edge.min(self.written)
    }

    fn push(&mut self, len: u32, now: u64, out: &mut Vec<Segment>) {
        // FIN goes with the last data in every other connection.
        let with_fin = self.total.is_multiple_of(2) && self.nxt + len == self.total + 1;
        let len = len + u32::from(with_fin && self.limit() > self.total + 1);
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
        let flags = if self.received == 0 {
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
