//! A network namespace that exists as long as its owner.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    panic,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::iproute::{ip, ip_batch};

/// Where `ip netns` keeps the names.
const DIRECTORY: &str = "/run/netns";
/// All our names begin so; the id of the process that made them follows.
const PREFIX: &str = "tcpguard-";
/// How long a process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(3);

/// A named network namespace. Dropping it ends the processes in it and deletes it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one with nothing in it but `lo`. Labels may repeat: the name is unique.
    pub fn new(label: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{label}", process::id());
        ip(&["netns", "add", &name]).context("failed to make a network namespace")?;
        let namespace = Self { name };
        ip_batch(&namespace.name, "link set lo up\n")?;
        namespace.within(|| {
            // A host may have switched IPv6 off for all namespaces to come; one without IPv6 has
            // no such file, and says so when it is given an address.
            let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0");
        })?;
        Ok(namespace)
    }

    /// What `ip netns` calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run in it, and end at the latest with the thread that starts it, even
    /// if that is killed.
    ///
    /// By nsenter: `ip netns exec` mounts another /sys over the one that holds bpffs.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "nsenter"]);
        command
            .arg(format!("--net={}", self.path().display()))
            .arg(program);
        command
    }

    /// Runs `work` in it, on a thread of its own: sockets that are opened there stay in it.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = self.path();
        thread::scope(|scope| {
            let thread = scope.spawn(move || enter(&path).map(|()| work()));
            thread
                .join()
                .unwrap_or_else(|panicked| panic::resume_unwind(panicked))
        })
    }

    /// Configures it by a script, one `ip` command a line.
    pub fn configure(&self, script: &str) -> Result<()> {
        ip_batch(&self.name, script)
    }

    /// Asks every process in it to end, and insists after a while.
    pub fn end_processes(&self) -> Result<()> {
        end_processes(&self.name)
    }

    pub(super) fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!(
                "warning: {error:#}; `ip netns delete {}` removes it",
                self.name
            );
        }
    }
}

/// Moves this thread into a namespace, for good.
pub(super) fn enter(path: &Path) -> Result<()> {
    let file = File::open(path)
        .with_context(|| format!("failed to open the namespace {}", path.display()))?;
    setns(&file, CloneFlags::CLONE_NEWNET)
        .with_context(|| format!("failed to enter the namespace {}", path.display()))
}

/// Removes what runs that were killed have left. Those of living processes are not touched.
pub fn remove_leftovers() -> Result<()> {
    // Without the directory there was never a namespace.
    let Ok(entries) = fs::read_dir(DIRECTORY) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if owner(&name).is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            remove(&name)?;
        }
    }
    Ok(())
}

/// The process that made a namespace of this name, if it is one of ours.
fn owner(name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    pid.parse().ok()
}

fn remove(name: &str) -> Result<()> {
    end_processes(name)?;
    ip(&["netns", "delete", name]).map(drop)
}

fn end_processes(name: &str) -> Result<()> {
    let inside = processes(name)?;
    signal_each(&inside, Signal::SIGTERM);
    let start = Instant::now();
    while !processes(name)?.is_empty() {
        if start.elapsed() > GRACE {
            // Only those that were asked before.
            signal_each(&(&processes(name)? & &inside), Signal::SIGKILL);
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn processes(name: &str) -> Result<BTreeSet<i32>> {
    let listed = ip(&["netns", "pids", name])?;
    Ok(listed
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect())
}

fn signal_each(pids: &BTreeSet<i32>, signal: Signal) {
    for pid in pids {
        // One that has ended meanwhile is what was asked for.
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_tells_who_made_it() {
        assert_eq!(owner("tcpguard-4711-0-server"), Some(4711));
        assert_eq!(owner("tcpguard-4711"), None);
        assert_eq!(owner("tcpguard-x-server"), None);
        assert_eq!(owner("my-tcpguard-4711-server"), None);
    }
}
