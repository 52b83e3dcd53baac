//! `cargo xtask object`: the BPF object for loaders other than ours.
//!
//! The build script makes it next to the embedded one, without logging: the map of aya-log is of a
//! kind that libbpf no longer reads.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};

use crate::{process::output, setup, workspace};

/// What the build script calls it in its `OUT_DIR`, and what the world does.
const BUILT: &str = "tcpguard-export.bpf.o";
const EXPORTED: &str = "tcpguard.bpf.o";

pub(crate) fn run(out: Option<PathBuf>) -> Result<()> {
    setup::ensure()?;
    let out = out.unwrap_or_else(|| workspace::target_dir().join("dist"));
    let built = out_dir()?.join(BUILT);
    let exported = out.join(EXPORTED);
    fs::create_dir_all(&out).with_context(|| format!("failed to create {}", out.display()))?;
    fs::copy(&built, &exported).with_context(|| {
        format!(
            "failed to copy {} to {}",
            built.display(),
            exported.display()
        )
    })?;
    println!("{}", exported.display());
    Ok(())
}

/// Builds tcpguard and asks cargo where its build script has put things.
fn out_dir() -> Result<PathBuf> {
    let messages = output(
        workspace::cargo()
            .args(["build", "--release", "--package", "tcpguard"])
            .arg("--message-format=json-render-diagnostics")
            .stderr(Stdio::inherit()),
    )?;
    parse_out_dir(&messages).context("cargo did not say where tcpguard's build script writes")
}

/// Cargo prints one JSON object a line.
fn parse_out_dir(messages: &str) -> Option<PathBuf> {
    let executed = messages.lines().find(|line| {
        line.contains(r#""reason":"build-script-executed""#) && line.contains("/tcpguard#")
    })?;
    let (_, rest) = executed.split_once(r#""out_dir":""#)?;
    let (out_dir, _) = rest.split_once('"')?;
    Some(Path::new(out_dir).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = r#"{"reason":"build-script-executed","package_id":"registry+x#libc@0.2.1","out_dir":"/t/libc/out"}"#;
    const OURS: &str = r#"{"reason":"build-script-executed","package_id":"path+file:///w/tcpguard#0.1.0","linked_libs":[],"env":[],"out_dir":"/t/release/build/tcpguard-1f/out"}"#;

    #[test]
    fn out_dir_of_our_build_script_is_found() {
        let messages = format!("{OTHER}\n{OURS}\n");
        let expected = Path::new("/t/release/build/tcpguard-1f/out");
        assert_eq!(parse_out_dir(&messages).as_deref(), Some(expected));
        assert_eq!(parse_out_dir(OTHER), None);
    }
}
