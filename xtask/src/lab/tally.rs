//! How many segments, by flag set and path.

use std::collections::BTreeMap;

use tcpguard_common::flags::TcpFlags;

use super::path::Path;

/// Exact counts of the attacker's segments, sent or seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<(u16, Path), u64>);

impl Tally {
    /// Counts one.
    pub fn add(&mut self, flags: TcpFlags, path: Path) {
        *self.0.entry((flags.bits(), path)).or_default() += 1;
    }

    /// How many there are of those that `select` chooses.
    pub fn count(&self, select: impl Fn(TcpFlags, Path) -> bool) -> u64 {
        let chosen = self
            .0
            .iter()
            .filter(|((bits, path), _)| select(TcpFlags::new(*bits), *path));
        chosen.map(|(_, count)| count).sum()
    }

    /// How many there are in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.count(|_, _| true)
    }

    /// How many have a set of flags that no sane stack sends.
    #[must_use]
    pub fn illegal(&self) -> u64 {
        self.count(|flags, _| !flags.is_legal())
    }
}
