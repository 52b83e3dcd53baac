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

    /// Keeps a thread on the sender's, and those that it starts; what else wants to run there has to wait.
    pub(crate) fn send_on(&self, thread: Pid) -> Result<()> {
        pin(thread, self.sender)
    }

    /// The same on the receiver's.
    pub(crate) fn receive_on(&self, thread: Pid) -> Result<()> {
        pin(thread, self.receiver)
    }
}

fn pin(thread: Pid, cpu: usize) -> Result<()> {
    const FIRST_OF_ALL: i32 = -20;
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(thread, &set).context("failed to give a thread a CPU of its own")?;
    give_way(thread, FIRST_OF_ALL)
}

/// Lets this thread, and those that it starts, have what all others leave: as what stands for other machines.
pub(crate) fn come_last() -> Result<()> {
    const LAST_OF_ALL: i32 = 0;
    give_way(THIS, LAST_OF_ALL)
}

fn give_way(thread: Pid, nice: i32) -> Result<()> {
    let number = process::Pid::from_raw(thread.as_raw());
    process::setpriority_process(number, nice).context("failed to give a thread its turn")
}

/// This thread.
pub(crate) const THIS: Pid = Pid::from_raw(0);
