//! What is decided about a frame.
#![expect(
    clippy::cast_possible_truncation,
    reason = "all verdicts together are fewer than 256"
)]

use core::{fmt, num::NonZeroU8};

use crate::reason::Reason;

/// Why a frame passes unjudged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Bypass {
    /// Neither IPv4 nor IPv6: ARP, LLDP, a frame without `EtherType`.
    NotIp = 0,
    /// IP with another payload than TCP.
    NotTcp = 1,
    /// A fragment behind the first: it carries no TCP header. The first one was judged.
    Fragment = 2,
    /// More VLAN tags than are looked behind.
    VlanDepth = 3,
    /// More IPv6 extension headers than are walked.
    ExtensionChain = 4,
    /// The frame goes on where its headers cannot be read: a driver put them into a further buffer,
    /// or a capture cut them off.
    Unreadable = 5,
}

impl Bypass {
    /// Every cause, by number.
    pub const ALL: [Self; 6] = [
        Self::NotIp,
        Self::NotTcp,
        Self::Fragment,
        Self::VlanDepth,
        Self::ExtensionChain,
        Self::Unreadable,
    ];
    /// How many causes there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The name that is the same everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotIp => "not-ip",
            Self::NotTcp => "not-tcp",
            Self::Fragment => "fragment",
            Self::VlanDepth => "vlan-depth",
            Self::ExtensionChain => "extension-chain",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The fate of a frame, with its cause. Only [`VerdictKind::Drop`] stops it.
///
/// One octet that is never zero, and the index of the cell that it is counted in. An enum with
/// fields would say the same, but LLVM leaves the fields of other variants unset where paths meet,
/// and the verifier refuses to see them spilled (`!read_ok`; LLVM 22, Linux 6.18).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
#[must_use]
pub struct Verdict(NonZeroU8);

/// What kind of [`Verdict`] it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerdictKind {
    /// Passes and is remembered.
    Accept,
    /// Passes and changes nothing: late duplicates, probes, challenge ACKs.
    Ignore,
    /// Stopped, for a [`Reason`].
    Drop,
    /// Passes unjudged, for a [`Bypass`].
    Bypass,
    /// Passes because the check only observes; enforcing would have stopped it, for a [`Reason`].
    WouldDrop,
}

impl VerdictKind {
    /// Every kind, in the order in which they are printed.
    pub const ALL: [Self; 5] = [
        Self::Accept,
        Self::Ignore,
        Self::Drop,
        Self::Bypass,
        Self::WouldDrop,
    ];

    /// The name that is the same everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Ignore => "ignore",
            Self::Drop => "drop",
            Self::Bypass => "bypass",
            Self::WouldDrop => "would_drop",
        }
    }
}

// The ranges of the number: one of accept, one of ignore, then one for each cause. What is stopped
// comes last, so that one comparison tells.
const ACCEPT: u8 = 1;
const IGNORE: u8 = 2;
const BYPASS: u8 = 3;
const WOULD_DROP: u8 = BYPASS + Bypass::COUNT as u8;
const DROP: u8 = WOULD_DROP + Reason::COUNT as u8;
const END: u8 = DROP + Reason::COUNT as u8;

impl Verdict {
    /// Passes and is remembered.
    pub const ACCEPT: Self = Self::numbered(ACCEPT);
    /// Passes and changes nothing.
    pub const IGNORE: Self = Self::numbered(IGNORE);
    /// Cells that frames are counted in, by [`Verdict::cell`]. The first stays empty.
    pub const CELLS: usize = END as usize;

    /// Passes unjudged.
    #[inline(always)]
    pub const fn bypass(cause: Bypass) -> Self {
        Self::numbered(BYPASS + cause as u8)
    }

    /// Stopped.
    #[inline(always)]
    pub const fn dropped(reason: Reason) -> Self {
        Self::numbered(DROP + reason as u8)
    }

    /// Passed, where enforcing would have stopped it.
    #[inline(always)]
    pub const fn would_drop(reason: Reason) -> Self {
        Self::numbered(WOULD_DROP + reason as u8)
    }

    /// The verdict that is counted in `cell`.
    #[must_use]
    pub fn from_cell(cell: usize) -> Option<Self> {
        let number = u8::try_from(cell).ok().filter(|number| *number < END)?;
        NonZeroU8::new(number).map(Self)
    }

    /// Where a frame with this verdict is counted, below [`Verdict::CELLS`].
    #[inline(always)]
    #[must_use]
    pub const fn cell(self) -> usize {
        self.0.get() as usize
    }

    /// The verdict without its cause.
    #[must_use]
    pub const fn kind(self) -> VerdictKind {
        match self.0.get() {
            ..=ACCEPT => VerdictKind::Accept,
            IGNORE => VerdictKind::Ignore,
            BYPASS..WOULD_DROP => VerdictKind::Bypass,
            WOULD_DROP..DROP => VerdictKind::WouldDrop,
            DROP.. => VerdictKind::Drop,
        }
    }

    /// Whether the frame is stopped.
    #[inline(always)]
    #[must_use]
    pub const fn is_drop(self) -> bool {
        self.0.get() >= DROP
    }

    /// Why it is stopped or would be; `None` of any other kind.
    #[inline(always)]
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        match self.0.get() {
            number @ DROP.. => Reason::from_number(number - DROP),
            number @ WOULD_DROP.. => Reason::from_number(number - WOULD_DROP),
            ..WOULD_DROP => None,
        }
    }

    /// The name of the cause, `-` if there is none.
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self.0.get() {
            number @ BYPASS..WOULD_DROP => Bypass::ALL
                .get(usize::from(number - BYPASS))
                .map_or("-", |cause| cause.as_str()),
            _ => self.reason().map_or("-", Reason::as_str),
        }
    }

    #[inline(always)]
    const fn numbered(number: u8) -> Self {
        match NonZeroU8::new(number) {
            Some(number) => Self(number),
            None => Self(NonZeroU8::MIN),
        }
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.kind().as_str(), self.cause())
    }
}

const _: () = assert!(BYPASS as usize + Bypass::COUNT + 2 * Reason::COUNT == END as usize);
const _: () = assert!(
    size_of::<Result<(), Verdict>>() == 1,
    "a register that is always set"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_a_cell_of_its_own_and_comes_back_from_it() {
        let mut verdicts = vec![Verdict::ACCEPT, Verdict::IGNORE];
        verdicts.extend(Bypass::ALL.map(Verdict::bypass));
        verdicts.extend(Reason::ALL.map(Verdict::would_drop));
        verdicts.extend(Reason::ALL.map(Verdict::dropped));
        for (index, verdict) in verdicts.iter().enumerate() {
            assert_eq!(verdict.cell(), index + 1);
            assert_eq!(Verdict::from_cell(index + 1), Some(*verdict));
        }
        assert_eq!(verdicts.len() + 1, Verdict::CELLS);
        assert_eq!(Verdict::from_cell(0), None);
        assert_eq!(Verdict::from_cell(Verdict::CELLS), None);
    }

    #[test]
    fn kind_and_cause_are_those_it_was_made_with() {
        for cause in Bypass::ALL {
            let verdict = Verdict::bypass(cause);
            assert_eq!(
                (verdict.kind(), verdict.cause()),
                (VerdictKind::Bypass, cause.as_str())
            );
            assert_eq!(verdict.reason(), None);
        }
        for reason in Reason::ALL {
            for (verdict, kind) in [
                (Verdict::dropped(reason), VerdictKind::Drop),
                (Verdict::would_drop(reason), VerdictKind::WouldDrop),
            ] {
                assert_eq!((verdict.kind(), verdict.reason()), (kind, Some(reason)));
                assert_eq!(verdict.cause(), reason.as_str());
                assert_eq!(verdict.is_drop(), kind == VerdictKind::Drop);
            }
        }
        assert_eq!(Verdict::ACCEPT.cause(), "-");
        assert_eq!(Verdict::IGNORE.kind(), VerdictKind::Ignore);
    }
}
