//! `--trusted` and `--denied`: files of prefixes, and what they say of the sources of segments.
//!
//! ```text
//! # One prefix or address a line; of several that fit, the longest counts.
//! 192.0.2.0/24
//! 2001:db8::1      # the office
//! ```

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    net::IpAddr,
    path::Path,
};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    Ebpf, Pod,
    maps::{LpmTrie, Map, MapData, lpm_trie::Key},
};
use tcpguard_common::{
    abi::{Config, PREFIXES4, PREFIXES6},
    policy::Standing,
};

use crate::{prefix::Prefix, watch::number};

/// What is said of which sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<Prefix, Standing>);

impl Sources {
    /// What the files say, if they are given.
    ///
    /// # Errors
    ///
    /// If one cannot be read, or has a line that is no prefix, or that says the contrary of another.
    pub(crate) fn read(trusted: Option<&Path>, denied: Option<&Path>) -> Result<Self> {
        let mut sources = Self::default();
        for (path, standing) in [(trusted, Standing::Trusted), (denied, Standing::Denied)] {
            let Some(path) = path else { continue };
            let shown = path.display();
            let text = fs::read_to_string(path);
            let text = text.with_context(|| format!("failed to read {shown}"))?;
            for (line, text) in (1..).zip(text.lines()) {
                let added = sources.add_line(text, standing);
                added.map_err(|error| anyhow!("{shown}:{line}: {error}"))?;
            }
        }
        Ok(sources)
    }

    fn add_line(&mut self, line: &str, standing: Standing) -> Result<(), String> {
        let text = line.split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            return Ok(());
        }
        let prefix: Prefix = text.parse()?;
        let network = prefix.network();
        if network != prefix {
            return Err(format!(
                "{prefix} has bits behind its length: did you mean {network}, or {}?",
                prefix.address()
            ));
        }
        match self.0.entry(network) {
            Entry::Occupied(said) if *said.get() != standing => Err(format!(
                "{network} is both trusted and denied: take it out of one of the files"
            )),
            // Twice the same says no more than once.
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(free) => {
                free.insert(standing);
                Ok(())
            }
        }
    }

    /// These, but of some standings those that `others` has.
    pub(crate) fn with(mut self, others: &Self, standings: &[Standing]) -> Result<Self> {
        self.0.retain(|_, present| !standings.contains(present));
        let others = others
            .0
            .iter()
            .filter(|(_, other)| standings.contains(other));
        for (prefix, standing) in others {
            if self.0.insert(*prefix, *standing).is_some() {
                bail!("{prefix} would be both trusted and denied: give both files");
            }
        }
        Ok(self)
    }

    /// What is said of an address.
    pub(crate) fn standing(&self, address: IpAddr) -> Standing {
        let fits = self.0.iter().filter(|(prefix, _)| prefix.contains(address));
        let longest = fits.max_by_key(|(prefix, _)| prefix.length());
        longest.map(|(_, standing)| *standing).unwrap_or_default()
    }

    fn count(&self, standing: Standing) -> u64 {
        self.0.values().filter(|it| **it == standing).count() as u64
    }

    /// In words; nothing where nothing is said.
    pub(crate) fn described(&self) -> String {
        let kinds = [(Standing::Trusted, "trusts"), (Standing::Denied, "denies")];
        let told = kinds.map(|(standing, verb)| match self.count(standing) {
            0 => String::new(),
            1 => format!("; {verb} 1 prefix"),
            count => format!("; {verb} {} prefixes", number::grouped(count)),
        });
        told.concat()
    }

    /// Makes the constants those of programs that ask them.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<()> {
        let v4 = self.0.keys().filter(|prefix| prefix.address().is_ipv4());
        let v4 = v4.count();
        config.prefixes = [v4.try_into()?, (self.0.len() - v4).try_into()?];
        Ok(())
    }

    /// Writes them where the programs look, before those are attached.
    pub(crate) fn write(&self, ebpf: &mut Ebpf) -> Result<()> {
        for (prefix, standing) in &self.0 {
            let (length, value) = (prefix.length(), *standing as u32);
            match prefix.address() {
                IpAddr::V4(address) => {
                    let key = Key::new(length, address.octets());
                    trie(ebpf, PREFIXES4)?.insert(&key, value, 0)
                }
                IpAddr::V6(address) => {
                    let key = Key::new(length, address.octets());
                    trie(ebpf, PREFIXES6)?.insert(&key, value, 0)
                }
            }
            .with_context(|| format!("failed to write what is said of {prefix}"))?;
        }
        Ok(())
    }

    /// Reads them from the maps of a guard at work.
    pub(crate) fn of([v4, v6]: [&Map; 2]) -> Result<Self> {
        let mut sources = read_map::<[u8; 4]>(v4)?;
        sources.append(&mut read_map::<[u8; 16]>(v6)?);
        Ok(Self(sources))
    }
}

fn trie<'a, K: Pod>(ebpf: &'a mut Ebpf, name: &str) -> Result<LpmTrie<&'a mut MapData, K, u32>> {
    let map = ebpf.map_mut(name);
    let map = map.with_context(|| format!("the object has no {name}"))?;
    Ok(map.try_into()?)
}

fn read_map<K: Pod + Into<IpAddr>>(map: &Map) -> Result<BTreeMap<Prefix, Standing>> {
    let trie = LpmTrie::<_, K, u32>::try_from(map)?;
    let mut sources = BTreeMap::new();
    for entry in &trie {
        let (key, value) = entry.context("failed to read what is said of sources")?;
        let prefix = Prefix::new(key.data().into(), key.prefix_len());
        sources.insert(prefix, Standing::from_number(value));
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(lines: &[(&str, Standing)]) -> Result<Sources, String> {
        let mut sources = Sources::default();
        for (line, standing) in lines {
            sources.add_line(line, *standing)?;
        }
        Ok(sources)
    }

    #[test]
    fn of_several_prefixes_the_longest_counts() {
        let sources = sources(&[
            ("# the world", Standing::Denied),
            ("10.0.0.0/8", Standing::Denied),
            ("10.1.0.0/16 # but these", Standing::Trusted),
            ("", Standing::Denied),
            ("10.1.2.3", Standing::Denied),
            ("2001:db8::/32", Standing::Trusted),
        ])
        .unwrap();
        for (address, expected) in [
            ("10.9.9.9", Standing::Denied),
            ("10.1.9.9", Standing::Trusted),
            ("10.1.2.3", Standing::Denied),
            ("11.1.2.3", Standing::Unlisted),
            ("2001:db8::1", Standing::Trusted),
            ("2001:db9::1", Standing::Unlisted),
        ] {
            let found = sources.standing(address.parse().unwrap());
            assert_eq!(found, expected, "{address}");
        }
        assert_eq!(
            sources.described(),
            "; trusts 2 prefixes; denies 2 prefixes"
        );
        let mut config = Config::DEFAULT;
        sources.apply(&mut config).unwrap();
        assert_eq!(config.prefixes, [3, 1]);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_answered_with_what_was_meant() {
        let denied = |line| sources(&[(line, Standing::Denied)]).unwrap_err();
        assert!(denied("example.org").contains("such as"));
        assert!(denied("10.0.0.1/8").contains("10.0.0.0/8, or 10.0.0.1"));
        let both = [("::1", Standing::Denied), ("::1/128", Standing::Trusted)];
        assert!(sources(&both).unwrap_err().contains("both"));
    }

    #[test]
    fn one_list_is_changed_and_the_other_stays() {
        let (trusted, denied) = (Standing::Trusted, Standing::Denied);
        let before = sources(&[("10.0.0.1", trusted), ("10.0.0.2", denied)]).unwrap();
        let other = sources(&[("10.0.0.3", denied)]).unwrap();
        let after = before.clone().with(&other, &[denied]).unwrap();
        let expected = sources(&[("10.0.0.1", trusted), ("10.0.0.3", denied)]);
        assert_eq!(after, expected.unwrap());
        let contrary = sources(&[("10.0.0.1", denied)]).unwrap();
        assert!(before.with(&contrary, &[denied]).is_err());
    }
}
