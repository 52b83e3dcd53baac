//! Where a segment does not add up, in a word.

use std::fmt;

/// Where a segment does not add up, and by how many octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A SYN that opens the connection anew.
    Reopened,
    /// A SYN with another number than the one before.
    OtherIsn,
    /// Octets before this segment were not seen.
    Gap(u32),
    /// It brings octets of a gap: sent again, or overtaken on the way.
    FillsGap,
    /// It has been sent before.
    Retransmission,
    /// Its first octets have been sent before.
    Overlap(u32),
    /// The octet before the next one, to be answered with an acknowledgment.
    KeepAlive,
    /// It carries nothing, and a number from before.
    SeqBehind(u32),
    /// Octets behind the FIN of its own side.
    BeyondFin,
    /// It acknowledges octets that were not sent.
    AckOfUnsent(u32),
    /// It acknowledges less than was acknowledged before.
    AckBehind(u32),
    /// A reset with another number than the one that comes next.
    Inexact,
}

impl Mark {
    /// The word for it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Reopened => "reopened",
            Self::OtherIsn => "other-isn",
            Self::Gap(_) => "gap",
            Self::FillsGap => "fills-gap",
            Self::Retransmission => "retransmission",
            Self::Overlap(_) => "overlap",
            Self::KeepAlive => "keep-alive",
            Self::SeqBehind(_) => "seq-behind",
            Self::BeyondFin => "beyond-fin",
            Self::AckOfUnsent(_) => "ack-of-unsent",
            Self::AckBehind(_) => "ack-behind",
            Self::Inexact => "inexact",
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Gap(octets)
            | Self::Overlap(octets)
            | Self::SeqBehind(octets)
            | Self::AckOfUnsent(octets)
            | Self::AckBehind(octets) => write!(f, " {octets}"),
            Self::Reopened
            | Self::OtherIsn
            | Self::FillsGap
            | Self::Retransmission
            | Self::KeepAlive
            | Self::BeyondFin
            | Self::Inexact => Ok(()),
        }
    }
}
