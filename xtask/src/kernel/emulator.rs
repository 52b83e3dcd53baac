//! QEMU: that of this machine, or Debian's, unpacked and never installed.
//!
//! A package of QEMU's may exclude one of another release that is installed (`qemu-utils` of backports does), and
//! a program that finds its own files wherever it lies need not be installed.

use std::{env, ffi::OsString, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{process::find_program, setup::debian, workspace};

/// That of PCs, and its package on Debian.
const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGE: &str = "qemu-system-x86";

/// Where libraries lie that are unpacked with it.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];

/// What runs a kernel.
pub(super) struct Emulator {
    pub(super) program: PathBuf,
    /// For `LD_LIBRARY_PATH`, if it is not this machine's own.
    pub(super) libraries: Option<OsString>,
}

impl Emulator {
    /// The installed one, or the packaged one, fetched if it is not here.
    pub(super) fn provide() -> Result<Self> {
        if let Some(program) = find_program(PROGRAM) {
            return Ok(Self {
                program,
                libraries: None,
            });
        }
        let folder = workspace::tools_dir().join("qemu");
        if !folder.exists() {
            let packages = debian::with_needed(PACKAGE)?;
            debian::unpack(&packages, &folder, "fetching QEMU")?;
        }
        let libraries = env::join_paths(LIBRARIES.map(|libraries| folder.join(libraries)));
        Ok(Self {
            program: folder.join("usr/bin").join(PROGRAM),
            libraries: Some(libraries.context("there is a colon in the target directory's path")?),
        })
    }
}
