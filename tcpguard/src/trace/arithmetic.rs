//! The arithmetic of a conversation: what each side has sent and acknowledged, what must come next,
//! and where a segment does not add up.
//!
//! Reckoned from what stands in the segments alone, beside the tracker and not by its windows, so
//! that a reader can follow each number. Only accepted segments move anything.

use tcpguard_common::{flags::TcpFlags, seq::SeqNum};

use super::mark::Mark;

/// What a segment says, and what became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    /// SEG.SEQ
    pub(super) seq: SeqNum,
    /// SEG.ACK
    pub(super) ack: SeqNum,
    /// The flags.
    pub(super) flags: TcpFlags,
    /// Payload in octets.
    pub(super) payload_len: u32,
    /// Whether it was accepted, ignored or dropped.
    pub(super) fate: Fate,
    /// Whether it opens a connection where none is live.
    pub(super) opens: bool,
}

/// How far a segment counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its numbers count.
    Accepted,
    /// Its numbers count whatever was believed before: the tracker re-anchored.
    Believed,
    /// It passes, and changes nothing.
    Ignored,
    /// It is not there.
    Dropped,
}

impl Said {
    const fn has(&self, flag: TcpFlags) -> bool {
        self.flags.contains(flag)
    }

    const fn counts(&self) -> bool {
        matches!(self.fate, Fate::Accepted | Fate::Believed)
    }

    /// SEG.LEN; what comes with a reset is no part of the stream.
    const fn len(&self) -> u32 {
        if self.has(TcpFlags::RST) {
            return 0;
        }
        let syn = self.has(TcpFlags::SYN) as u32;
        let fin = self.has(TcpFlags::FIN) as u32;
        self.payload_len.wrapping_add(syn).wrapping_add(fin)
    }
}

/// What the numbers of a segment come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reckoning {
    /// The sequence number from its side's SYN, or from one before the first octet seen.
    pub(super) seq: u32,
    /// The acknowledgment from the other side's, if there is one.
    pub(super) ack: Option<u32>,
    /// What it would acknowledge if all that the other side has sent had arrived.
    pub(super) expected_ack: Option<SeqNum>,
    /// What the other side has to acknowledge once it has this, as it stands there and relative.
    pub(super) next_ack: Option<(SeqNum, u32)>,
    /// Where it does not add up.
    pub(super) marks: Vec<Mark>,
}

/// One side's account.
#[derive(Clone, Debug, Default)]
struct Side {
    /// What its numbers are counted from.
    origin: Option<SeqNum>,
    /// The end of all that it has sent.
    end: Option<SeqNum>,
    /// What was not seen before that end: where each gap begins and ends.
    gaps: Vec<(SeqNum, SeqNum)>,
    /// The most that it has acknowledged.
    acked: Option<SeqNum>,
    /// Whether that end is a FIN's.
    finished: bool,
}

/// The accounts of both sides.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger([Side; 2]);

impl Ledger {
    /// Enters a segment of the first side, or of the second.
    pub(super) fn enter(&mut self, second: bool, said: &Said) -> Reckoning {
        let mut marks = Vec::new();
        let was_open = self.0.iter().any(|side| side.end.is_some());
        if said.opens && was_open {
            *self = Self::default();
            marks.push(Mark::Reopened);
        }
        let [one, two] = &mut self.0;
        let (me, other) = if second { (two, one) } else { (one, two) };
        me.begin(said, &mut marks);
        if said.has(TcpFlags::ACK) {
            other.origin.get_or_insert(said.ack.plus(u32::MAX));
        }
        me.hold_seq(other, said, &mut marks);
        me.hold_ack(other, said, &mut marks);
        if said.counts() {
            me.advance(said);
        }
        let origin = me.origin.unwrap_or(said.seq);
        let next = me
            .end
            .filter(|_| said.len() > 0 && said.fate != Fate::Dropped);
        Reckoning {
            seq: said.seq.since(origin),
            ack: other
                .origin
                .filter(|_| said.has(TcpFlags::ACK))
                .map(|origin| said.ack.since(origin)),
            expected_ack: other.end.filter(|_| said.has(TcpFlags::ACK)),
            next_ack: next.map(|next| (next, next.since(origin))),
            marks,
        }
    }
}

impl Side {
    /// Where its numbers begin, if that is not known yet or is another number now.
    fn begin(&mut self, said: &Said, marks: &mut Vec<Mark>) {
        let syn = said.has(TcpFlags::SYN);
        if syn && said.counts() {
            if self.end.is_some() && self.origin != Some(said.seq) {
                marks.push(Mark::OtherIsn);
                self.end = None;
                self.gaps.clear();
            }
            self.origin = Some(said.seq);
        } else if self.origin.is_none() || (self.end.is_none() && said.counts()) {
            let before = if syn { 0 } else { u32::MAX };
            self.origin = Some(said.seq.plus(before));
        }
    }

    /// Whether the sequence number is the one that comes next.
    fn hold_seq(&self, other: &Self, said: &Said, marks: &mut Vec<Mark>) {
        let Some(next) = self.end else { return };
        if said.has(TcpFlags::RST) {
            if said.seq != next && Some(said.seq) != other.acked {
                marks.push(Mark::Inexact);
            }
            return;
        }
        let (len, end) = (said.len(), said.seq.plus(said.len()));
        if self.finished && end.after(next) {
            marks.push(Mark::BeyondFin);
        }
        if said.seq.after(next) {
            marks.push(Mark::Gap(said.seq.since(next)));
        } else if said.seq.before(next) {
            let behind = next.since(said.seq);
            let empty = !said.flags.intersects(TcpFlags::SYN.with(TcpFlags::FIN));
            marks.push(if self.gaps.iter().any(|gap| lies_in(said, *gap)) {
                Mark::FillsGap
            } else if empty && behind == 1 && len <= 1 {
                Mark::KeepAlive
            } else if len == 0 {
                Mark::SeqBehind(behind)
            } else if end.after(next) {
                Mark::Overlap(behind)
            } else {
                Mark::Retransmission
            });
        }
    }

    /// Whether the acknowledgment lies between what was acknowledged and what was sent.
    fn hold_ack(&self, other: &Self, said: &Said, marks: &mut Vec<Mark>) {
        let Some(sent) = other.end.filter(|_| said.has(TcpFlags::ACK)) else {
            return;
        };
        let least = self.acked.or(other.origin.map(|origin| origin.plus(1)));
        if said.ack.after(sent) {
            marks.push(Mark::AckOfUnsent(said.ack.since(sent)));
        } else if let Some(least) = least.filter(|least| said.ack.before(*least)) {
            marks.push(Mark::AckBehind(least.since(said.ack)));
        }
    }

    fn advance(&mut self, said: &Said) {
        let end = said.seq.plus(said.len());
        if said.has(TcpFlags::RST) {
            return;
        }
        let believed = said.fate == Fate::Believed;
        if let Some(next) = self.end.filter(|next| said.seq.after(*next) && !believed) {
            self.gaps.push((next, said.seq));
        } else {
            self.fill(said.seq, end);
        }
        if believed || self.end.is_none_or(|it| end.after(it)) {
            self.end = Some(end);
        }
        if said.has(TcpFlags::ACK) && (believed || self.acked.is_none_or(|it| said.ack.after(it))) {
            self.acked = Some(said.ack);
        }
        self.finished |= said.has(TcpFlags::FIN);
    }

    /// What is left of the gaps when everything from `seq` to `end` is there.
    fn fill(&mut self, seq: SeqNum, end: SeqNum) {
        let left = |(from, to): (SeqNum, SeqNum)| {
            if !seq.before(to) || !end.after(from) {
                return [Some((from, to)), None];
            }
            [
                seq.after(from).then_some((from, seq)),
                end.before(to).then_some((end, to)),
            ]
        };
        self.gaps = self.gaps.drain(..).flat_map(left).flatten().collect();
    }
}

/// Whether any of a segment's octets lie in a gap.
const fn lies_in(said: &Said, (from, to): (SeqNum, SeqNum)) -> bool {
    said.len() > 0 && said.seq.before(to) && said.seq.plus(said.len()).after(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(flags: &str, seq: u32, ack: u32, payload_len: u32) -> Said {
        Said {
            seq: SeqNum(seq),
            ack: SeqNum(ack),
            flags: flags.parse().unwrap(),
            payload_len,
            fate: Fate::Accepted,
            opens: flags == "S",
        }
    }

    /// After a handshake from 1000 and from 5000 on, and 100 octets forth.
    fn open() -> Ledger {
        let mut ledger = Ledger::default();
        for (back, segment) in [
            (false, said("S", 1000, 0, 0)),
            (true, said("SA", 5000, 1001, 0)),
            (false, said("A", 1001, 5001, 0)),
            (false, said("PA", 1001, 5001, 100)),
        ] {
            assert_eq!(ledger.enter(back, &segment).marks, []);
        }
        ledger
    }

    /// Marks of a segment that comes next.
    fn marks(back: bool, segment: Said) -> Vec<Mark> {
        open().enter(back, &segment).marks
    }

    #[test]
    fn syn_and_fin_count_one_and_payload_its_octets() {
        let mut ledger = open();
        let reckoning = ledger.enter(true, &said("PA", 5001, 1101, 7));
        assert_eq!((reckoning.seq, reckoning.ack), (1, Some(101)));
        assert_eq!(reckoning.expected_ack, Some(SeqNum(1101)));
        assert_eq!(reckoning.next_ack, Some((SeqNum(5008), 8)));
        let reckoning = ledger.enter(true, &said("FA", 5008, 1101, 0));
        assert_eq!(reckoning.next_ack, Some((SeqNum(5009), 9)));
        let reckoning = ledger.enter(false, &said("A", 1101, 5009, 0));
        assert_eq!((reckoning.next_ack, reckoning.marks), (None, vec![]));
    }

    #[test]
    fn what_comes_before_or_behind_the_next_octet_is_marked() {
        let cases = [
            (said("A", 1101, 5001, 10), vec![]),
            (said("A", 1151, 5001, 10), vec![Mark::Gap(50)]),
            (said("A", 1001, 5001, 100), vec![Mark::Retransmission]),
            (said("A", 1051, 5001, 100), vec![Mark::Overlap(50)]),
            (said("A", 1100, 5001, 0), vec![Mark::KeepAlive]),
            (said("A", 1001, 5001, 0), vec![Mark::SeqBehind(100)]),
            (said("R", 1101, 0, 0), vec![]),
            (said("R", 1102, 0, 0), vec![Mark::Inexact]),
        ];
        for (segment, right) in cases {
            assert_eq!(marks(false, segment), right, "{segment:?}");
        }
    }

    #[test]
    fn a_gap_is_filled_once() {
        let mut ledger = open();
        let mut marks = |seq, len| ledger.enter(false, &said("A", seq, 5001, len)).marks;
        assert_eq!(marks(1131, 10), [Mark::Gap(30)]);
        assert_eq!(marks(1111, 10), [Mark::FillsGap]);
        assert_eq!(marks(1111, 10), [Mark::Retransmission]);
        assert_eq!(marks(1101, 10), [Mark::FillsGap]);
        assert_eq!(marks(1101, 30), [Mark::FillsGap]);
        assert_eq!(marks(1101, 40), [Mark::Retransmission]);
        assert_eq!(marks(1141, 10), []);
    }

    #[test]
    fn an_acknowledgment_lies_between_the_last_one_and_what_was_sent() {
        for (ack, right) in [
            (1001, vec![]),
            (1051, vec![]),
            (1101, vec![]),
            (1102, vec![Mark::AckOfUnsent(1)]),
            (1000, vec![Mark::AckBehind(1)]),
        ] {
            assert_eq!(marks(true, said("A", 5001, ack, 0)), right, "{ack}");
        }
    }

    #[test]
    fn a_handshake_acknowledges_one_more_than_the_syn() {
        for (ack, right) in [
            (1000, vec![Mark::AckBehind(1)]),
            (1001, vec![]),
            (1002, vec![Mark::AckOfUnsent(1)]),
        ] {
            let mut ledger = Ledger::default();
            ledger.enter(false, &said("S", 1000, 0, 0));
            let answer = ledger.enter(true, &said("SA", 5000, ack, 0));
            assert_eq!(answer.marks, right, "{ack}");
        }
    }

    #[test]
    fn nothing_lies_behind_a_fin() {
        let mut ledger = open();
        ledger.enter(false, &said("FA", 1101, 5001, 0));
        let again = ledger.enter(false, &said("FA", 1101, 5001, 0));
        assert_eq!(again.marks, [Mark::Retransmission]);
        let beyond = ledger.enter(false, &said("PA", 1102, 5001, 5));
        assert_eq!(beyond.marks, [Mark::BeyondFin]);
    }

    #[test]
    fn what_is_dropped_or_ignored_moves_nothing() {
        for fate in [Fate::Dropped, Fate::Ignored] {
            let mut ledger = open();
            let forged = said("PA", 900_000, 5001, 5);
            let reckoning = ledger.enter(false, &Said { fate, ..forged });
            assert_eq!(reckoning.marks, [Mark::Gap(898_899)]);
            assert_eq!(ledger.enter(false, &said("A", 1101, 5001, 5)).marks, []);
        }
    }

    #[test]
    fn what_is_believed_moves_everything() {
        let mut ledger = open();
        let far = said("PA", 900_000, 5001, 5);
        let fate = Fate::Believed;
        ledger.enter(false, &Said { fate, ..far });
        assert_eq!(ledger.enter(false, &said("A", 900_005, 5001, 5)).marks, []);
    }

    #[test]
    fn numbers_go_around() {
        let mut ledger = Ledger::default();
        ledger.enter(false, &said("S", u32::MAX - 1, 0, 0));
        ledger.enter(true, &said("SA", u32::MAX, u32::MAX, 0));
        let reckoning = ledger.enter(false, &said("PA", u32::MAX, 0, 10));
        assert_eq!((reckoning.seq, reckoning.ack), (1, Some(1)));
        assert_eq!(reckoning.next_ack, Some((SeqNum(9), 11)));
        assert_eq!(reckoning.marks, []);
    }

    #[test]
    fn a_new_connection_begins_a_new_account() {
        let mut ledger = open();
        let again = ledger.enter(false, &said("S", 77_000, 0, 0));
        assert_eq!((again.seq, again.marks), (0, vec![Mark::Reopened]));
        let mut ledger = Ledger::default();
        ledger.enter(false, &said("S", 1000, 0, 0));
        let other = Said {
            opens: false,
            ..said("S", 2000, 0, 0)
        };
        assert_eq!(ledger.enter(false, &other).marks, [Mark::OtherIsn]);
    }

    #[test]
    fn without_a_beginning_the_first_octet_is_number_one() {
        let mut ledger = Ledger::default();
        let first = ledger.enter(false, &said("PA", 1001, 5001, 5));
        assert_eq!((first.seq, first.ack), (1, Some(1)));
        assert_eq!((first.expected_ack, first.marks), (None, vec![]));
    }
}
