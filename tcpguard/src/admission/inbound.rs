//! `--inbound`: to which ports of this host, and of those behind it, others may open connections.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, str::FromStr};

use anyhow::{Context as _, Error, Result, bail, ensure};
use aya::{
    Ebpf,
    maps::{Array, Map},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use tcpguard_common::{
    abi::{Config, Interface, PORTS},
    ports::PortSet,
};

/// How it is written.
const FORMS: &str = "give open, closed, or ports=22,80,8000-8099";

/// What arrives at an interface may open connections to these ports, which are kept in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Inbound {
    /// All of them.
    #[default]
    Open,
    /// These; if there are none, only what this side has opened goes on.
    Ports(Vec<RangeInclusive<u16>>),
}

impl Inbound {
    /// No SYN from outside opens anything.
    pub const CLOSED: Self = Self::Ports(Vec::new());

    fn set(&self) -> PortSet {
        let mut set = PortSet::EMPTY;
        match self {
            Self::Open => set.insert(0..=u16::MAX),
            Self::Ports(ranges) => ranges.iter().for_each(|range| set.insert(range.clone())),
        }
        set
    }

    fn of_ports(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        let set = Self::Ports(ranges.into_iter().collect()).set();
        Self::Ports(set.ranges().collect())
    }
}

impl fmt::Display for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = match self {
            Self::Open => return f.pad("open"),
            Self::Ports(ranges) if ranges.is_empty() => return f.pad("closed"),
            Self::Ports(ranges) => ranges,
        };
        for (at, range) in ranges.iter().enumerate() {
            let (first, last) = (range.start(), range.end());
            f.write_str(if at == 0 { "ports=" } else { "," })?;
            write!(f, "{first}")?;
            if first != last {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Inbound {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "open" => Ok(Self::Open),
            "closed" => Ok(Self::CLOSED),
            _ => {
                let ports = text.strip_prefix("ports=");
                let ports = ports.with_context(|| format!("\"{text}\" says nothing: {FORMS}"))?;
                let ranges: Result<Vec<_>> = ports.split(',').map(range).collect();
                Ok(Self::of_ports(ranges?))
            }
        }
    }
}

/// `80` or `8000-8099`.
fn range(text: &str) -> Result<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port != 0);
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => bail!("\"{text}\" is neither a port (1 to 65535) nor a range of them: {FORMS}"),
    }
}

impl<'de> Deserialize<'de> for Inbound {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written)
    }
}

/// `"closed"`, or `{ ports = [22, "8000-8099"] }`.
struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Inbound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"open\", \"closed\" or { ports = [22, \"8000-8099\"] }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Inbound, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inbound, A::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a port, or a range of them such as \"8000-8099\""
        )]
        enum Port {
            One(u16),
            Range(String),
        }
        let mut ranges = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if key != "ports" {
                return Err(de::Error::unknown_field(&key, &["ports"]));
            }
            for port in map.next_value::<Vec<Port>>()? {
                let text = match port {
                    Port::One(port) => port.to_string(),
                    Port::Range(text) => text,
                };
                ranges.push(range(&text).map_err(de::Error::custom)?);
            }
        }
        Ok(Inbound::of_ports(ranges))
    }
}

/// What holds where nothing else is said, and what is said of single interfaces by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub(crate) anywhere: Inbound,
    pub(crate) at: BTreeMap<String, Inbound>,
}

impl Rules {
    /// What holds at each of these interfaces; on loopback, where this host itself is all that
    /// arrives, only what is said of it by name.
    ///
    /// # Errors
    ///
    /// If something is said of an interface that is not among them.
    pub(crate) fn of<'a>(
        &self,
        interfaces: impl Iterator<Item = (&'a str, bool)>,
    ) -> Result<Vec<Inbound>> {
        let mut left = self.at.clone();
        let rules = interfaces.map(|(name, is_loopback)| match left.remove(name) {
            Some(inbound) => inbound,
            None if is_loopback => Inbound::Open,
            None => self.anywhere.clone(),
        });
        let rules = rules.collect();
        let strangers: Vec<_> = left.into_keys().collect();
        ensure!(
            strangers.is_empty(),
            "inbound is set for {}, which is not guarded: add it to iface, or leave its table out",
            strangers.join(", ")
        );
        Ok(rules)
    }
}

/// In words, by interface; nothing where all are open.
pub(crate) fn described(rules: &[(String, Inbound)]) -> String {
    let Some(((_, first), others)) = rules.split_first() else {
        return String::new();
    };
    if others.iter().any(|(_, rule)| rule != first) {
        let rules: Vec<_> = rules
            .iter()
            .map(|(name, rule)| format!("{name} {rule}"))
            .collect();
        return format!("; inbound: {}", rules.join(", "));
    }
    match first {
        Inbound::Open => String::new(),
        Inbound::Ports(_) => format!("; inbound {first}"),
    }
}

/// Puts these rules into the constants, one for each interface in its slot.
pub(super) fn apply(rules: &[Inbound], config: &mut Config) {
    config.inbound = 0;
    for (slot, rule) in config.interfaces.iter_mut().zip(rules) {
        slot.inbound = u16::from(*rule != Inbound::Open);
        config.inbound |= u32::from(slot.inbound);
    }
}

/// Writes them where the programs look, before those are attached.
pub(super) fn write(rules: &[Inbound], ebpf: &mut Ebpf) -> Result<()> {
    let map = ebpf.map_mut(PORTS).context("the object has no ports")?;
    let mut ports = Array::<_, PortSet>::try_from(map)?;
    for (slot, rule) in (0..).zip(rules) {
        let written = ports.set(slot, rule.set(), 0);
        written.context("failed to write to which ports connections may be opened")?;
    }
    Ok(())
}

/// Reads them from a guard at work.
pub(crate) fn read(map: &Map, config: &Config) -> Result<Vec<Inbound>> {
    let ports = Array::<_, PortSet>::try_from(map)?;
    let rule = |(slot, interface): (u32, &Interface)| {
        if interface.inbound == 0 {
            return Ok(Inbound::Open);
        }
        let set = ports.get(&slot, 0);
        let set = set.context("failed to read to which ports connections may be opened")?;
        Ok(Inbound::Ports(set.ranges().collect()))
    };
    (0..).zip(config.guarded()).map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same_in_its_shortest_form() {
        for (text, told) in [
            ("open", "open"),
            ("closed", "closed"),
            ("ports=443,22", "ports=22,443"),
            ("ports=80,81-90,8000-8099", "ports=80-90,8000-8099"),
        ] {
            let inbound: Inbound = text.parse().unwrap();
            assert_eq!(inbound.to_string(), told);
            assert_eq!(told.parse::<Inbound>().unwrap(), inbound);
        }
    }

    #[test]
    fn what_says_nothing_is_answered_with_the_forms() {
        for text in [
            "",
            "shut",
            "22",
            "ports=",
            "ports=0",
            "ports=90-80",
            "ports=1-65536",
        ] {
            let told = text.parse::<Inbound>().unwrap_err().to_string();
            assert!(told.contains("ports=22,80,8000-8099"), "{text}: {told}");
        }
    }

    #[test]
    fn what_holds_everywhere_is_told_once() {
        let of = |rules: &[(&str, Inbound)]| {
            let owned = rules
                .iter()
                .map(|(name, rule)| ((*name).to_owned(), rule.clone()));
            described(&owned.collect::<Vec<_>>())
        };
        let (open, closed) = (Inbound::Open, Inbound::CLOSED);
        assert_eq!(of(&[("wan", open.clone()), ("lan", open.clone())]), "");
        assert_eq!(
            of(&[("wan", closed.clone()), ("lan", closed.clone())]),
            "; inbound closed"
        );
        assert_eq!(
            of(&[("wan", closed), ("lan", open)]),
            "; inbound: wan closed, lan open"
        );
    }

    #[test]
    fn an_interface_has_its_own_rule_and_loopback_none_but_that() {
        let mut rules = Rules {
            anywhere: Inbound::CLOSED,
            at: BTreeMap::from([("lan".to_owned(), Inbound::Open)]),
        };
        let interfaces = [("wan", false), ("lan", false), ("lo", true)];
        let of = |rules: &Rules| rules.of(interfaces.into_iter());
        let (open, closed) = (Inbound::Open, Inbound::CLOSED);
        assert_eq!(of(&rules).unwrap(), [closed, open.clone(), open]);
        rules.at.insert("eth9".to_owned(), Inbound::CLOSED);
        let told = of(&rules).unwrap_err().to_string();
        assert!(told.contains("eth9"), "{told}");
    }
}
