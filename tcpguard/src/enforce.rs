//! `--enforce LIST`: which reasons drop.

use std::str::FromStr;

use anyhow::{Result, bail};
use tcpguard_common::{
    policy::{Policy, ReasonSet},
    reason::{Group, Reason},
};

/// Reasons by their own names or by their groups', separated by commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonList(pub ReasonSet);

impl FromStr for ReasonList {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut set = ReasonSet::EMPTY;
        for name in text.split(',').map(str::trim) {
            let group = Group::ALL.into_iter().find(|group| group.as_str() == name);
            set = match (group, Reason::from_name(name)) {
                (Some(group), _) => set.with_group(group),
                (None, Some(reason)) => set.with(reason),
                (None, None) => bail!(unknown(name)),
            };
        }
        Ok(Self(set))
    }
}

fn unknown(name: &str) -> String {
    let groups = Group::ALL.map(Group::as_str).join(", ");
    let reasons = Reason::ALL.map(Reason::as_str).join(", ");
    format!("no group or reason \"{name}\"\n  groups: {groups}\n  reasons: {reasons}")
}

/// What the guard enforces, by the flags of the command line.
#[must_use]
pub fn policy(observe: bool, enforce: Option<ReasonList>) -> Policy {
    match enforce {
        _ if observe => Policy::OBSERVE,
        Some(ReasonList(reasons)) => Policy::enforce_only(reasons),
        None => Policy::ENFORCE,
    }
}

#[cfg(test)]
mod tests {
    use tcpguard_common::policy::Action;

    use super::*;

    #[test]
    fn groups_and_reasons_may_be_mixed() {
        let list: ReasonList = "window, flags-null".parse().unwrap();
        let policy = policy(false, Some(list));
        assert_eq!(policy.action(Reason::SeqAboveWindow), Action::Drop);
        assert_eq!(policy.action(Reason::FlagsNull), Action::Drop);
        assert_eq!(policy.action(Reason::FlagsSynFin), Action::Observe);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = "flags,nul".parse::<ReasonList>().unwrap_err().to_string();
        assert!(error.contains("\"nul\""), "{error}");
        assert!(
            error.contains("handshake") && error.contains("flags-null"),
            "{error}"
        );
    }
}
