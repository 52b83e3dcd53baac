//! What stands behind a segment that the tracker lets pass.

use tcpguard_common::conn::{ruling::Ruling, seen::Class, state::State};

/// The clause by which a segment of this kind passes, on a connection in this state.
pub(super) const fn of_pass(class: Class, state: Option<State>) -> &'static str {
    match class {
        Class::Syn => of_syn(state),
        Class::SynAck => of_syn_ack(state),
        Class::Rst => of_rst(state),
        Class::Ack => of_ack(state),
    }
}

const fn of_syn(state: Option<State>) -> &'static str {
    match state {
        None => "RFC 9293 section 3.10.7.2 (LISTEN: a SYN opens)",
        Some(State::SynSent | State::SynSent2 | State::SynReceived) => {
            "RFC 9293 section 3.5 (the SYN again, or simultaneous open)"
        }
        Some(State::Established | State::FinWait | State::CloseWait | State::LastAck) => {
            "RFC 5961 section 4 (answered with a challenge ACK)"
        }
        Some(State::TimeWait | State::Closed) => {
            "RFC 9293 section 3.6.1 (a new incarnation of the connection)"
        }
    }
}

const fn of_syn_ack(state: Option<State>) -> &'static str {
    match state {
        None | Some(State::SynSent | State::SynSent2 | State::SynReceived) => {
            "RFC 9293 section 3.10.7.3 (SYN-SENT: SYN and ACK)"
        }
        Some(
            State::Established
            | State::FinWait
            | State::CloseWait
            | State::LastAck
            | State::TimeWait
            | State::Closed,
        ) => "RFC 5961 section 4 (a late duplicate, answered with an ACK)",
    }
}

const fn of_rst(state: Option<State>) -> &'static str {
    match state {
        None | Some(State::Closed) => "RFC 9293 section 3.10.7.1 (CLOSED: a reset is discarded)",
        Some(State::SynSent) => "RFC 9293 section 3.10.7.3 (SYN-SENT: RST)",
        Some(State::TimeWait) => "RFC 1337 (a reset must not end TIME-WAIT)",
        Some(
            State::SynSent2
            | State::SynReceived
            | State::Established
            | State::FinWait
            | State::CloseWait
            | State::LastAck,
        ) => "RFC 5961 section 3 (the exact number closes)",
    }
}

const fn of_ack(state: Option<State>) -> &'static str {
    match state {
        None | Some(State::Closed) => "RFC 9293 section 3.10.7.1 (CLOSED: answered with a reset)",
        Some(State::SynSent) => "RFC 9293 section 3.5.1 (half-open connections)",
        Some(State::SynSent2 | State::SynReceived) => {
            "RFC 9293 section 3.10.7.4 (SYN-RECEIVED, ACK bit)"
        }
        Some(State::Established | State::FinWait | State::CloseWait | State::LastAck) => {
            "RFC 9293 section 3.10.7.4 (ACK, text and FIN)"
        }
        Some(State::TimeWait) => "RFC 9293 section 3.10.7.4 (TIME-WAIT: the last FIN again)",
    }
}

/// Who may know better than the tracker, of a segment that it refuses.
pub(super) fn exception(ruling: Ruling) -> Option<&'static str> {
    ruling.is_appealable().then_some(
        "the host has a socket for it, or connections are still learned (replay --pickup always)",
    )
}
