//! A tcpguard that runs in a namespace, and what it says.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, ChildStdout, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::namespace::Namespace;

/// How long it may take to load, attach and say the first thing.
const START: Duration = Duration::from_secs(30);
/// How long it may take to detach.
pub const END: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// What was said last, and how many times something was said.
type Said = Arc<Mutex<(u64, Value)>>;

/// A running `tcpguard run --json`. Dropping it ends it.
pub struct Guard {
    child: Child,
    said: Said,
    reader: Option<JoinHandle<()>>,
}

impl Guard {
    /// Starts it on one interface and waits until it has attached.
    pub fn start<I: AsRef<OsStr>>(
        namespace: &Namespace,
        program: impl AsRef<OsStr>,
        interface: &str,
        args: impl IntoIterator<Item = I>,
    ) -> Result<Self> {
        Self::start_with(Stdio::inherit(), namespace, program, interface, args)
    }

    /// The same where nobody reads what it says on stderr.
    pub fn start_quietly<I: AsRef<OsStr>>(
        namespace: &Namespace,
        program: impl AsRef<OsStr>,
        interface: &str,
        args: impl IntoIterator<Item = I>,
    ) -> Result<Self> {
        Self::start_with(Stdio::null(), namespace, program, interface, args)
    }

    fn start_with<I: AsRef<OsStr>>(
        stderr: Stdio,
        namespace: &Namespace,
        program: impl AsRef<OsStr>,
        interface: &str,
        args: impl IntoIterator<Item = I>,
    ) -> Result<Self> {
        let mut command = namespace.command(program);
        command
            .args(["run", "--iface", interface, "--json"])
            .args(args);
        // A group of its own: at Ctrl-C the guard must stand until the attack is over.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr);
        let mut child = command.spawn().context("failed to start tcpguard")?;
        let said = Said::default();
        let reader = child
            .stdout
            .take()
            .map(|stdout| listen(stdout, Arc::clone(&said)));
        let mut guard = Self {
            child,
            said,
            reader,
        };
        guard
            .wait_for_line(0, START)
            .context("tcpguard did not get going")?;
        Ok(guard)
    }

    /// Its number: the commands in front of it have become it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The counts as last told.
    #[must_use]
    pub fn reading(&self) -> Value {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .clone()
    }

    /// The counts as told from now on: some lines later, for the next may be half written, and the
    /// tables are counted less often on a slow machine.
    pub fn fresh_reading(&mut self) -> Result<Value> {
        const LATER: u64 = 6;
        let lines = self.said.lock().unwrap_or_else(PoisonError::into_inner).0;
        self.wait_for_line(lines + LATER, END)
            .context("tcpguard has fallen silent")?;
        Ok(self.reading())
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it as an operator would, and says how it ended and what it said last.
    pub fn stop(mut self) -> Result<(ExitStatus, Value)> {
        let status = end(&mut self.child)?;
        if let Some(reader) = self.reader.take() {
            // It read what there was to read; its panic would have been printed.
            let _ = reader.join();
        }
        Ok((status, self.reading()))
    }

    /// Ends it as the kernel does when memory runs out: it cannot clean up.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().context("failed to kill tcpguard")?;
        self.child.wait().context("failed to wait for tcpguard")?;
        Ok(())
    }

    /// Waits until more than `lines` lines were said.
    fn wait_for_line(&mut self, lines: u64, patience: Duration) -> Result<()> {
        let start = Instant::now();
        while self.said.lock().unwrap_or_else(PoisonError::into_inner).0 <= lines {
            if let Some(status) = self.child.try_wait().context("failed to watch tcpguard")? {
                bail!("it ended by itself ({status})");
            }
            if start.elapsed() > patience {
                bail!("it said nothing for {} s", patience.as_secs());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = end(&mut self.child) {
            eprintln!("warning: {error:#}");
        }
    }
}

/// How many segments a reading says were dropped for a reason.
#[must_use]
pub fn dropped(reading: &Value, reason: &str) -> u64 {
    reading["reasons"][reason]["dropped"].as_u64().unwrap_or(0)
}

/// Asks a process to end, waits, and insists.
pub fn end(child: &mut Child) -> Result<ExitStatus> {
    let Ok(pid) = i32::try_from(child.id()) else {
        bail!("a process id beyond all bounds")
    };
    let start = Instant::now();
    let mut asked = false;
    loop {
        if let Some(status) = child.try_wait().context("failed to wait for tcpguard")? {
            return Ok(status);
        }
        if !asked {
            kill(Pid::from_raw(pid), Signal::SIGTERM).context("failed to stop tcpguard")?;
            asked = true;
        }
        if start.elapsed() > END {
            child.kill().context("failed to kill tcpguard")?;
            return child.wait().context("failed to wait for tcpguard");
        }
        thread::sleep(POLL);
    }
}

fn listen(stdout: ChildStdout, said: Said) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Ok(value) = serde_json::from_str(&line) {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                *said = (said.0 + 1, value);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_read_by_reason() {
        let reading = serde_json::json!({"reasons": {"flags-null": {"dropped": 3}}});
        assert_eq!(dropped(&reading, "flags-null"), 3);
        assert_eq!(dropped(&reading, "flags-xmas"), 0);
    }
}
