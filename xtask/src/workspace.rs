//! Where things are: the workspace, its target directory, the tools built into it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The kernel crate; it is built for BPF only, so every host command leaves it out.
pub(crate) const KERNEL_CRATE: &str = "tcpguard-ebpf";

/// Selects every crate that is built for the host.
pub(crate) const HOST_CRATES: [&str; 3] = ["--workspace", "--exclude", KERNEL_CRATE];

pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

pub(crate) fn target_dir() -> PathBuf {
    // A relative CARGO_TARGET_DIR counts from the current directory, as it does for cargo.
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => env::current_dir().unwrap_or_default().join(dir),
        None => root().join("target"),
    }
}

/// Where `cargo install` puts what is built for this checkout alone.
pub(crate) fn tools_dir() -> PathBuf {
    target_dir().join("tools")
}

/// The cargo that runs this xtask, at the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    if env::var_os("CARGO_TARGET_DIR").is_some() {
        cargo.env("CARGO_TARGET_DIR", target_dir());
    }
    cargo
}

/// `cargo install` of a tool for this checkout, out of a build directory of its own.
pub(crate) fn cargo_install(name: &str, version: &str) -> Command {
    let mut cargo = cargo();
    cargo.env_remove("CARGO_TARGET_DIR");
    cargo
        .args(["install", name, "--version", version, "--locked", "--root"])
        .arg(tools_dir());
    cargo
}
