//! Packages of Debian and Ubuntu: which are known, and installing them.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};

use super::{
    rustc::{major_minor, oldest},
    sysroot::NIGHTLY,
};
use crate::{
    privilege::as_root_if_agreed,
    process::{find_program, output, shown, step},
};

/// Where the packaged compilers live; the library's sources are linked in there.
pub(crate) const SYSROOT: &str = "/usr";

/// Compilers with their sources, newest kind first.
///
/// Debian's stable releases get a recent compiler under the name that web browsers are built with;
/// their plain `rustc` is as old as the release. Testing and later have a recent plain one.
const COMPILERS: [Packaged; 2] = [
    Packaged {
        packages: ["rustc-web", "cargo-web", "rust-web-src"],
        clippy: "rust-web-clippy",
    },
    Packaged {
        packages: ["rustc", "cargo", "rust-src"],
        clippy: "rust-clippy",
    },
];

#[derive(Clone, Copy)]
pub(crate) struct Packaged {
    pub(crate) packages: [&'static str; 3],
    pub(crate) clippy: &'static str,
}

pub(crate) fn is_here() -> bool {
    find_program("apt-get").is_some()
}

/// The packaged compiler that is recent enough.
pub(crate) fn compiler() -> Option<Packaged> {
    let recent = |name| candidate(name).as_deref().and_then(major_minor) >= Some(oldest());
    COMPILERS
        .into_iter()
        .find(|packaged| packaged.packages.into_iter().all(recent))
}

/// Reads the package lists if they know no compiler: a fresh container has none at all.
pub(crate) fn read_lists() -> Result<()> {
    if is_here() && compiler().is_none() {
        refresh()?;
    }
    Ok(())
}

pub(crate) fn provide_compiler() -> Result<()> {
    ensure!(is_here(), "there is no apt-get here (try `{NIGHTLY}`)");
    let packaged = compiler()
        .with_context(|| format!("no packaged compiler is recent enough (try `{NIGHTLY}`)"))?;
    install(
        &packaged.packages,
        "installing a compiler with the library's sources",
    )
}

/// The package of clippy that was built with the compiler in `/usr`.
pub(crate) fn clippy() -> Option<&'static str> {
    let owner = output(Command::new("dpkg-query").args(["--search", "/usr/bin/rustc"])).ok()?;
    let rustc = owner.split(':').next()?;
    COMPILERS
        .iter()
        .find(|packaged| packaged.packages[0] == rustc)
        .map(|packaged| packaged.clippy)
}

pub(crate) fn is_known(package: &str) -> bool {
    candidate(package).is_some()
}

/// The command that installs the packages, for messages.
pub(crate) fn install_line(packages: &[&str]) -> String {
    shown(&install_command(packages))
}

pub(crate) fn install(packages: &[&str], why: &str) -> Result<()> {
    ensure!(
        is_here(),
        "{why}: there is no apt-get here; install what corresponds to {packages:?}"
    );
    if !packages.iter().all(|package| is_known(package)) {
        refresh()?;
    }
    if let Some(unknown) = packages.iter().find(|package| !is_known(package)) {
        bail!("{why}: no package source of this machine has {unknown}");
    }
    step(why, &mut as_root_if_agreed(install_command(packages), why)?)
        .with_context(|| format!("type it to see more: {}", install_line(packages)))
}

/// The names of packages that match a regular expression, in the order of apt.
pub(crate) fn names(pattern: &str) -> Result<Vec<String>> {
    ensure!(
        is_here(),
        "there is no apt-get here, which knows the packages"
    );
    let found = output(Command::new("apt-cache").args(["search", "--names-only", pattern]))?;
    let names = found
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    Ok(names.map(str::to_owned).collect())
}

/// A package, and those that it needs and this machine has not.
pub(crate) fn with_needed(package: &str) -> Result<Vec<String>> {
    ensure!(is_here(), "there is no apt-get here, which has {package}");
    if !is_known(package) {
        refresh()?;
    }
    let mut simulate = Command::new("apt-get");
    simulate.args(["install", "--simulate", "-q", "--no-install-recommends"]);
    let told = output(simulate.arg(package).env("LC_ALL", "C"))?;
    Ok(parse_simulated(&told))
}

/// What would be installed, by the words of `apt-get install --simulate`.
fn parse_simulated(told: &str) -> Vec<String> {
    let packages = told.lines().filter_map(|line| line.strip_prefix("Inst "));
    let names = packages.filter_map(|package| package.split(' ').next());
    names.map(str::to_owned).collect()
}

/// Fetches packages and unpacks them into a folder, which is complete or not there at all, however this ends.
/// Nothing is installed.
pub(crate) fn unpack(packages: &[String], folder: &Path, why: &str) -> Result<()> {
    let partial = folder.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    let (debs, root) = (partial.join("debs"), partial.join("root"));
    fs::create_dir_all(&debs)?;
    let mut download = Command::new("apt-get");
    download.args(["download", "-q"]).args(packages);
    step(why, download.current_dir(&debs))?;
    for deb in fs::read_dir(&debs)? {
        let mut unpack = Command::new("dpkg-deb");
        output(unpack.arg("--extract").arg(deb?.path()).arg(&root))?;
    }
    fs::rename(&root, folder)?;
    Ok(fs::remove_dir_all(&partial)?)
}

pub(crate) fn refresh() -> Result<()> {
    let why = "reading the package lists";
    let mut update = Command::new("apt-get");
    update.args(["update", "-q"]);
    step(why, &mut as_root_if_agreed(update, why)?)
}

fn install_command(packages: &[&str]) -> Command {
    let mut apt = Command::new("apt-get");
    // `--no-remove`: should a package exclude one that is installed, the owner has to decide.
    apt.env("DEBIAN_FRONTEND", "noninteractive")
        .args([
            "install",
            "-q",
            "-y",
            "--no-install-recommends",
            "--no-remove",
        ])
        .args(packages);
    apt
}

/// The version that apt would install.
fn candidate(package: &str) -> Option<String> {
    if !is_here() {
        return None;
    }
    let mut policy = Command::new("apt-cache");
    parse_candidate(&output(policy.args(["policy", package]).env("LC_ALL", "C")).ok()?)
}

fn parse_candidate(policy: &str) -> Option<String> {
    let version = policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidate_is_read_from_policy() {
        let known = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n";
        assert_eq!(
            parse_candidate(known).as_deref(),
            Some("1.96.0+dfsg1-1~deb12u2")
        );
        assert_eq!(
            parse_candidate("x:\n  Installed: (none)\n  Candidate: (none)\n"),
            None
        );
        assert_eq!(parse_candidate(""), None);
    }

    #[test]
    fn what_would_be_installed_is_read_from_a_simulation() {
        let told = "The following packages will be REMOVED:\n  qemu-utils\n\
                    Remv qemu-utils [1:10.0.2+ds-2]\n\
                    Inst seabios (1.16.2-1 Debian:12.15/oldstable [all])\n\
                    Inst libfdt1 [1.6.0-1] (1.6.1-4+b1 Debian:12.15/oldstable [amd64])\n\
                    Conf seabios (1.16.2-1 Debian:12.15/oldstable [all])\n";
        assert_eq!(parse_simulated(told), ["seabios", "libfdt1"]);
        assert!(parse_simulated("qemu-system-x86 is already the newest version.\n").is_empty());
    }

    #[test]
    fn install_line_can_be_typed() {
        assert_eq!(
            install_line(&["nmap"]),
            "DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
             --no-remove nmap"
        );
    }
}
