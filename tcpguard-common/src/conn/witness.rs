//! What the kernel's socket table says of a segment without a connection of ours.

use super::seen::{Class, Seen};

/// What becomes of a segment whose refusal was appealed against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plea {
    /// There is a connection: take it over.
    Adopt,
    /// It completes a handshake by a SYN cookie: a connection begins.
    Prove,
    /// It should, and does not.
    Forged,
    /// There is something that the segment may be for, but nothing to follow: it passes.
    Ignore,
    /// There is nothing: the refusal stands.
    Refuse,
}

// The kernel's numbers of socket states (include/net/tcp_states.h).
const ESTABLISHED: u32 = 1;
const SYN_SENT: u32 = 2;
const SYN_RECV: u32 = 3;
const FIN_WAIT1: u32 = 4;
const FIN_WAIT2: u32 = 5;
const TIME_WAIT: u32 = 6;
const CLOSE_WAIT: u32 = 8;
const LAST_ACK: u32 = 9;
/// A listening socket: no connection, but it may have sent a SYN cookie.
pub const LISTEN: u32 = 10;
const CLOSING: u32 = 11;
const NEW_SYN_RECV: u32 = 12;

/// What a socket in this state says for a segment that was refused.
#[inline(always)]
#[must_use]
pub const fn plead(seen: &Seen, socket: u32) -> Plea {
    match (socket, seen.class()) {
        (SYN_SENT, Class::SynAck)
        | (
            ESTABLISHED | SYN_RECV | FIN_WAIT1 | FIN_WAIT2 | CLOSE_WAIT | LAST_ACK | CLOSING
            | NEW_SYN_RECV,
            Class::Ack,
        ) => Plea::Adopt,
        // Nothing to follow, but the socket knows what to do with it.
        (
            ESTABLISHED | SYN_SENT | SYN_RECV | FIN_WAIT1 | FIN_WAIT2 | TIME_WAIT | CLOSE_WAIT
            | LAST_ACK | CLOSING | NEW_SYN_RECV,
            _,
        ) => Plea::Ignore,
        _ => Plea::Refuse,
    }
}

/// What becomes of a refused segment of which nobody can be asked, while connections are learned that
/// were there before the guard.
#[inline(always)]
#[must_use]
pub const fn learn(seen: &Seen) -> Plea {
    match seen.class() {
        Class::Rst => Plea::Ignore,
        Class::Syn | Class::SynAck | Class::Ack => Plea::Adopt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::TcpFlags;

    fn seen(flags: TcpFlags) -> Seen {
        Seen {
            flags,
            ..Seen::default()
        }
    }

    #[test]
    fn a_connection_of_the_host_is_adopted_by_an_ack() {
        for socket in [
            ESTABLISHED,
            SYN_RECV,
            FIN_WAIT1,
            FIN_WAIT2,
            CLOSE_WAIT,
            LAST_ACK,
            CLOSING,
            NEW_SYN_RECV,
        ] {
            assert_eq!(plead(&seen(TcpFlags::ACK), socket), Plea::Adopt);
            assert_eq!(plead(&seen(TcpFlags::RST), socket), Plea::Ignore);
            let syn_ack = TcpFlags::SYN.with(TcpFlags::ACK);
            assert_eq!(plead(&seen(syn_ack), socket), Plea::Ignore);
        }
    }

    #[test]
    fn a_syn_ack_is_for_a_socket_that_sent_a_syn() {
        let syn_ack = TcpFlags::SYN.with(TcpFlags::ACK);
        assert_eq!(plead(&seen(syn_ack), SYN_SENT), Plea::Adopt);
        assert_eq!(plead(&seen(TcpFlags::ACK), SYN_SENT), Plea::Ignore);
        assert_eq!(plead(&seen(TcpFlags::ACK), TIME_WAIT), Plea::Ignore);
    }

    #[test]
    fn a_listener_and_a_closed_socket_are_no_connection() {
        let syn_ack = TcpFlags::SYN.with(TcpFlags::ACK);
        for flags in [TcpFlags::ACK, TcpFlags::RST, syn_ack] {
            assert_eq!(plead(&seen(flags), LISTEN), Plea::Refuse);
            assert_eq!(plead(&seen(flags), 0), Plea::Refuse);
        }
    }
}
