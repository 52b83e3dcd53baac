//! What segments that are objected to look like, in the words of those who send and see them.

use tcpguard_common::reason::Reason;

use super::{Subject, suspects::Spread};

/// From so many a second on it is a flood, where ports do not tell: a scanner that has to wait for answers
/// which never come is slower.
const FLOOD: u64 = 1_000;

/// What a subject looks like at a rate, with its article.
pub(super) const fn likeness(subject: Subject, rate: u64, spread: &Spread) -> &'static str {
    let (scan, flood) = match subject {
        Subject::Reason(reason) => of_reason(reason),
        Subject::HalfOpen => ("a SYN scan (nmap -sS)", "a SYN flood"),
    };
    let is_scan = match spread.is_scan() {
        Some(is_scan) => is_scan,
        None => rate < FLOOD,
    };
    if is_scan { scan } else { flood }
}

/// As a scan or probe, and as a flood.
const fn of_reason(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::ShortHeader | Reason::BadOffset | Reason::BadLength => (
            "probes with malformed headers",
            "a flood of malformed headers",
        ),
        Reason::TinyFragment => (
            "a tiny-fragment attack (RFC 1858)",
            "a flood of tiny fragments",
        ),
        Reason::PortZero => ("probes of port 0", "a flood from port 0"),
        Reason::FlagsNull => ("a NULL scan (nmap -sN)", "a NULL flood"),
        Reason::FlagsSynFin => ("a SYN+FIN probe", "a SYN+FIN flood"),
        Reason::FlagsSynRst => ("a SYN+RST probe", "a SYN+RST flood"),
        Reason::FlagsFinRst => ("a FIN+RST probe", "a FIN+RST flood"),
        Reason::FlagsXmas => ("an XMAS scan (nmap -sX)", "an XMAS flood"),
        Reason::FlagsFinNoAck => ("a FIN scan (nmap -sF)", "a FIN flood"),
        Reason::FlagsNoAck | Reason::FlagsOther => (
            "a scan by odd flags (nmap --scanflags)",
            "a flood with odd flags",
        ),
        Reason::SynackBadAck | Reason::SynackUnsolicited => (
            "backscatter of a SYN flood elsewhere",
            "a SYN+ACK reflection",
        ),
        Reason::HandshakeBadAck => ("a blind handshake", "a flood of forged handshakes"),
        Reason::NoConnection => ("an ACK scan (nmap -sA)", "an ACK flood"),
        Reason::RstNoConnection => ("backscatter of resets", "an RST flood"),
        Reason::AfterClose => (
            "segments that outlive their connections",
            "a flood on closed connections",
        ),
        Reason::SeqAboveWindow | Reason::AckOfUnsent => {
            ("a blind data injection", "a flood of blind data injections")
        }
        Reason::SeqBelowWindow | Reason::AckTooOld => {
            ("a replay of old segments", "a flood of old segments")
        }
        Reason::RstOutOfWindow => ("a blind reset attack", "a flood of blind resets"),
        Reason::InboundClosed => (
            "a scan of closed ports (nmap -sS)",
            "a SYN flood at closed ports",
        ),
        Reason::Denied => ("traffic of denied sources", "a flood from denied sources"),
        Reason::RateLimited => ("a burst of SYNs", "a SYN flood"),
        Reason::CookieInvalid => ("guesses at SYN cookies", "an ACK flood at SYN cookies"),
    }
}
