//! Who runs on which CPU.

use anyhow::{Context as _, Result, bail};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use rustix::process;

/// One CPU for each host, or one for both where there is no other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus {
    pub(crate) sender: usize,
    pub(crate) receiver: usize,
}

impl Cpus {
    /// The first and the last of those that this process may run on.
    pub(crate) fn of_this_process() -> Result<Self> {
        let set = sched_getaffinity(Pid::from_raw(0))?;
        let has = |cpu: &usize| set.is_set(*cpu).unwrap_or(false);
        let mut cpus = (0..CpuSet::count()).filter(has);
        let Some(sender) = cpus.next() else {
            bail!("this process may run on no CPU");
        };
        let receiver = cpus.next_back().unwrap_or(sender);
        Ok(Self { sender, receiver })
    }
}

/// Keeps a thread on a CPU, and those that it starts; what else wants to run there has to wait.
pub(crate) fn pin(thread: Pid, cpu: usize) -> Result<()> {
    const FIRST_OF_ALL: i32 = -20;
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(thread, &set).context("failed to give a thread a CPU of its own")?;
    let number = process::Pid::from_raw(thread.as_raw());
    process::setpriority_process(number, FIRST_OF_ALL).context("failed to put a thread first")
}

/// This thread.
pub(crate) const THIS: Pid = Pid::from_raw(0);
