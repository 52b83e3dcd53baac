//! A Rust compiler that can build for BPF: what it calls itself and whether it will do.
//!
//! No toolchain ships `core` for BPF, so the compiler needs the library's sources in its own
//! sysroot; sources of another version do not compile. `RUSTC_BOOTSTRAP=1` then lets even a stable
//! compiler build them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::process::{is_executable, output};

/// The oldest compiler that the workspace's `rust-version` admits.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Compiler {
    pub(crate) sysroot: PathBuf,
    pub(crate) version: Version,
}

impl Compiler {
    /// The compiler of a sysroot, or why it cannot build the BPF programs.
    pub(crate) fn of(sysroot: &Path) -> Result<Self> {
        let sources = sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml");
        ensure!(sources.is_file(), "no library sources (rust-src)");
        ensure!(
            is_executable(&sysroot.join("bin/cargo")),
            "no cargo beside its rustc"
        );
        let version = Version::of(&sysroot.join("bin/rustc"))?;
        ensure!(
            version.release >= oldest(),
            "{} is older than {OLDEST}",
            version.line
        );
        Ok(Self {
            sysroot: sysroot.to_owned(),
            version,
        })
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Version {
    /// The first line of `rustc -vV`: names the very build, so a changed one is noticed.
    pub(crate) line: String,
    pub(crate) release: (u32, u32),
    /// Its bitcode can be read by this LLVM and later ones.
    pub(crate) llvm: u32,
    pub(crate) host: String,
}

impl Version {
    pub(crate) fn of(rustc: &Path) -> Result<Self> {
        // Cargo points LD_LIBRARY_PATH at the libraries of the toolchain that runs the xtask.
        let said = output(Command::new(rustc).arg("-vV").env_remove("LD_LIBRARY_PATH"))?;
        Self::parse(&said).with_context(|| format!("cannot read `{} -vV`", rustc.display()))
    }

    fn parse(said: &str) -> Option<Self> {
        let field = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
        Some(Self {
            line: said.lines().next()?.trim().to_owned(),
            release: major_minor(field("release: ")?)?,
            llvm: field("LLVM version: ")?
                .split('.')
                .next()?
                .trim()
                .parse()
                .ok()?,
            host: field("host: ")?.trim().to_owned(),
        })
    }
}

pub(crate) fn oldest() -> (u32, u32) {
    major_minor(OLDEST).unwrap_or_default()
}

/// The first two numbers of a version, which may carry a suffix or a package's revision.
pub(crate) fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim().split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STABLE: &str = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\n\
        binary: rustc\ncommit-hash: ac68faa20c58cbccd01ee7208bf3b6e93a7d7f96\n\
        commit-date: 2026-05-25\nhost: x86_64-unknown-linux-gnu\nrelease: 1.96.0\n\
        LLVM version: 22.1.8\n";

    #[test]
    fn version_of_a_release_is_read() {
        let version = Version::parse(STABLE).unwrap();
        assert!(version.line.starts_with("rustc 1.96.0 (ac68faa20"));
        assert_eq!((version.release, version.llvm), ((1, 96), 22));
        assert_eq!(version.host, "x86_64-unknown-linux-gnu");
    }

    #[test]
    fn version_of_a_nightly_is_read() {
        let said = STABLE.replace("release: 1.96.0", "release: 1.98.0-nightly");
        assert_eq!(Version::parse(&said).unwrap().release, (1, 98));
    }

    #[test]
    fn version_without_llvm_is_refused() {
        assert_eq!(Version::parse(&STABLE.replace("LLVM", "GCC")), None);
        assert_eq!(Version::parse(""), None);
    }

    #[test]
    fn packages_versions_are_read() {
        assert_eq!(major_minor("1.96.0+dfsg1-1~deb12u2"), Some((1, 96)));
        assert_eq!(major_minor("(none)"), None);
        assert!(oldest() >= (1, 85));
    }

    #[test]
    fn sysroot_without_sources_is_refused() {
        let error = Compiler::of(Path::new("/nonexistent")).unwrap_err();
        assert!(error.to_string().contains("rust-src"));
    }
}
