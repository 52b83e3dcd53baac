//! The toolchains of this machine, and which of them can build for BPF.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{
    debian,
    rustc::{Compiler, Version, oldest},
};
use crate::process::{find_program, output, step_within};

/// Names a sysroot to use instead of any that would be found.
pub(crate) const OVERRIDE: &str = "TCPGUARD_BPF_SYSROOT";

/// What anybody with rustup and a network can type.
pub(crate) const NIGHTLY: &str = "rustup toolchain install nightly --component rust-src";

/// rustup retries for minutes on a network without a way out.
const PATIENCE: Duration = Duration::from_secs(90);

/// The compilers that will do, best first, and why the others will not.
pub(crate) fn compilers() -> (Vec<Compiler>, Vec<String>) {
    let (mut usable, mut refused) = (Vec::new(), Vec::new());
    for sysroot in candidates() {
        match Compiler::of(&sysroot) {
            Ok(compiler) => usable.push(compiler),
            Err(error) => refused.push(format!("{}: {error:#}", sysroot.display())),
        }
    }
    (usable, refused)
}

/// The command that gives the library's sources to a toolchain of rustup.
pub(crate) fn sources_command() -> Option<Command> {
    let recent = |name: &String| {
        let rustc = sysroot_of(name).map(|sysroot| sysroot.join("bin/rustc"));
        rustc
            .and_then(|rustc| Version::of(&rustc).ok())
            .is_some_and(|v| v.release >= oldest())
    };
    let toolchain = toolchains().into_iter().find(recent)?;
    let mut rustup = Command::new("rustup");
    rustup.args(["component", "add", "rust-src", "--toolchain", &toolchain]);
    Some(rustup)
}

pub(crate) fn add_sources() -> Result<()> {
    let mut rustup = sources_command().context("rustup has no toolchain that is recent enough")?;
    step_within(
        PATIENCE,
        "adding the library's sources to a toolchain of rustup",
        &mut rustup,
    )
}

fn candidates() -> Vec<PathBuf> {
    if let Some(sysroot) = env::var_os(OVERRIDE) {
        return vec![sysroot.into()];
    }
    let mut found: Vec<PathBuf> = Vec::new();
    let rustups = toolchains()
        .into_iter()
        .filter_map(|name| sysroot_of(&name));
    let on_path = print_sysroot(&mut Command::new("rustc"));
    for sysroot in rustups.chain(on_path).chain([debian::SYSROOT.into()]) {
        if !found.contains(&sysroot) {
            found.push(sysroot);
        }
    }
    found
}

/// The names of rustup's toolchains: a nightly first, then the active one, then the others.
fn toolchains() -> Vec<String> {
    if find_program("rustup").is_none() {
        return Vec::new();
    }
    let list = output(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    ordered(&list)
}

fn ordered(list: &str) -> Vec<String> {
    let mut lines: Vec<&str> = list.lines().filter(|line| line.contains('-')).collect();
    lines.sort_by_key(|line| {
        (
            !line.starts_with("nightly"),
            !line.contains("(active"),
            !line.contains("default)"),
        )
    });
    lines
        .iter()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn sysroot_of(toolchain: &str) -> Option<PathBuf> {
    print_sysroot(Command::new("rustup").args(["run", toolchain, "rustc"]))
}

fn print_sysroot(rustc: &mut Command) -> Option<PathBuf> {
    let said = output(
        rustc
            .args(["--print", "sysroot"])
            .env_remove("LD_LIBRARY_PATH"),
    )
    .ok()?;
    Some(Path::new(said.trim()).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nightly_comes_before_the_active_toolchain() {
        let list = "1.95.0-x86_64\nstable-x86_64 (active, default)\nnightly-x86_64\n";
        assert_eq!(
            ordered(list),
            ["nightly-x86_64", "stable-x86_64", "1.95.0-x86_64"]
        );
    }

    #[test]
    fn no_toolchain_is_no_candidate() {
        assert_eq!(ordered("no installed toolchains\n"), Vec::<String>::new());
    }
}
