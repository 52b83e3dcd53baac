//! `cargo xtask dist`: what a release hands out, a program that runs on any Linux and a Debian package.
//!
//! The package holds the very same program, linked statically: it depends on no version of a C library,
//! so it can be installed on an older system than it was built on.

use std::{env, ffi::OsString, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use xtask::package::{self, Packing};

use crate::{
    process::{find_program, is_executable, output, step},
    setup::{self, Version, test_tools},
    workspace,
};

const DEB_VERSION: &str = "3.8.0";

pub(crate) fn run() -> Result<()> {
    setup::ensure()?;
    test_tools::ensure_packers()?;
    let cargo_deb = cargo_deb()?;
    let program = program()?;
    let dist = workspace::target_dir().join("dist");
    fs::create_dir_all(&dist)?;
    let built = build(&program)?;
    let name = format!("tcpguard-{}-{}", env!("CARGO_PKG_VERSION"), program.target);
    let stripped = dist.join(&name);
    let mut strip = Command::new("strip");
    step(
        "stripping the program",
        strip.arg("-o").arg(&stripped).arg(&built),
    )?;

    let folder = workspace::target_dir().join("package");
    let packing = Packing {
        cargo_deb: &cargo_deb,
        program: &stripped,
        folder: &folder,
        args: &["--no-strip", "--compress-system"],
    };
    let made = package::deb(packing)?;
    let deb = made.file_name().context("a package without a name")?;
    fs::copy(&made, dist.join(deb))?;

    let mut sums = Command::new("sha256sum");
    let sums = output(sums.current_dir(&dist).args(["--", &name]).arg(deb))?;
    fs::write(dist.join("SHA256SUMS"), &sums)?;
    println!("{}:\n{sums}", dist.display());
    Ok(())
}

/// How a program is linked that asks for no library of the system.
struct Program {
    target: String,
    /// What the compiler is told beside the target.
    flags: Option<&'static str>,
}

/// With musl, where the compiler has it or can get it, else with the static half of glibc.
fn program() -> Result<Program> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let host = Version::of(rustc.as_ref())?.host;
    let target = host.replace("-gnu", "-musl");
    if !has_library(&rustc, &target) && find_program("rustup").is_some() {
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", &target]);
        // What is missing then is told below.
        let _ = step("adding a target that links statically", &mut rustup);
    }
    if has_library(&rustc, &target) {
        return Ok(Program {
            target,
            flags: None,
        });
    }
    eprintln!("==> no library for {target} (`rustup target add {target}`): with glibc instead");
    Ok(Program {
        target: host,
        flags: Some("-Ctarget-feature=+crt-static"),
    })
}

/// Whether the compiler has the standard library for a target.
fn has_library(rustc: &OsString, target: &str) -> bool {
    let mut rustc = Command::new(rustc);
    rustc.args(["--print", "target-libdir", "--target", target]);
    output(&mut rustc).is_ok_and(|folder| PathBuf::from(folder.trim()).is_dir())
}

fn build(program: &Program) -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "--locked", "--package", "tcpguard"]);
    cargo.args(["--target", &program.target]);
    if let Some(flags) = program.flags {
        cargo.env("RUSTFLAGS", flags);
    }
    step("building the program", &mut cargo)?;
    let folder = workspace::target_dir().join(&program.target);
    Ok(folder.join("release/tcpguard"))
}

/// cargo-deb of this checkout, built first if it is not there.
pub(crate) fn cargo_deb() -> Result<PathBuf> {
    let own = workspace::tools_dir().join("bin/cargo-deb");
    if !is_executable(&own) {
        let mut install = workspace::cargo_install("cargo-deb", DEB_VERSION);
        // A build without optimisation is done in a third of the time; xz compresses by itself.
        install.args(["--no-default-features", "--features", "gzip", "--debug"]);
        step("building cargo-deb (about a minute, once)", &mut install)?;
    }
    Ok(own)
}
