//! Why a segment is dropped: the one list that kernel, command line, JSON, metrics and docs share.

use core::fmt;

/// The checks that are switched together (`--enforce flags,window`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// What needs no memory: broken headers and flag sets that no sane stack sends.
    Flags,
    /// The three-way handshake.
    Handshake,
    /// Whether a segment belongs to a connection at all.
    State,
    /// Sequence and acknowledgment arithmetic.
    Window,
}

impl Group {
    /// Every group, in the order of the pipeline.
    pub const ALL: [Self; 4] = [Self::Flags, Self::Handshake, Self::State, Self::Window];

    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flags => "flags",
            Self::Handshake => "handshake",
            Self::State => "state",
            Self::Window => "window",
        }
    }
}

/// One line a reason: name, group, what it means to an operator, the clause behind it.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident = $number:literal, $name:literal, $group:ident, $clause:literal;)+) => {
        /// Why a segment is dropped, or would be. Numbers are part of the ABI and never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])+ $reason = $number,)+
        }

        impl Reason {
            /// Every reason, in the order of the pipeline.
            pub const ALL: [Self; [$($number),+].len()] = [$(Self::$reason),+];

            /// The name that is the same everywhere.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$reason => $name,)+ }
            }

            /// The checks it is switched with.
            #[must_use]
            pub const fn group(self) -> Group {
                match self { $(Self::$reason => Group::$group,)+ }
            }

            /// What it means, in a sentence for an operator.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$reason => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// The clause or kernel source that the drop stands on.
            #[must_use]
            pub const fn clause(self) -> &'static str {
                match self { $(Self::$reason => $clause,)+ }
            }

            /// The reason with this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$reason),)+ _ => None }
            }
        }
    };
}

reasons! {
    /// The frame or the IP payload ends inside a header.
    ShortHeader = 0, "short-header", Flags, "RFC 791 section 3.1, RFC 9293 section 3.1";
    /// IHL or data offset is below five words, or the header would reach behind its packet.
    BadOffset = 1, "bad-offset", Flags, "RFC 791 section 3.1, RFC 9293 section 3.1 (Data Offset)";
    /// The IP length is shorter than the headers or longer than the frame.
    BadLength = 2, "bad-length", Flags, "RFC 791 section 3.1 (Total Length), RFC 8200 section 3";
    /// A first fragment without the whole TCP header, or a fragment that would overwrite it.
    TinyFragment = 3, "tiny-fragment", Flags, "RFC 1858 section 3, RFC 3128";
    /// Source or destination port is zero, which no socket can have.
    PortZero = 4, "port-zero", Flags, "RFC 6335 section 6";
    /// None of SYN, FIN, RST, ACK and URG is set: a NULL scan.
    FlagsNull = 5, "flags-null", Flags, "RFC 9293 section 3.10.7.4 (no ACK bit: drop)";
    /// SYN and FIN together: open and close at once.
    FlagsSynFin = 6, "flags-syn-fin", Flags, "RFC 6247 (T/TCP, its only sender, is historic); the kernel's tcp_valid_flags";
    /// SYN and RST together: open and reset at once.
    FlagsSynRst = 7, "flags-syn-rst", Flags, "RFC 9293 section 3.5.2 (a reset is RST or RST,ACK)";
    /// FIN and RST together: close and reset at once.
    FlagsFinRst = 8, "flags-fin-rst", Flags, "RFC 9293 section 3.5.2 (a reset is RST or RST,ACK)";
    /// FIN and URG without ACK, with or without PSH: a Christmas-tree scan.
    FlagsXmas = 9, "flags-xmas", Flags, "RFC 9293 section 3.10.7.4 (no ACK bit: drop)";
    /// FIN without ACK: every segment after the SYN carries ACK.
    FlagsFinNoAck = 10, "flags-fin-no-ack", Flags, "RFC 9293 section 3.10.7.4 (no ACK bit: drop)";
    /// URG without ACK, SYN or RST.
    FlagsNoAck = 11, "flags-no-ack", Flags, "RFC 9293 section 3.10.7.4 (no ACK bit: drop)";
    /// Any other set outside the allow-list: URG on SYN+ACK or on RST.
    FlagsOther = 12, "flags-other", Flags, "the kernel's tcp_valid_flags (nf_conntrack_proto_tcp.c)";
    /// The SYN+ACK does not acknowledge the SYN's sequence number plus one.
    SynackBadAck = 13, "synack-bad-ack", Handshake, "RFC 9293 section 3.10.7.3 (SEG.ACK in SYN-SENT)";
    /// The third segment of a handshake does not acknowledge the SYN+ACK's sequence number plus one.
    HandshakeBadAck = 14, "handshake-bad-ack", Handshake, "RFC 9293 section 3.10.7.4 (SYN-RECEIVED, ACK bit)";
    /// A SYN+ACK that answers no SYN.
    SynackUnsolicited = 15, "synack-unsolicited", Handshake, "RFC 9293 section 3.10.7.1";
    /// A segment that belongs to no connection.
    NoConnection = 16, "no-connection", State, "RFC 9293 section 3.10.7.1 (CLOSED)";
    /// A reset for a connection that does not exist.
    RstNoConnection = 17, "rst-no-connection", State, "RFC 9293 section 3.10.7.1 (CLOSED)";
    /// A segment for a connection that has ended.
    AfterClose = 18, "after-close", State, "RFC 9293 section 3.10.7.1 (CLOSED)";
    /// Sequence numbers beyond the window that the receiver offered.
    SeqAboveWindow = 19, "seq-above-window", Window, "RFC 9293 section 3.4 (segment acceptability)";
    /// Sequence numbers further back than any retransmission.
    SeqBelowWindow = 20, "seq-below-window", Window, "RFC 9293 section 3.4 (segment acceptability)";
    /// An acknowledgment of octets that were never sent.
    AckOfUnsent = 21, "ack-of-unsent", Window, "RFC 9293 section 3.10.7.4 (SEG.ACK > SND.NXT)";
    /// An acknowledgment further back than any window.
    AckTooOld = 22, "ack-too-old", Window, "RFC 5961 section 5";
    /// A reset outside of the window: a blind reset attack.
    RstOutOfWindow = 23, "rst-out-of-window", Window, "RFC 5961 section 3";
    /// A SYN from outside where the inbound policy admits none.
    InboundClosed = 24, "inbound-closed", State, "policy: --inbound";
    /// The source is on the list of denied prefixes.
    Denied = 25, "denied", State, "policy: denied prefixes";
    /// A SYN that would open more connections than may be opened in a second.
    RateLimited = 26, "rate-limited", State, "policy: --syn-limit";
    /// The acknowledgment carries no cookie of ours while cookies are sent.
    CookieInvalid = 27, "cookie-invalid", Handshake, "RFC 4987 section 3.6 (SYN cookies)";
}

impl Reason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The reason with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_index_so_counters_need_no_table() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert_eq!(Reason::from_number(reason as u8), Some(reason));
            assert_eq!(Reason::from_name(reason.as_str()), Some(reason));
        }
        assert_eq!(
            Reason::from_number(u8::try_from(Reason::COUNT).unwrap()),
            None
        );
    }

    #[test]
    fn names_are_kebab_case_and_unlike_any_group() {
        for reason in Reason::ALL {
            let name = reason.as_str();
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{name}"
            );
            assert!(
                Group::ALL.into_iter().all(|group| group.as_str() != name),
                "{name}"
            );
            assert!(reason.meaning().ends_with('.'), "{name}");
        }
    }
}
