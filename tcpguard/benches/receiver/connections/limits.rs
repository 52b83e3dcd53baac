//! How many connections the kernel's tracker may follow: of the whole machine, so it is put back.

use std::fs;

use anyhow::{Context as _, Result};

/// The size of its hash table, and how many entries each network namespace may have in it.
const LIMITS: [&str; 2] = [
    "/proc/sys/net/netfilter/nf_conntrack_buckets",
    "/proc/sys/net/netfilter/nf_conntrack_max",
];

/// What the limits were before. Dropping it sets them again.
pub(crate) struct Limits([String; 2]);

impl Limits {
    /// As many buckets as connections, as the kernel itself has it by default.
    pub(crate) fn raise(connections: u32) -> Result<Self> {
        let read =
            |path| fs::read_to_string(path).with_context(|| format!("failed to read {path}"));
        let [buckets, max] = LIMITS;
        let former = Self([read(buckets)?, read(max)?]);
        for path in LIMITS {
            fs::write(path, connections.to_string())
                .with_context(|| format!("failed to set {path} to {connections}"))?;
        }
        Ok(former)
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        for (path, former) in LIMITS.into_iter().zip(&self.0) {
            if let Err(error) = fs::write(path, former) {
                eprintln!(
                    "warning: {path} was {}, and stays changed: {error}",
                    former.trim()
                );
            }
        }
    }
}
