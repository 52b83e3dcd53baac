//! A virtual machine, and what its console says.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::emulator::Emulator;
use crate::process::{cannot_start, shown};

/// The longest that a machine may take.
const LIMIT: Duration = Duration::from_mins(15);

/// How the lines begin that `init.sh` says about a test.
const ABOUT: &str = "machine: ";

/// Which tests have ended, and whether they passed.
#[derive(Debug, Default)]
pub(super) struct Report(BTreeMap<String, bool>);

impl Report {
    /// Whether a test has passed, if it has ended at all.
    pub(super) fn passed(&self, test: &str) -> Option<bool> {
        self.0.get(test).copied()
    }

    fn read(&mut self, line: &str) {
        let about = line.strip_prefix(ABOUT).and_then(|it| it.split_once(' '));
        if let Some((test, ended)) = about {
            self.0.insert(test.to_owned(), ended == "passed");
        }
    }
}

/// A process that ends with its owner.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // As a rule it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a kernel until it switches itself off; shows what it says, and keeps that in `log`.
pub(super) fn boot(
    emulator: &Emulator,
    kernel: &Path,
    initramfs: &Path,
    log: &Path,
) -> Result<Report> {
    let mut qemu = command(emulator, kernel, initramfs);
    eprintln!("    {}", shown(&qemu));
    let mut log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut machine = Owned(qemu.spawn().with_context(|| cannot_start(&qemu))?);
    let console = machine
        .0
        .stdout
        .take()
        .context("a machine without console")?;
    let lines = listen(console);
    let start = Instant::now();
    let mut report = Report::default();
    loop {
        match lines.recv_timeout(LIMIT.saturating_sub(start.elapsed())) {
            Ok(line) => {
                println!("{line}");
                writeln!(log, "{line}")?;
                report.read(&line);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(report),
            Err(RecvTimeoutError::Timeout) => {
                bail!("the machine was not done within {} s", LIMIT.as_secs())
            }
        }
    }
}

/// Two CPUs, as tests of races want them, no network and no disk.
fn command(emulator: &Emulator, kernel: &Path, initramfs: &Path) -> Command {
    // A killed xtask leaves no machine behind.
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL"])
        .arg(&emulator.program)
        .args(["-accel", "tcg,thread=multi", "-cpu", "max"])
        .args(["-smp", "2", "-m", "1536"])
        .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
        .args(["-nic", "none", "-no-reboot"])
        .args(["-append", "console=ttyS0 panic=-1 quiet"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if let Some(libraries) = &emulator.libraries {
        qemu.env("LD_LIBRARY_PATH", libraries);
    }
    qemu
}

fn listen(console: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_tells_how_tests_ended() {
        let mut report = Report::default();
        for line in [
            "machine: kernel_object passed",
            "machine: live_hooks failed",
            "test ok",
        ] {
            report.read(line);
        }
        assert_eq!(report.passed("kernel_object"), Some(true));
        assert_eq!(report.passed("live_hooks"), Some(false));
        assert_eq!(report.passed("kernel_table"), None);
    }
}
