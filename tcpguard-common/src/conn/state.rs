//! The states of a connection, in the spelling of RFC 9293.

/// State of a connection between two peers that are heard late, twice or not at all.
///
/// It describes the connection, never an endpoint: the names are conntrack's, and each line says
/// what both peers are in then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The original side sent its SYN: SYN-SENT and LISTEN.
    SynSent,
    /// Both sent their SYN first: SYN-SENT and SYN-SENT, simultaneous open.
    SynSent2,
    /// The reply side answered SYN+ACK: SYN-SENT and SYN-RECEIVED.
    SynReceived,
    /// The handshake is complete: ESTABLISHED and ESTABLISHED.
    Established,
    /// One side sent FIN: FIN-WAIT-1 and ESTABLISHED.
    FinWait,
    /// One side's FIN is acknowledged: FIN-WAIT-2 and CLOSE-WAIT.
    CloseWait,
    /// Both sent FIN: FIN-WAIT-2 or CLOSING, and LAST-ACK.
    LastAck,
    /// Both FINs are acknowledged: TIME-WAIT and CLOSED.
    TimeWait,
    /// A valid RST: CLOSED and CLOSED.
    Closed,
}

impl State {
    /// Every state, in the order of a connection's life.
    pub const ALL: [Self; 9] = [
        Self::SynSent,
        Self::SynSent2,
        Self::SynReceived,
        Self::Established,
        Self::FinWait,
        Self::CloseWait,
        Self::LastAck,
        Self::TimeWait,
        Self::Closed,
    ];

    /// The name that is the same everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SynSent => "SYN-SENT",
            Self::SynSent2 => "SYN-SENT2",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait => "FIN-WAIT",
            Self::CloseWait => "CLOSE-WAIT",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
            Self::Closed => "CLOSED",
        }
    }
}
