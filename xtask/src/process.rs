//! Starting programs so that the reader sees which and why.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// Folders of administrators' tools, which Debian leaves out of a user's PATH.
const SYSTEM_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Says what for, shows the command line, runs it and expects success.
pub fn step(purpose: &str, command: &mut Command) -> Result<()> {
    eprintln!("==> {purpose}\n    {}", shown(command));
    let status = command.status().with_context(|| cannot_start(command))?;
    ensure!(status.success(), "{purpose} failed ({status})");
    Ok(())
}

/// From now on Ctrl-C and the like only raise a flag, so that everything is taken away in order.
pub fn stop_on_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&stop)).context("failed to listen for signals")?;
    }
    Ok(stop)
}

/// What a thread has had of a CPU, by its `schedstat` under /proc.
///
/// # Errors
///
/// If the thread is gone, or the kernel keeps no such times.
pub fn time_on_cpu(schedstat: &Path) -> Result<Duration> {
    let told = fs::read_to_string(schedstat)?;
    let nanos = told.split_whitespace().next();
    let nanos = nanos.context("the kernel keeps no times of threads (SCHED_INFO)")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// What the command prints; its own complaints go into the error.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| cannot_start(command))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}", shown(command), last_lines(&complaint));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// As `step`, for a command that may wait for a network that never answers.
pub fn step_within(limit: Duration, purpose: &str, command: &mut Command) -> Result<()> {
    eprintln!("==> {purpose}\n    {}", shown(command));
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| cannot_start(command))?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{purpose} failed ({status})");
            return Ok(());
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("{purpose} took more than {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Why a command has not even begun.
#[must_use]
pub fn cannot_start(command: &Command) -> String {
    format!("failed to start {}", shown(command))
}

/// The command line as one would type it, with the variables that it sets.
pub fn shown(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, quoted(value?))));
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(quoted);
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

/// The program of that name on PATH or where the system keeps its own.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_DIRS.iter().map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

/// Whether it is a program.
#[must_use]
pub fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    if word.contains(char::is_control) {
        return format!("$'{}'", word.chars().map(escaped).collect::<String>());
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// One character inside `$'...'` of a shell.
fn escaped(c: char) -> String {
    match c {
        '\'' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\x{:02x}", u32::from(c)),
        c => c.to_string(),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_shown_as_typed() {
        let mut command = Command::new("apt-get");
        command
            .args(["install", "it's", "a b", ""])
            .env("LLVM_PREFIX", "/usr/lib/llvm-22");
        assert_eq!(
            shown(&command),
            r"LLVM_PREFIX=/usr/lib/llvm-22 apt-get install 'it'\''s' 'a b' ''"
        );
    }

    #[test]
    fn slow_command_is_stopped() {
        let error = step_within(
            Duration::from_millis(10),
            "wait",
            Command::new("sleep").arg("30"),
        );
        assert!(error.unwrap_err().to_string().contains("took more than"));
    }

    #[test]
    fn complaint_keeps_its_end() {
        assert_eq!(last_lines("a\n\nb\nc\n d \n"), "b; c; d");
        assert_eq!(last_lines(""), "");
    }

    #[test]
    fn control_characters_are_shown_escaped() {
        assert_eq!(quoted(OsStr::new("it's\x1fb")), r"$'it\'s\x1fb'");
    }

    #[test]
    fn programs_are_found_on_path() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program-here").is_none());
    }
}
