//! A connection brought into a state by what two peers say, as the tracker would see them.

use tcpguard_common::{
    conn::{
        ruling::{Direction, Ruling},
        seen::{Class, Seen},
        state::State,
        witness::Plea,
    },
    flags::TcpFlags,
    flow::{FlowKey4, Way},
    seq::SeqNum,
    table::{host::Table, key::Seed},
};

type Step = (Direction, TcpFlags);

const FORTH: Direction = Direction::Original;
const BACK: Direction = Direction::Reply;
const SYN_ACK: TcpFlags = TcpFlags::SYN.with(TcpFlags::ACK);
const FIN_ACK: TcpFlags = TcpFlags::FIN.with(TcpFlags::ACK);

/// From the first SYN to the last acknowledgment, a state with each step.
const LIFE: [Step; 7] = [
    (FORTH, TcpFlags::SYN),
    (BACK, SYN_ACK),
    (FORTH, TcpFlags::ACK),
    (FORTH, FIN_ACK),
    (BACK, TcpFlags::ACK),
    (BACK, FIN_ACK),
    (FORTH, TcpFlags::ACK),
];

/// What was said until a connection is in this state.
fn opening(state: State) -> Vec<Step> {
    let steps = match state {
        State::SynSent2 => return vec![(FORTH, TcpFlags::SYN), (BACK, TcpFlags::SYN)],
        State::Closed => return [&LIFE[..3], &[(FORTH, TcpFlags::RST)]].concat(),
        State::SynSent => 1,
        State::SynReceived => 2,
        State::Established => 3,
        State::FinWait => 4,
        State::CloseWait => 5,
        State::LastAck => 6,
        State::TimeWait => 7,
    };
    LIFE[..steps].to_vec()
}

/// Two peers, and the tracker between them.
pub(super) struct Script {
    table: Table<FlowKey4>,
    /// Where each side begins, and what it sends next.
    isn: [SeqNum; 2],
    next: [SeqNum; 2],
    state: Option<State>,
}

impl Script {
    /// A connection in this state, or none yet.
    pub(super) fn until(state: Option<State>) -> Self {
        let isn = [SeqNum(1000), SeqNum(5000)];
        let mut script = Self {
            table: Table::new(1, Seed::known(0)),
            isn,
            next: isn,
            state: None,
        };
        for (direction, flags) in state.map(opening).unwrap_or_default() {
            let _ = script.say(direction, flags);
        }
        script
    }

    /// The next segment of a direction, and what the tracker makes of it.
    pub(super) fn say(&mut self, direction: Direction, flags: TcpFlags) -> (Seen, Ruling) {
        let (me, other, way) = match direction {
            Direction::Original => (0, 1, Way::Up),
            Direction::Reply => (1, 0, Way::Down),
        };
        let ack = if flags.contains(TcpFlags::ACK) {
            self.next[other]
        } else {
            SeqNum(0)
        };
        let mut seen = Seen {
            ack,
            sacked: ack,
            window: u16::MAX,
            flags,
            ..Seen::NOTHING
        };
        // As long as a SYN is unanswered, another one is the same again.
        let again = matches!(seen.class(), Class::Syn | Class::SynAck)
            && self.state.is_none_or(State::is_half_open);
        seen.seq = if again { self.isn[me] } else { self.next[me] };
        let key = FlowKey4 {
            addresses: [1, 2],
            ports: [1025, 80],
        };
        let ruling = self.table.decide(&key, way, &seen, || Plea::Refuse);
        if !ruling.verdict().is_drop() {
            self.next[me] = seen.end();
        }
        self.state = ruling.after().or(self.state);
        (seen, ruling)
    }

    /// The state that the connection is in, if there is one.
    pub(super) const fn state(&self) -> Option<State> {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_reached_and_nothing_is_refused_on_the_way() {
        for state in State::ALL {
            let script = Script::until(Some(state));
            assert_eq!(script.state(), Some(state));
            let mut again = Script::until(None);
            for (direction, flags) in opening(state) {
                assert!(!again.say(direction, flags).1.verdict().is_drop());
            }
        }
        assert_eq!(Script::until(None).state(), None);
    }

    #[test]
    fn the_numbers_are_those_that_come_next() {
        let mut script = Script::until(Some(State::FinWait));
        let (seen, _) = script.say(BACK, FIN_ACK);
        assert_eq!((seen.seq.0, seen.ack.0), (5001, 1002));
        let mut script = Script::until(Some(State::SynReceived));
        let (seen, _) = script.say(BACK, SYN_ACK);
        assert_eq!((seen.seq.0, seen.ack.0), (5000, 1001));
    }
}
