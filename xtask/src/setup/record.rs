//! What set-up found, written down for `tcpguard/build.rs` and for the next set-up.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{linker, rustc::Compiler};
use crate::workspace;

/// Name of the file inside the tools' directory; the build script knows it too.
const FILE: &str = "bpf-toolchain";

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Record {
    /// Holds `bin/cargo`, `bin/rustc` and the library's sources.
    pub(crate) sysroot: PathBuf,
    pub(crate) linker: PathBuf,
    /// The compiler's own words; another compiler in the same place makes the record stale.
    pub(crate) rustc: String,
}

impl Record {
    pub(crate) fn read(tools: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(tools.join(FILE)).ok()?)
    }

    /// Leaves an equal file alone: the build script watches it and would build anew.
    pub(crate) fn write(&self, tools: &Path) -> Result<()> {
        if Self::read(tools).as_ref() == Some(self) {
            return Ok(());
        }
        let file = tools.join(FILE);
        fs::create_dir_all(tools)
            .and_then(|()| fs::write(&file, self.text()))
            .with_context(|| format!("failed to write {}", file.display()))
    }

    /// Why the record holds no longer, found in a few hundredths of a second.
    pub(crate) fn verify(&self) -> Result<Compiler> {
        let compiler = Compiler::of(&self.sysroot)
            .with_context(|| format!("cannot use {}", self.sysroot.display()))?;
        ensure!(
            compiler.version.line == self.rustc,
            "the compiler in {} is now {}",
            self.sysroot.display(),
            compiler.version.line
        );
        linker::starts(&self.linker)?;
        Ok(compiler)
    }

    /// A program of the toolchain, in the environment that the build script gives its cargo.
    pub(crate) fn command(&self, program: &str) -> Command {
        let bin = self.sysroot.join("bin");
        let mut command = Command::new(bin.join(program));
        command
            .current_dir(workspace::root())
            .env("CARGO", bin.join("cargo"))
            .env("RUSTC", bin.join("rustc"))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", bpf_flags());
        for outer in [
            "LD_LIBRARY_PATH",
            "RUSTUP_TOOLCHAIN",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
        ] {
            command.env_remove(outer);
        }
        command
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.trim().to_owned())
        };
        Some(Self {
            sysroot: field("sysroot")?.into(),
            linker: field("linker")?.into(),
            rustc: field("rustc")?,
        })
    }

    fn text(&self) -> String {
        format!(
            "sysroot={}\nlinker={}\nrustc={}\n",
            self.sysroot.display(),
            self.linker.display(),
            self.rustc
        )
    }
}

/// What the sources of aya and ours are told about the target; linking is the build script's.
fn bpf_flags() -> String {
    let arch = std::env::consts::ARCH;
    format!("--cfg=bpf_target_arch=\"{arch}\"\x1f-Ctarget-cpu=v3")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            sysroot: "/usr".into(),
            linker: "/a b/bpf-linker".into(),
            rustc: "rustc 1.96.0 (x=y)".into(),
        }
    }

    #[test]
    fn record_survives_writing_and_reading() {
        assert_eq!(Record::parse(&record().text()), Some(record()));
    }

    #[test]
    fn incomplete_record_is_no_record() {
        assert_eq!(Record::parse("sysroot=/usr\nlinker=/x\n"), None);
        assert_eq!(Record::parse(""), None);
    }

    #[test]
    fn equal_record_keeps_its_file_time() {
        let tools = std::env::temp_dir().join(format!("xtask-record-{}", std::process::id()));
        record().write(&tools).unwrap();
        let written = fs::metadata(tools.join(FILE)).unwrap().modified().unwrap();
        record().write(&tools).unwrap();
        assert_eq!(
            fs::metadata(tools.join(FILE)).unwrap().modified().unwrap(),
            written
        );
        assert_eq!(Record::read(&tools), Some(record()));
        fs::remove_dir_all(&tools).unwrap();
    }

    #[test]
    fn record_of_a_missing_sysroot_is_stale() {
        let gone = Record {
            sysroot: "/nonexistent".into(),
            ..record()
        };
        assert!(format!("{:#}", gone.verify().unwrap_err()).contains("cannot use /nonexistent"));
    }
}
