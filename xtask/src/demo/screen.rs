//! The guard with its own live table on the terminal.
//!
//! Who shows a table prints no JSON, so the counts come from the summary that it leaves behind.
//! `script` (of Debian's essential bsdutils) stands between the guard and the terminal and writes
//! down what passes.

use std::{
    env,
    fs::{self, File},
    io::{self, IsTerminal, Read, Seek},
    os::fd::AsRawFd,
    path::Path,
    process::{self, Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use tcpguard_common::reason::Reason;
use xtask::lab::{guard, link::has_xdp, namespace::Namespace, network::UPLINK};

use crate::process::{cannot_start, find_program, shown};

/// How long the guard may take to load and attach.
const START: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// What ends the use of the alternate screen.
const SCREEN_LEFT: &str = "\x1b[?1049l";

/// A guard that has the terminal. Dropping it ends it.
pub(super) struct Screen<'a> {
    namespace: &'a Namespace,
    recorder: Child,
    record: File,
}

/// Whether there is a terminal to show a table on, and what it takes to write it down.
pub(super) fn is_possible() -> bool {
    let terminals = [
        io::stdin().is_terminal(),
        io::stdout().is_terminal(),
        io::stderr().is_terminal(),
    ];
    let capable = env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
    terminals == [true; 3] && capable && find_program("script").is_some()
}

impl<'a> Screen<'a> {
    /// Starts the guard and waits until it has attached.
    pub(super) fn start(namespace: &'a Namespace, program: &Path) -> Result<Self> {
        let record = record()?;
        let mut command = namespace.command(program);
        command.args(["run", "--iface", UPLINK, "--tui", "--interval", "500ms"]);
        // With setpriv, it does not outlive a demo that is killed.
        let mut script = Command::new("setpriv");
        script
            .args(["--pdeathsig", "TERM", "script", "--quiet", "--command"])
            .arg(shown(&command))
            .arg(format!("/proc/{}/fd/{}", process::id(), record.as_raw_fd()));
        let recorder = script.spawn().with_context(|| cannot_start(&script))?;
        let mut screen = Self {
            namespace,
            recorder,
            record,
        };
        let start = Instant::now();
        while !has_xdp(namespace, UPLINK)? {
            ensure!(screen.is_running(), "tcpguard ended before it attached");
            ensure!(
                start.elapsed() < START,
                "tcpguard has not attached in {} s",
                START.as_secs()
            );
            thread::sleep(POLL);
        }
        Ok(screen)
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.recorder.try_wait(), Ok(None))
    }

    /// Ends the guard and reads its summary, in the form of a reading.
    pub(super) fn stop(mut self) -> Result<Value> {
        self.end()?;
        let mut told = Vec::new();
        self.record
            .rewind()
            .context("failed to read what tcpguard has shown")?;
        self.record
            .read_to_end(&mut told)
            .context("failed to read what tcpguard has shown")?;
        summary(&String::from_utf8_lossy(&told))
    }

    fn end(&mut self) -> Result<()> {
        // `script` goes when the guard does; a signal of its own could cut the summary short.
        self.namespace.end_processes()?;
        let start = Instant::now();
        while self.is_running() && start.elapsed() < guard::END {
            thread::sleep(POLL);
        }
        guard::end(&mut self.recorder).map(drop)
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("warning: {error:#}");
        }
    }
}

/// A file without a name: nothing stays behind, whatever happens.
fn record() -> Result<File> {
    let path = format!("/run/tcpguard-demo-{}", process::id());
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .with_context(|| format!("failed to create {path}"))?;
    fs::remove_file(&path).with_context(|| format!("failed to remove {path}"))?;
    Ok(file)
}

/// The drops by reason, from the table that begins after the live one has left the screen.
fn summary(told: &str) -> Result<Value> {
    let (_, summary) = told
        .rsplit_once(SCREEN_LEFT)
        .context("tcpguard never left the screen")?;
    if !summary.contains("tcpguard guarded") {
        bail!("tcpguard left no summary");
    }
    let mut reasons = Map::new();
    for line in summary.lines() {
        let Some((name, rest)) = line.trim().split_once("  ") else {
            continue;
        };
        if Reason::from_name(name).is_some() {
            let count = exact(rest).with_context(|| format!("no exact count in {line:?}"))?;
            reasons.insert(name.to_owned(), json!({"dropped": count}));
        }
    }
    Ok(json!({"reasons": reasons}))
}

/// A number with all its digits in groups, up to the next column.
fn exact(cells: &str) -> Option<u64> {
    let number = cells.trim_start().split("  ").next()?;
    number.replace(' ', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "\x1b[?1049hflags-null  7  live\x1b[?1049l\r\n\
        tcpguard guarded uplink for 20 s\r\n\r\n\
        Reason               dropped  meaning\r\n\
        flags-syn-fin         12 000  SYN and FIN together\r\n\
        flags-null                 5  None of SYN\r\n";

    #[test]
    fn counts_are_those_of_the_summary() {
        let reading = summary(TOLD).unwrap();
        assert_eq!(guard::dropped(&reading, "flags-syn-fin"), 12_000);
        assert_eq!(guard::dropped(&reading, "flags-null"), 5);
    }

    #[test]
    fn rounded_counts_are_refused() {
        let rounded = TOLD.replace("12 000", "1.20 M");
        assert!(
            summary(&rounded)
                .unwrap_err()
                .to_string()
                .contains("no exact count")
        );
    }

    #[test]
    fn missing_summary_is_an_error() {
        assert!(summary("\x1b[?1049l\r\nerror: no\r\n").is_err());
        assert!(summary("error: no\r\n").is_err());
    }
}
