//! `--inbound`: to which ports of this host, and of those behind it, others may open connections.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use anyhow::{Context as _, Error, Result, bail};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use tcpguard_common::ports::PortSet;

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

    pub(super) fn set(&self) -> PortSet {
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
}
