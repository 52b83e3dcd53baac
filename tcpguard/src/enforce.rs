//! `--enforce LIST`: which reasons drop.

use std::str::FromStr;

use anyhow::{Result, bail};
use tcpguard_common::{
    policy::{Policy, ReasonSet},
    reason::{Group, Reason},
};

use crate::config::File;

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

/// What the guard enforces, by the flags of the command line, or where they say nothing by the file.
#[must_use]
pub fn policy(observe: bool, enforce: Option<ReasonList>, file: &File) -> Policy {
    let (observe, enforce) = if observe || enforce.is_some() {
        (observe, enforce)
    } else {
        (file.observe == Some(true), file.enforce)
    };
    match enforce {
        _ if observe => Policy::OBSERVE,
        Some(ReasonList(reasons)) => Policy::enforce_only(reasons),
        None => Policy::ENFORCE,
    }
}

/// What drops, in words.
#[must_use]
pub fn described(drop: ReasonSet) -> String {
    match names(drop) {
        _ if drop == ReasonSet::ALL => "drops all that is objected to".to_owned(),
        names if names.is_empty() => "drops nothing (--observe)".to_owned(),
        names => format!("drops {}", names.join(", ")),
    }
}

/// Reasons by the names of their groups where those are whole, else by their own.
fn names(drop: ReasonSet) -> Vec<&'static str> {
    let mut names = Vec::new();
    for group in Group::ALL {
        let all = Reason::ALL.into_iter().filter(|it| it.group() == group);
        let of_group: Vec<_> = all.clone().filter(|it| drop.contains(*it)).collect();
        if of_group.len() == all.count() {
            names.push(group.as_str());
        } else {
            names.extend(of_group.into_iter().map(Reason::as_str));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use tcpguard_common::policy::Action;

    use super::*;

    #[test]
    fn groups_and_reasons_may_be_mixed() {
        let list: ReasonList = "window, flags-null".parse().unwrap();
        let policy = policy(false, Some(list), &File::default());
        assert_eq!(policy.action(Reason::SeqAboveWindow), Action::Drop);
        assert_eq!(policy.action(Reason::FlagsNull), Action::Drop);
        assert_eq!(policy.action(Reason::FlagsSynFin), Action::Observe);
    }

    #[test]
    fn a_flag_goes_before_all_that_the_file_says_of_it() {
        let list: ReasonList = "window".parse().unwrap();
        let observing = File {
            observe: Some(true),
            ..File::default()
        };
        let dropping = File {
            enforce: Some(list),
            ..File::default()
        };
        assert_eq!(policy(false, None, &observing), Policy::OBSERVE);
        assert_eq!(policy(true, None, &dropping), Policy::OBSERVE);
        let window = Policy::enforce_only(list.0);
        assert_eq!(policy(false, None, &dropping), window);
        assert_eq!(policy(false, Some(list), &observing), window);
        assert_eq!(policy(false, None, &File::default()), Policy::ENFORCE);
    }

    #[test]
    fn what_drops_is_told_by_whole_groups_and_single_reasons() {
        assert_eq!(described(ReasonSet::EMPTY), "drops nothing (--observe)");
        assert_eq!(described(ReasonSet::ALL), "drops all that is objected to");
        let some: ReasonList = "window,flags-null".parse().unwrap();
        assert_eq!(described(some.0), "drops flags-null, window");
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
