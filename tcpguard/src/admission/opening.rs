//! What arrives at an interface may open connections: to which ports, and how many.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf,
    maps::{Array, Map},
};
use serde::Deserialize;
use tcpguard_common::{
    abi::{Config, Interface, LIMITS, PORTS},
    limit::SynLimit,
    ports::PortSet,
};

use super::{inbound::Inbound, rate::Rate};

/// What may be opened; by default everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// To which ports.
    pub inbound: Inbound,
    /// How many connections, by all sources together.
    pub limit: Rate,
    /// How many by each source.
    pub source_limit: Rate,
}

/// What is said of that, by options or in a file; where nothing is said, it is as before.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Said {
    /// To which ports.
    pub inbound: Option<Inbound>,
    /// How many connections, by all sources together.
    pub syn_limit: Option<Rate>,
    /// How many by each source.
    pub syn_limit_source: Option<Rate>,
}

impl Said {
    /// Whether nothing is.
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// This, and where it says nothing, the other.
    pub(crate) fn or(&self, other: &Self) -> Self {
        Self {
            inbound: self.inbound.as_ref().or(other.inbound.as_ref()).cloned(),
            syn_limit: self.syn_limit.or(other.syn_limit),
            syn_limit_source: self.syn_limit_source.or(other.syn_limit_source),
        }
    }

    /// What it makes of what was before.
    fn over(&self, before: Opening) -> Opening {
        Opening {
            inbound: self.inbound.clone().unwrap_or(before.inbound),
            limit: self.syn_limit.unwrap_or(before.limit),
            source_limit: self.syn_limit_source.unwrap_or(before.source_limit),
        }
    }
}

/// What is said everywhere, and of single interfaces by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub(crate) anywhere: Said,
    pub(crate) at: BTreeMap<String, Said>,
}

/// An interface that rules are made for.
pub(crate) struct Place<'a> {
    pub(crate) name: &'a str,
    pub(crate) is_loopback: bool,
    /// What holds there where nothing is said.
    pub(crate) before: Opening,
}

impl Rules {
    /// What holds at each of these interfaces; on loopback, where this host itself is all that
    /// arrives, only what is said of it by name.
    ///
    /// # Errors
    ///
    /// If something is said of an interface that is not among them.
    pub(crate) fn of<'a>(&self, places: impl Iterator<Item = Place<'a>>) -> Result<Vec<Opening>> {
        let mut left = self.at.clone();
        let rules = places.map(|place| {
            let mut rule = place.before;
            if !place.is_loopback {
                rule = self.anywhere.over(rule);
            }
            match left.remove(place.name) {
                Some(said) => said.over(rule),
                None => rule,
            }
        });
        let rules = rules.collect();
        let strangers: Vec<_> = left.into_keys().collect();
        ensure!(
            strangers.is_empty(),
            "the file has a table for {}, which is not guarded: add it to iface, or leave its table out",
            strangers.join(", ")
        );
        Ok(rules)
    }

    /// What they come to by name, whatever interfaces there are, and elsewhere.
    pub(crate) fn named(&self) -> Vec<(String, Opening)> {
        let anywhere = self.anywhere.over(Opening::default());
        let at = self.at.iter();
        let mut named: Vec<_> = at
            .map(|(name, said)| (name.clone(), said.over(anywhere.clone())))
            .collect();
        named.push(("elsewhere".to_owned(), anywhere));
        named
    }
}

impl Opening {
    /// In words; `None` where everything may be opened.
    pub(crate) fn words(&self) -> Option<String> {
        let mut words = Vec::new();
        if self.inbound != Inbound::Open {
            words.push(self.inbound.to_string());
        }
        if self.limit != Rate::OFF {
            words.push(format!("at most {}", self.limit));
        }
        if self.source_limit != Rate::OFF {
            words.push(format!("at most {} of a source", self.source_limit));
        }
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// As it crosses to the kernel.
    fn syn_limit(&self) -> SynLimit {
        SynLimit {
            total: self.limit.number(),
            source: self.source_limit.number(),
            ..SynLimit::default()
        }
    }
}

/// In words, by interface; nothing where all are open.
pub(crate) fn described(rules: &[(String, Opening)]) -> String {
    let Some(((_, first), others)) = rules.split_first() else {
        return String::new();
    };
    if others.iter().all(|(_, rule)| rule == first) {
        let words = first.words();
        return words.map_or_else(String::new, |words| format!("; inbound {words}"));
    }
    let each = rules.iter().map(|(name, rule)| {
        let words = rule.words();
        format!("{name} {}", words.as_deref().unwrap_or("open"))
    });
    format!("; inbound: {}", each.collect::<Vec<_>>().join("; "))
}

/// Puts these rules into the constants, one for each interface in its slot.
pub(super) fn apply(rules: &[Opening], config: &mut Config) {
    config.inbound = 0;
    for (slot, rule) in config.interfaces.iter_mut().zip(rules) {
        slot.inbound = u16::from(rule.inbound != Inbound::Open);
        config.inbound |= u32::from(slot.inbound);
    }
    let any = |is: fn(&Opening) -> Rate| rules.iter().any(|rule| is(rule) != Rate::OFF);
    let by_source = any(|rule| rule.source_limit);
    config.limits = u32::from(by_source || any(|rule| rule.limit));
    config.buckets = if by_source { BUCKETS } else { 0 };
}

/// Of sources, if any is limited: 512 KiB. A flood from random sources has to open half as many
/// connections a second, times the limit of each, before strangers have nothing left.
const BUCKETS: u32 = 1 << 16;

/// Writes them where the programs look, before those are attached.
pub(super) fn write(rules: &[Opening], ebpf: &mut Ebpf) -> Result<()> {
    const FAILED: &str = "failed to write what may be opened from outside";
    let map = ebpf.map_mut(PORTS).context("the object has no ports")?;
    let mut ports = Array::<_, PortSet>::try_from(map)?;
    for (slot, rule) in (0..).zip(rules) {
        ports.set(slot, rule.inbound.set(), 0).context(FAILED)?;
    }
    let map = ebpf.map_mut(LIMITS).context("the object has no limits")?;
    let mut limits = Array::<_, SynLimit>::try_from(map)?;
    for (slot, rule) in (0..).zip(rules) {
        limits.set(slot, rule.syn_limit(), 0).context(FAILED)?;
    }
    Ok(())
}

/// Reads them from a guard at work.
pub(crate) fn read([ports, limits]: [&Map; 2], config: &Config) -> Result<Vec<Opening>> {
    let ports = Array::<_, PortSet>::try_from(ports)?;
    let limits = Array::<_, SynLimit>::try_from(limits)?;
    let rule = |(slot, interface): (u32, &Interface)| {
        let limit = limits.get(&slot, 0)?;
        let inbound = if interface.inbound == 0 {
            Inbound::Open
        } else {
            Inbound::Ports(ports.get(&slot, 0)?.ranges().collect())
        };
        Ok(Opening {
            inbound,
            limit: Rate::from_number(limit.total),
            source_limit: Rate::from_number(limit.source),
        })
    };
    let rules: Result<_> = (0..).zip(config.guarded()).map(rule).collect();
    rules.context("failed to read what may be opened from outside")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    fn closed() -> Opening {
        Opening {
            inbound: Inbound::CLOSED,
            ..Opening::default()
        }
    }

    #[test]
    fn what_holds_everywhere_is_told_once() {
        let of = |rules: &[(&str, Opening)]| {
            let owned = rules
                .iter()
                .map(|(name, rule)| ((*name).to_owned(), rule.clone()));
            described(&owned.collect::<Vec<_>>())
        };
        let open = Opening::default();
        let limited = Opening {
            limit: rate("5000"),
            source_limit: rate("50"),
            ..closed()
        };
        assert_eq!(of(&[("wan", open.clone()), ("lan", open.clone())]), "");
        assert_eq!(
            of(&[("wan", closed()), ("lan", closed())]),
            "; inbound closed"
        );
        assert_eq!(
            of(&[("wan", limited), ("lan", open)]),
            "; inbound: wan closed, at most 5000/s, at most 50/s of a source; lan open"
        );
    }

    #[test]
    fn an_interface_has_its_own_rule_and_loopback_none_but_that() {
        let mut rules = Rules {
            anywhere: Said {
                inbound: Some(Inbound::CLOSED),
                syn_limit: Some(rate("500")),
                syn_limit_source: None,
            },
            at: BTreeMap::from([(
                "lan".to_owned(),
                Said {
                    syn_limit: Some(Rate::OFF),
                    ..Said::default()
                },
            )]),
        };
        let of = |rules: &Rules, before: &Opening| {
            let names = [("wan", false), ("lan", false), ("lo", true)];
            rules.of(names.into_iter().map(|(name, is_loopback)| Place {
                name,
                is_loopback,
                before: before.clone(),
            }))
        };
        let wan = Opening {
            limit: rate("500"),
            ..closed()
        };
        let open = Opening::default();
        assert_eq!(of(&rules, &open).unwrap(), [wan, closed(), open.clone()]);
        // What is not said stays as it was.
        let before = Opening {
            source_limit: rate("7"),
            ..Opening::default()
        };
        let [wan, _, lo] = <[_; 3]>::try_from(of(&rules, &before).unwrap()).unwrap();
        assert_eq!((wan.source_limit, lo), (rate("7"), before));
        rules.at.insert("eth9".to_owned(), Said::default());
        let told = of(&rules, &open).unwrap_err().to_string();
        assert!(told.contains("eth9"), "{told}");
    }
}
