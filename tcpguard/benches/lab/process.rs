//! What the kernel tells of a process.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use xtask::process::time_on_cpu;

/// One that runs.
#[derive(Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// What all of its threads have had of a CPU.
    pub(crate) fn spent(self) -> Result<Duration> {
        let mut spent = Duration::ZERO;
        for thread in fs::read_dir(self.file("task"))? {
            spent += time_on_cpu(&thread?.path().join("schedstat"))?;
        }
        Ok(spent)
    }

    /// Octets of memory, where it has its share of what it shares.
    pub(crate) fn share(self) -> Result<f64> {
        self.size("smaps_rollup", "Pss:")
    }

    /// Octets of memory that are its own, and no file's or map's.
    pub(crate) fn own(self) -> Result<f64> {
        self.size("status", "RssAnon:")
    }

    fn size(self, file: &str, key: &str) -> Result<f64> {
        let text = fs::read_to_string(self.file(file))?;
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB"));
        let kibibytes = kibibytes.with_context(|| format!("{file} tells no {key}"))?;
        Ok(kibibytes.trim().parse::<f64>()? * 1024.0)
    }

    fn file(self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0)
    }
}
