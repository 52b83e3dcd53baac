//! From which rate on there is an alarm, as the table `[alert]` of a configuration file says it.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};
use tcpguard_common::reason::Group;

use super::Subject;

/// What a file says, by the names of subjects and groups, or `default` for all others.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Thresholds(BTreeMap<Name, Threshold>);

const DEFAULT: &str = "default";

impl Thresholds {
    /// How many a second are an alarm; `None` if none are.
    pub(super) fn of(&self, subject: Subject) -> Option<u64> {
        let group = subject.group().map(Group::as_str);
        let names = [Some(subject.as_str()), group, Some(DEFAULT)];
        let mut said = names.into_iter().flatten();
        let said = said.find_map(|name| self.0.get(&Name(name)));
        said.map_or(Some(usual(subject)), |threshold| threshold.0)
    }
}

/// Where the file says nothing.
const fn usual(subject: Subject) -> u64 {
    match subject.group() {
        // No sane stack sends such a segment, and a slow scan sends more.
        Some(Group::Flags) => 10,
        // Lost and late segments look like these, now and then.
        Some(Group::Handshake | Group::Window) => 50,
        // So does what is left of connections whose host has gone.
        Some(Group::State) => 100,
        // Clients that leave at once, and ports that nobody listens at.
        None => 200,
    }
}

/// So many a second, or never.
#[derive(Clone, Copy, Debug)]
struct Threshold(Option<u64>);

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ThresholdVisitor)
    }
}

struct ThresholdVisitor;

impl Visitor<'_> for ThresholdVisitor {
    type Value = Threshold;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("how many a second, from 1 on, or \"off\"")
    }

    fn visit_i64<E: Error>(self, rate: i64) -> Result<Threshold, E> {
        match u64::try_from(rate) {
            Ok(rate @ 1..) => Ok(Threshold(Some(rate))),
            _ => Err(E::invalid_value(Unexpected::Signed(rate), &self)),
        }
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Threshold, E> {
        if word == "off" {
            Ok(Threshold(None))
        } else {
            Err(E::invalid_value(Unexpected::Str(word), &self))
        }
    }
}

/// One of the names that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name(&'static str);

static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let groups = Group::ALL.into_iter().map(Group::as_str);
    let subjects = Subject::all().map(Subject::as_str);
    [DEFAULT]
        .into_iter()
        .chain(groups)
        .chain(subjects)
        .collect()
});

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let given = String::deserialize(from)?;
        let known = NAMES.iter().find(|name| **name == given);
        let name = known.ok_or_else(|| D::Error::unknown_field(&given, &NAMES))?;
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests {
    use tcpguard_common::reason::Reason;

    use super::*;

    fn thresholds(text: &str) -> Thresholds {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_closest_name_counts() {
        let said = thresholds("default = 7\nflags = 8\nflags-null = 9\nhalf-open = \"off\"");
        let of = |reason| said.of(Subject::Reason(reason));
        assert_eq!(of(Reason::FlagsNull), Some(9));
        assert_eq!(of(Reason::FlagsXmas), Some(8));
        assert_eq!(of(Reason::NoConnection), Some(7));
        assert_eq!(said.of(Subject::HalfOpen), None);
    }

    #[test]
    fn where_nothing_is_said_every_subject_has_a_threshold() {
        let said = Thresholds::default();
        assert!(Subject::all().all(|subject| said.of(subject) > Some(0)));
        let none = thresholds("default = \"off\"");
        assert!(Subject::all().all(|subject| none.of(subject).is_none()));
    }
}
