//! `cargo xtask test`: every test there is, those that need the kernel included.
//!
//! Test targets named `kernel_*` load programs and `live_*` send traffic; both need root. A user
//! compiles as himself, and only these binaries are started by sudo. Without sudo they fail by name.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    dist,
    privilege::{as_root, is_root},
    run::become_command,
    setup::{self, Version, schemas, test_tools},
    workspace,
};

/// How the names of binaries begin that root has to run.
const ROOT_TARGETS: [&str; 7] = [
    "kernel_",
    "live_",
    "packet_path",
    "receiver-",
    "traffic-",
    "footprint-",
    "siege-",
];

/// Variables that a binary under sudo would miss.
const KEPT_VARIABLES: [&str; 3] = ["CARGO_MANIFEST_DIR", "RUST_BACKTRACE", "TCPGUARD_"];

pub(crate) fn run(args: &[OsString]) -> Result<()> {
    setup::ensure()?;
    test_tools::ensure()?;
    schemas::ensure()?;
    dist::cargo_deb()?;
    let mut cargo = workspace::cargo();
    cargo
        .arg("test")
        .args(workspace::HOST_CRATES)
        .arg("--no-fail-fast");
    if !is_root() {
        eprintln!("not root: the tests named kernel_* and live_* need it and are started by sudo");
    }
    start_as_root(&mut cargo)?;
    // Cargo has the last word: its exit status and its closing lines are the test's.
    cargo.args(args);
    match become_command(cargo)? {}
}

/// Makes cargo start binaries as root, where it is not root itself.
pub(crate) fn start_as_root(cargo: &mut Command) -> Result<()> {
    if !is_root() {
        cargo.args(root_runner()?);
    }
    Ok(())
}

/// Arguments that make cargo start binaries through `run_binary`.
fn root_runner() -> Result<[OsString; 2]> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let host = Version::of(Path::new(&rustc))?.host;
    let xtask = env::current_exe().context("cannot tell where the xtask itself lies")?;
    Ok([
        "--config".into(),
        format!("target.{host}.runner=['{}', 'runner']", xtask.display()).into(),
    ])
}

/// Becomes the binary, by way of sudo where its name asks for root.
pub(crate) fn run_binary(command: &[OsString]) -> Result<()> {
    let (program, args) = command.split_first().context("no binary to run")?;
    let mut binary = Command::new(program);
    binary.args(args);
    let name = Path::new(program)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    if needs_root(&name) {
        binary.envs(env::vars_os().filter(|(name, _)| is_kept(name)));
        binary = as_root(binary, &name)?;
    }
    match become_command(binary)? {}
}

fn needs_root(name: &str) -> bool {
    ROOT_TARGETS.iter().any(|prefix| name.starts_with(prefix))
}

fn is_kept(variable: &OsStr) -> bool {
    let variable = variable.to_string_lossy();
    KEPT_VARIABLES
        .iter()
        .any(|prefix| variable.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kernel_and_live_targets_need_root() {
        assert!(needs_root("kernel_load-0123456789abcdef"));
        assert!(needs_root("live_scan-0123456789abcdef"));
        assert!(!needs_root("tcpguard-0123456789abcdef"));
        assert!(!needs_root("replay-0123456789abcdef"));
    }

    #[test]
    fn sudo_keeps_our_variables_only() {
        assert!(is_kept(OsStr::new("TCPGUARD_BPF_OBJECT")));
        assert!(!is_kept(OsStr::new("LD_PRELOAD")));
    }
}
