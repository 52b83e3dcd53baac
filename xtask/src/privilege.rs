//! Root, and how to become it.
//!
//! `sudo` is started only for somebody who sits at a terminal and can answer it. A script without
//! root gets an error that holds the exact command instead.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write},
    os::unix::fs::MetadataExt,
    process::Command,
};

use anyhow::{Result, bail, ensure};

use crate::process::{find_program, shown};

pub(crate) fn is_root() -> bool {
    // The owner of /proc/self is the effective user of this process.
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// The command as root runs it: as it is for root, by `sudo` at a terminal, else an error.
pub(crate) fn as_root(command: Command, why: &str) -> Result<Command> {
    if is_root() {
        return Ok(command);
    }
    let line = shown(&through_sudo(&command));
    let without = line.trim_start_matches("sudo ");
    ensure!(
        find_program("sudo").is_some(),
        "{why} needs root; type as root: {without}"
    );
    ensure!(io::stdin().is_terminal(), "{why} needs root; type: {line}");
    Ok(through_sudo(&command))
}

/// Like `as_root`, for a change of the system: it asks before it becomes root.
pub(crate) fn as_root_if_agreed(command: Command, why: &str) -> Result<Command> {
    let command = as_root(command, why)?;
    let line = shown(&command);
    if !is_root() && !agreed(&format!("{why}: {line}"))? {
        bail!("{why} was declined; type when it suits: {line}");
    }
    Ok(command)
}

fn through_sudo(command: &Command) -> Command {
    let mut sudo = Command::new("sudo");
    // sudo starts with a clean environment, so `env` sets what the command relies on.
    let variables: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value?.to_str()?)))
        .collect();
    if !variables.is_empty() {
        sudo.arg("env").args(variables);
    }
    sudo.arg(command.get_program()).args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        sudo.current_dir(dir);
    }
    sudo
}

fn agreed(question: &str) -> Result<bool> {
    eprint!("{question}\nrun this? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sudo_passes_variables_through_env() {
        let mut command = Command::new("apt-get");
        command
            .arg("update")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env_remove("HOME");
        assert_eq!(
            shown(&through_sudo(&command)),
            "sudo env DEBIAN_FRONTEND=noninteractive apt-get update"
        );
    }
}
