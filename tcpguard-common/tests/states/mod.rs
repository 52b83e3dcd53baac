//! The state table of ARCHITECTURE.md, from the tracker itself: a conversation is led into each state,
//! and then each kind of segment with the numbers that come next is tried in each direction.

use std::fmt::Write as _;

use tcpguard_common::{
    conn::{
        ruling::{Direction, Ruling},
        seen::Seen,
        state::State,
        time::Ticks,
        witness::Plea,
    },
    flags::TcpFlags,
    flow::{FlowKey4, Way},
    seq::SeqNum,
    table::{host::Table, key::Seed},
    verdict::VerdictKind,
};

const SYN: TcpFlags = TcpFlags::SYN;
const SYN_ACK: TcpFlags = TcpFlags::SYN.with(TcpFlags::ACK);
const ACK: TcpFlags = TcpFlags::ACK;
const FIN: TcpFlags = TcpFlags::FIN.with(TcpFlags::ACK);
const RST: TcpFlags = TcpFlags::RST;

/// The kinds of segments, and what they are called.
const KINDS: [(&str, TcpFlags); 5] = [
    ("SYN, another ISN", SYN),
    ("SYN+ACK", SYN_ACK),
    ("ACK or data", ACK),
    ("FIN", FIN),
    ("RST", RST),
];

/// A conversation so far, with what comes next in either direction.
struct Conversation {
    table: Table<FlowKey4>,
    key: FlowKey4,
    /// The next sequence number of the original and of the reply side.
    next: [u32; 2],
    /// The number of a side's SYN once it has sent one, and of its FIN.
    syn: [Option<u32>; 2],
    fin: [Option<u32>; 2],
}

impl Conversation {
    fn new() -> Self {
        Self {
            table: Table::new(16, Seed::known(1)),
            key: FlowKey4::new((1, 1000), (2, 80)).0,
            next: [100, 500],
            syn: [None; 2],
            fin: [None; 2],
        }
    }

    /// Sends a segment with the numbers that come next.
    fn send(&mut self, direction: Direction, flags: TcpFlags) -> Ruling {
        let (me, other, way) = match direction {
            Direction::Original => (0, 1, Way::Up),
            Direction::Reply => (1, 0, Way::Down),
        };
        // A SYN of a side that has opened already has a number of its own; SYN+ACK and FIN are sent
        // again with the number that they had.
        let seq = match flags {
            SYN if self.syn[me].is_some() => self.next[me].wrapping_add(1_000_000),
            SYN_ACK => self.syn[me].unwrap_or(self.next[me]),
            FIN => self.fin[me].unwrap_or(self.next[me]),
            _ => self.next[me],
        };
        let seen = Seen {
            flags,
            seq: SeqNum(seq),
            ack: SeqNum(if flags == SYN { 0 } else { self.next[other] }),
            sacked: SeqNum(self.next[other]),
            now: Ticks(0),
            window: 65_535,
            ..Seen::NOTHING
        };
        let ruling = self.table.decide(&self.key, way, &seen, || Plea::Refuse);
        let said = match flags {
            SYN | SYN_ACK => &mut self.syn[me],
            FIN => &mut self.fin[me],
            _ => return ruling,
        };
        if said.is_none() {
            *said = Some(seq);
            self.next[me] = seq.wrapping_add(1);
        }
        ruling
    }

    /// One that has come to a state, or has not begun.
    fn in_state(state: Option<State>) -> Self {
        use Direction::{Original as O, Reply as R};
        let open: &[_] = &[(O, SYN), (R, SYN_ACK), (O, ACK)];
        let script: &[&[(Direction, TcpFlags)]] = match state {
            None => &[],
            Some(State::SynSent) => &[&[(O, SYN)]],
            Some(State::SynSent2) => &[&[(O, SYN), (R, SYN)]],
            Some(State::SynReceived) => &[&[(O, SYN), (R, SYN_ACK)]],
            Some(State::Established) => &[open],
            Some(State::FinWait) => &[open, &[(O, FIN)]],
            Some(State::CloseWait) => &[open, &[(O, FIN), (R, ACK)]],
            Some(State::LastAck) => &[open, &[(O, FIN), (R, FIN)]],
            Some(State::TimeWait) => &[open, &[(O, FIN), (R, FIN), (O, ACK)]],
            Some(State::Closed) => &[open, &[(O, RST)]],
        };
        let mut conversation = Self::new();
        let mut reached = None;
        for (direction, flags) in script.iter().copied().flatten() {
            reached = conversation.send(*direction, *flags).after();
        }
        assert_eq!(reached, state, "the script leads elsewhere");
        conversation
    }
}

/// The table, in Markdown.
pub(crate) fn table() -> String {
    let mut text = String::from("| state | from |");
    for (kind, _) in KINDS {
        write!(text, " {kind} |").unwrap();
    }
    text.push_str("\n|---|---|---|---|---|---|---|\n");
    for state in std::iter::once(None).chain(State::ALL.map(Some)) {
        for direction in [Direction::Original, Direction::Reply] {
            if state.is_none() && direction == Direction::Reply {
                continue;
            }
            let name = state.map_or("no connection", State::as_str);
            let from = if state.is_none() {
                "either"
            } else {
                direction.as_str()
            };
            write!(text, "| {name} | {from} |").unwrap();
            for (_, flags) in KINDS {
                let ruling = Conversation::in_state(state).send(direction, flags);
                write!(text, " {} |", cell(ruling)).unwrap();
            }
            text.push('\n');
        }
    }
    text
}

/// Where an accepted segment leads, `ignore`, or the reason of a drop.
fn cell(ruling: Ruling) -> String {
    match ruling.verdict().kind() {
        VerdictKind::Accept => ruling.after().map_or("accept", State::as_str).to_owned(),
        VerdictKind::Ignore => "ignore".to_owned(),
        VerdictKind::Drop | VerdictKind::Bypass | VerdictKind::WouldDrop => {
            format!("`{}`", ruling.verdict().cause())
        }
    }
}
