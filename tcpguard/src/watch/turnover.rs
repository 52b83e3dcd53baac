//! Which connections come and go, by what the kernel programs counted of their changes of state.

use tcpguard_common::{conn::state::State, counters::Events};

/// A change of state, and how often it happened. `None` is no connection.
pub(crate) struct Transition {
    pub(crate) before: Option<State>,
    pub(crate) after: Option<State>,
    pub(crate) count: u64,
}

/// All changes that happened, in the order of a connection's life.
pub(crate) fn transitions(events: &Events) -> impl Iterator<Item = Transition> + '_ {
    let states = || (0..).map(State::from_number);
    let rows = states().zip(&events.transitions);
    let all = rows.flat_map(move |(before, row)| {
        states().zip(row).map(move |(after, count)| Transition {
            before,
            after,
            count: *count,
        })
    });
    all.filter(|transition| transition.count > 0)
}

/// Connections that began: where there was none, or where one had ended.
pub(super) fn opened(events: &Events) -> u64 {
    let opens = |it: &Transition| !is_open(it.before) && is_open(it.after);
    transitions(events).filter(opens).map(|it| it.count).sum()
}

/// Connections that ended: by a reset, or because both sides had closed.
pub(super) fn ended(events: &Events) -> u64 {
    let ends = |it: &Transition| is_open(it.before) && !is_open(it.after);
    transitions(events).filter(ends).map(|it| it.count).sum()
}

/// How often a connection came into a state.
pub(crate) fn entered(events: &Events, state: State) -> u64 {
    let enters = |it: &Transition| it.after == Some(state);
    transitions(events).filter(enters).map(|it| it.count).sum()
}

fn is_open(state: Option<State>) -> bool {
    !matches!(state, None | Some(State::TimeWait | State::Closed))
}

#[cfg(test)]
mod tests {
    use super::{super::specimen::happened, *};

    #[test]
    fn a_port_that_is_used_again_is_one_that_ended_and_one_that_began() {
        let mut events = Events::ZERO;
        happened(&mut events, None, State::SynSent, 1);
        happened(&mut events, Some(State::SynSent), State::SynReceived, 1);
        happened(&mut events, Some(State::LastAck), State::TimeWait, 1);
        happened(&mut events, Some(State::TimeWait), State::SynSent, 1);
        happened(&mut events, Some(State::TimeWait), State::Closed, 1);
        assert_eq!((opened(&events), ended(&events)), (2, 1));
        assert_eq!(entered(&events, State::SynSent), 2);
    }
}
