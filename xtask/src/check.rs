//! `cargo xtask check`: everything that can be wrong with code that compiles.
//!
//! Clippy runs twice: the kernel crate exists for BPF only, and one pass over both targets would
//! unite the features of the shared crate, so that neither is linted as it is built.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{
    process::{find_program, is_executable, step},
    setup::{self, Record},
    workspace,
};

const DENY_VERSION: &str = "0.20.2";

pub(crate) fn run() -> Result<()> {
    let toolchain = setup::toolchain()?;
    let checks: [(&str, Result<()>); 5] = [
        ("format", format()),
        ("clippy", clippy()),
        ("clippy for BPF", clippy_bpf(&toolchain)),
        ("documentation", documentation()),
        ("dependencies", dependencies()),
    ];
    let mut failed = Vec::new();
    for (name, result) in checks {
        if let Err(error) = result {
            eprintln!("{name}: {error:#}");
            failed.push(name);
        }
    }
    ensure!(failed.is_empty(), "check failed: {}", failed.join(", "));
    Ok(())
}

fn format() -> Result<()> {
    step(
        "checking the format",
        workspace::cargo().args(["fmt", "--all", "--check"]),
    )
    .context("`cargo fmt` repairs it (`rustup component add rustfmt` if it is missing)")
}

fn clippy() -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo
        .arg("clippy")
        .args(workspace::HOST_CRATES)
        .args(["--all-targets", "--quiet"]);
    step(
        "linting what runs on the host",
        cargo.args(["--", "-Dwarnings"]),
    )
    .context("see above (`rustup component add clippy` if it is missing)")
}

/// Clippy of the very toolchain that builds for BPF: library sources fit one compiler only.
fn clippy_bpf(toolchain: &Record) -> Result<()> {
    setup::ensure_clippy(&toolchain.sysroot)?;
    // Logging is compiled into one of the objects and left out of the other.
    for features in [&[][..], &["--all-features"]] {
        let mut clippy = toolchain.command("cargo-clippy");
        clippy
            .args([
                "clippy",
                "--quiet",
                "--release",
                "--package",
                workspace::KERNEL_CRATE,
            ])
            .args([
                "-Zbuild-std=core",
                "--target",
                "bpfel-unknown-none",
                "--target-dir",
            ])
            .arg(workspace::target_dir().join("bpf-clippy"))
            .args(features)
            .args(["--", "-Dwarnings"]);
        step("linting what runs in the kernel", &mut clippy)?;
    }
    Ok(())
}

fn documentation() -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo
        .arg("doc")
        .args(workspace::HOST_CRATES)
        .args(["--no-deps", "--quiet"]);
    step(
        "checking the documentation",
        cargo.env("RUSTDOCFLAGS", "-Dwarnings"),
    )
}

/// Licences, duplicates and origins; advisories would need a download at every run.
fn dependencies() -> Result<()> {
    let own = workspace::tools_dir().join("bin/cargo-deny");
    let found = find_program("cargo-deny").or_else(|| is_executable(&own).then(|| own.clone()));
    if found.is_none() {
        let mut install = workspace::cargo_install("cargo-deny", DENY_VERSION);
        step(
            "building cargo-deny (about three minutes, once)",
            &mut install,
        )?;
    }
    let mut check = Command::new(found.unwrap_or(own));
    check
        .current_dir(workspace::root())
        .args(["--offline", "check", "--hide-inclusion-graph"]);
    step(
        "checking the dependencies",
        check.args(["licenses", "bans", "sources"]),
    )
}
