//! bpf-linker: turns the compiler's bitcode into a BPF object with BTF.
//!
//! It carries LLVM inside. LLVM reads bitcode of its own and of earlier major versions only, so the
//! compiler decides which LLVM the linker needs at least.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{debian, rustc::major_minor};
use crate::{
    process::{find_program, output, shown, step},
    workspace,
};

/// Names a linker to use instead of any that would be found.
pub(crate) const OVERRIDE: &str = "TCPGUARD_BPF_LINKER";

const VERSION: &str = "0.13.0";

/// The LLVM majors that this version of bpf-linker has features for.
const LLVM_MAJORS: [u32; 3] = [21, 22, 23];

/// How a machine comes to a linker, nearest first.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Linker {
    Ready(PathBuf),
    /// LLVM's development files are here.
    Buildable {
        llvm: u32,
        prefix: PathBuf,
    },
    /// Debian has LLVM's development files.
    Packaged {
        llvm: u32,
    },
}

impl Linker {
    /// The best that this machine offers to a compiler with that LLVM.
    pub(crate) fn find(compilers_llvm: u32) -> Result<Self> {
        if let Some(named) = named()? {
            return Ok(Self::Ready(named));
        }
        if let Some(path) = existing(compilers_llvm) {
            return Ok(Self::Ready(path));
        }
        let fitting = || {
            LLVM_MAJORS
                .into_iter()
                .filter(move |major| *major >= compilers_llvm)
        };
        for llvm in fitting() {
            if let Some(prefix) = development_files(llvm) {
                return Ok(Self::Buildable { llvm, prefix });
            }
        }
        fitting()
            .find(|major| debian::is_known(&package(*major)))
            .map(|llvm| Self::Packaged { llvm })
            .with_context(|| no_llvm(compilers_llvm))
    }

    /// The linker itself, after whatever has to be installed for it.
    pub(crate) fn obtain(self) -> Result<PathBuf> {
        match self {
            Self::Ready(path) => Ok(path),
            Self::Buildable { llvm, prefix } => build(llvm, &prefix),
            Self::Packaged { llvm } => {
                debian::install(&[&package(llvm)], "installing LLVM for bpf-linker")?;
                let prefix = development_files(llvm)
                    .with_context(|| format!("{} has no development files", package(llvm)))?;
                build(llvm, &prefix)
            }
        }
    }

    /// What `obtain` would type.
    pub(crate) fn commands(&self) -> Vec<String> {
        match self {
            Self::Ready(_) => Vec::new(),
            Self::Buildable { llvm, prefix } => vec![shown(&build_command(*llvm, prefix))],
            Self::Packaged { llvm } => {
                let prefix = debian_prefix(*llvm);
                vec![
                    debian::install_line(&[&package(*llvm)]),
                    shown(&build_command(*llvm, &prefix)),
                ]
            }
        }
    }
}

/// The linker that the user has named.
pub(crate) fn named() -> Result<Option<PathBuf>> {
    let Some(named) = env::var_os(OVERRIDE).map(PathBuf::from) else {
        return Ok(None);
    };
    starts(&named).with_context(|| format!("{OVERRIDE} names no bpf-linker"))?;
    Ok(Some(named))
}

/// The version of a linker that is there and finds its libraries.
pub(crate) fn starts(linker: &Path) -> Result<String> {
    // Cargo points LD_LIBRARY_PATH at the toolchain's libraries, among them another LLVM.
    let said = output(
        Command::new(linker)
            .arg("--version")
            .env_remove("LD_LIBRARY_PATH"),
    )?;
    let version = said.trim().strip_prefix("bpf-linker ");
    version
        .map(str::to_owned)
        .with_context(|| format!("{} is another program", linker.display()))
}

fn existing(compilers_llvm: u32) -> Option<PathBuf> {
    let own = workspace::tools_dir().join("bin/bpf-linker");
    [Some(own), find_program("bpf-linker")]
        .into_iter()
        .flatten()
        .find(|linker| fits(linker, compilers_llvm))
}

/// A linker whose LLVM cannot be told (a static one) does not fit: the build would fail late.
fn fits(linker: &Path, compilers_llvm: u32) -> bool {
    let Ok(version) = starts(linker) else {
        return false;
    };
    let libraries = output(
        Command::new("ldd")
            .arg(linker)
            .env_remove("LD_LIBRARY_PATH"),
    );
    let llvm = libraries.ok().as_deref().and_then(linked_llvm);
    major_minor(&version) >= major_minor(VERSION) && llvm >= Some(compilers_llvm)
}

/// The LLVM major in the output of `ldd`: `libLLVM.so.22.1` or, older, `libLLVM-22.so.1`.
fn linked_llvm(libraries: &str) -> Option<u32> {
    let name = libraries
        .lines()
        .find_map(|line| line.trim().strip_prefix("libLLVM"))?;
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// The prefix under which LLVM of that major is installed with its headers.
fn development_files(llvm: u32) -> Option<PathBuf> {
    let asked = |config: String| output(Command::new(config).arg("--prefix")).ok();
    let told = env::var_os("LLVM_PREFIX").map(PathBuf::from);
    [told, Some(debian_prefix(llvm))]
        .into_iter()
        .flatten()
        .chain(
            [format!("llvm-config-{llvm}"), "llvm-config".into()]
                .into_iter()
                .filter_map(asked)
                .map(|prefix| PathBuf::from(prefix.trim())),
        )
        .find(|prefix| is_llvm(prefix, llvm))
}

fn is_llvm(prefix: &Path, llvm: u32) -> bool {
    let version = output(Command::new(prefix.join("bin/llvm-config")).arg("--version"));
    let major = version
        .ok()
        .as_deref()
        .and_then(major_minor)
        .map(|(major, _)| major);
    major == Some(llvm) && prefix.join("include/llvm-c/Core.h").exists()
}

fn build(llvm: u32, prefix: &Path) -> Result<PathBuf> {
    let why = format!("building bpf-linker {VERSION} with LLVM {llvm} (about a minute)");
    step(&why, &mut build_command(llvm, prefix))?;
    let linker = workspace::tools_dir().join("bin/bpf-linker");
    starts(&linker).context("the bpf-linker just built does not start")?;
    Ok(linker)
}

fn build_command(llvm: u32, prefix: &Path) -> Command {
    let mut install = workspace::cargo_install("bpf-linker", VERSION);
    install
        .args([
            "--force",
            "--no-default-features",
            "--features",
            &format!("llvm-{llvm}"),
        ])
        .env("LLVM_PREFIX", prefix);
    install
}

fn package(llvm: u32) -> String {
    format!("llvm-{llvm}-dev")
}

fn debian_prefix(llvm: u32) -> PathBuf {
    format!("/usr/lib/llvm-{llvm}").into()
}

fn no_llvm(compilers_llvm: u32) -> String {
    let newest = LLVM_MAJORS[LLVM_MAJORS.len() - 1];
    if compilers_llvm > newest {
        return format!("its LLVM {compilers_llvm} is newer than bpf-linker {VERSION} knows");
    }
    let oldest = compilers_llvm.max(LLVM_MAJORS[0]);
    format!(
        "no development files of LLVM {oldest} to {newest} for bpf-linker (install llvm-{oldest}-dev \
         or what corresponds to it, and set LLVM_PREFIX if it lies in an unusual place)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_is_read_from_the_libraries() {
        let new = "\tlibLLVM.so.22.1 => /usr/lib/llvm-22/lib/libLLVM.so.22.1 (0x00007f89c2200000)";
        assert_eq!(linked_llvm(new), Some(22));
        assert_eq!(linked_llvm("\tlibLLVM-19.so.1 => not found"), Some(19));
        assert_eq!(linked_llvm("\tlibc.so.6 => /lib/libc.so.6"), None);
    }

    #[test]
    fn build_command_names_llvm_twice() {
        let line = shown(&build_command(22, Path::new("/usr/lib/llvm-22")));
        assert!(line.contains("LLVM_PREFIX=/usr/lib/llvm-22 "));
        assert!(line.ends_with("--no-default-features --features llvm-22"));
    }

    #[test]
    fn advice_depends_on_the_compilers_llvm() {
        assert!(no_llvm(22).contains("llvm-22-dev"));
        assert!(no_llvm(19).contains("llvm-21-dev"));
        assert!(no_llvm(24).contains("newer than bpf-linker"));
    }
}
