//! What is enforced: for each reason, whether it drops, is only counted, or is not looked at.

use crate::{
    reason::{Group, Reason},
    verdict::Verdict,
};

/// What becomes of a segment that a check objects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Dropped and counted.
    Drop,
    /// Passed, and counted as one that would have been dropped.
    Observe,
    /// Passed as if the check did not exist.
    Off,
}

/// What the lists of prefixes say of the source of a segment; of several prefixes the longest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Standing {
    /// Nothing.
    #[default]
    Unlisted = 0,
    /// It may do what it likes.
    Trusted = 1,
    /// Nothing of it is wanted.
    Denied = 2,
}

impl Standing {
    /// As it crosses to the kernel; what no standing has is none.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Trusted,
            2 => Self::Denied,
            _ => Self::Unlisted,
        }
    }
}

/// A set of reasons, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct ReasonSet(u64);

impl ReasonSet {
    /// No reason.
    pub const EMPTY: Self = Self(0);
    /// Every reason.
    pub const ALL: Self = Self((1 << Reason::COUNT) - 1);

    /// This set and `reason`.
    #[must_use]
    pub const fn with(self, reason: Reason) -> Self {
        Self(self.0 | 1 << reason as u8)
    }

    /// This set without `reason`.
    #[must_use]
    pub const fn without(self, reason: Reason) -> Self {
        Self(self.0 & !(1 << reason as u8))
    }

    /// This set and every reason of `group`.
    #[must_use]
    pub fn with_group(self, group: Group) -> Self {
        Reason::ALL
            .into_iter()
            .filter(|reason| reason.group() == group)
            .fold(self, Self::with)
    }

    /// Whether `reason` is in the set.
    #[inline(always)]
    #[must_use]
    pub const fn contains(self, reason: Reason) -> bool {
        (self.0 >> reason as u8) & 1 != 0
    }
}

/// What every check does. Part of the ABI: the kernel programs read it from their constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Policy {
    /// Reasons that drop.
    pub drop: ReasonSet,
    /// Reasons that are counted as `would_drop`; what is in neither set is off.
    pub observe: ReasonSet,
}

impl Policy {
    /// Every check drops: the default.
    pub const ENFORCE: Self = Self {
        drop: ReasonSet::ALL,
        observe: ReasonSet::EMPTY,
    };
    /// Every check only counts.
    pub const OBSERVE: Self = Self {
        drop: ReasonSet::EMPTY,
        observe: ReasonSet::ALL,
    };

    /// `reasons` drop and all others only count.
    #[must_use]
    pub const fn enforce_only(reasons: ReasonSet) -> Self {
        Self {
            drop: reasons,
            observe: ReasonSet(ReasonSet::ALL.0 & !reasons.0),
        }
    }

    /// What is done with a segment that is objected to for `reason`.
    #[inline(always)]
    #[must_use]
    pub const fn action(&self, reason: Reason) -> Action {
        if self.drop.contains(reason) {
            Action::Drop
        } else if self.observe.contains(reason) {
            Action::Observe
        } else {
            Action::Off
        }
    }

    /// What becomes of a frame whose verdict would be `verdict` if every check dropped.
    #[inline(always)]
    pub const fn apply(&self, verdict: Verdict) -> Verdict {
        match verdict.reason() {
            None => verdict,
            Some(reason) => match self.action(reason) {
                Action::Drop => Verdict::dropped(reason),
                Action::Observe => Verdict::would_drop(reason),
                Action::Off => Verdict::ACCEPT,
            },
        }
    }

    /// What it makes of the segments of a source: of one that is trusted, nothing is dropped.
    #[inline(always)]
    #[must_use]
    pub const fn toward(self, standing: Standing) -> Self {
        match standing {
            Standing::Trusted => self.observed(),
            Standing::Unlisted | Standing::Denied => self,
        }
    }

    /// The same checks, none of which drops: for the egress hook, which observes.
    #[inline(always)]
    #[must_use]
    pub const fn observed(self) -> Self {
        Self {
            drop: ReasonSet::EMPTY,
            observe: ReasonSet(self.drop.0 | self.observe.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enforcing_one_group_observes_the_others() {
        let policy = Policy::enforce_only(ReasonSet::EMPTY.with_group(Group::Flags));
        for reason in Reason::ALL {
            let expected = if reason.group() == Group::Flags {
                Action::Drop
            } else {
                Action::Observe
            };
            assert_eq!(policy.action(reason), expected, "{reason}");
        }
    }

    #[test]
    fn a_reason_in_neither_set_is_off() {
        let policy = Policy {
            drop: ReasonSet::ALL.without(Reason::PortZero),
            observe: ReasonSet::EMPTY,
        };
        let port_zero = Verdict::dropped(Reason::PortZero);
        let flags_null = Verdict::dropped(Reason::FlagsNull);
        assert_eq!(policy.apply(port_zero), Verdict::ACCEPT);
        assert_eq!(policy.apply(flags_null), flags_null);
        assert_eq!(policy.apply(Verdict::IGNORE), Verdict::IGNORE);
    }

    #[test]
    fn of_who_is_trusted_nothing_is_dropped() {
        let verdict = Verdict::dropped(Reason::FlagsNull);
        let toward = |number| {
            let standing = Standing::from_number(number);
            Policy::ENFORCE.toward(standing).apply(verdict)
        };
        assert_eq!(toward(Standing::Unlisted as u32), verdict);
        assert_eq!(toward(Standing::Denied as u32), verdict);
        let observed = Verdict::would_drop(Reason::FlagsNull);
        assert_eq!(toward(Standing::Trusted as u32), observed);
    }

    #[test]
    fn observed_never_drops_and_keeps_what_is_off_off() {
        let policy = Policy {
            drop: ReasonSet::ALL.without(Reason::PortZero),
            observe: ReasonSet::EMPTY,
        }
        .observed();
        assert_eq!(policy.action(Reason::FlagsNull), Action::Observe);
        assert_eq!(policy.action(Reason::PortZero), Action::Off);
    }
}
