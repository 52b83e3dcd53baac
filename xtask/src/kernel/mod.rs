//! `cargo xtask test --kernel VERSION`: the object on a kernel of Debian's, in a machine of its own.
//!
//! QEMU without acceleration boots the packaged kernel with a file system in memory that holds the tests
//! and what they call. Each says on the serial console whether it passed. It takes minutes: there the
//! verifier alone takes a quarter of a minute to check both programs.

mod binaries;
mod emulator;
mod initramfs;
mod machine;
mod package;

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context as _, Result, ensure};

use self::{
    binaries::Built, emulator::Emulator, initramfs::Tree, machine::Report, package::Kernel,
};
use crate::{
    process::find_program,
    setup::{self, test_tools},
    workspace,
};

/// What tells in a few minutes whether a kernel takes the programs, and whether they judge there as they do
/// on the host and at both hooks.
const TARGETS: [&str; 5] = [
    "kernel_object",
    "kernel_engines",
    "kernel_table",
    "kernel_cookies",
    "live_hooks",
];

/// Runs test targets of tcpguard, if not others these, on the newest packaged kernel of a version such as 6.1.
pub(crate) fn run(version: &str, chosen: &[OsString]) -> Result<()> {
    setup::ensure()?;
    test_tools::ensure()?;
    let chosen: Vec<_> = chosen.iter().map(|it| it.to_string_lossy()).collect();
    let mut targets: Vec<&str> = chosen.iter().map(|it| &**it).collect();
    if targets.is_empty() {
        targets.extend(TARGETS);
    }
    let emulator = Emulator::provide()?;
    let kernel = Kernel::provide(version)?;
    let built = Built::build(&targets)?;
    let initramfs = initramfs(&kernel, &targets, &built)?;
    eprintln!("==> Linux {} in QEMU", kernel.release);
    let log = kernel.folder.join("console.log");
    let report = machine::boot(&emulator, &kernel.image, &initramfs, &log)?;
    let failed = failures(&targets, &report);
    ensure!(
        failed.is_empty(),
        "on Linux {}: {}; the console is above and in {}",
        kernel.release,
        failed.join(", "),
        log.display()
    );
    println!("passed on Linux {}: {}", kernel.release, targets.join(", "));
    Ok(())
}

/// The file system of the machine, packed.
fn initramfs(kernel: &Kernel, targets: &[&str], built: &Built) -> Result<PathBuf> {
    let mut tree = Tree::new(&kernel.folder.join("initramfs"))?;
    tree.add_system(kernel)?;
    for file in &built.files {
        tree.add(file)?;
    }
    tree.make_folder(&workspace::target_dir().join("tmp"))?;
    let pairs = targets.iter().zip(&built.tests);
    let line = |(name, binary): (&&str, &PathBuf)| {
        let args = args(name);
        format!("{name} {} {args}\n", binary.display())
    };
    tree.write("tests", &pairs.map(line).collect::<String>())?;
    tree.pack(&kernel.folder.join("initramfs.cpio"))
}

/// What a test's binary is told: what a live test waits for comes in time if nothing else is on its way.
fn args(target: &str) -> &'static str {
    if target.starts_with("live_") {
        "--test-threads=1"
    } else {
        ""
    }
}

/// What did not pass, in words.
fn failures(targets: &[&str], report: &Report) -> Vec<String> {
    let told = targets.iter().filter_map(|name| match report.passed(name) {
        Some(true) => None,
        Some(false) => Some(format!("{name} failed")),
        None => Some(format!("{name} did not end")),
    });
    told.collect()
}

/// A program of this machine, also where a user's PATH does not lead.
fn found(program: &str) -> Result<PathBuf> {
    find_program(program).with_context(|| format!("{program} is not on PATH"))
}
