//! The program `ip`, which makes namespaces, interfaces and addresses.

use std::{
    io::{self, ErrorKind, Write},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use anyhow::{Context, Error, Result, bail};

/// What `ip ARGS` prints.
pub(super) fn ip(args: &[&str]) -> Result<String> {
    run(args, "")
}

/// Runs `script`, one `ip` command a line, inside of the namespace.
pub(super) fn ip_batch(namespace: &str, script: &str) -> Result<()> {
    run(&["-n", namespace, "-batch", "-"], script)
        .with_context(|| format!("failed to configure the namespace {namespace}"))
        .map(drop)
}

fn run(args: &[&str], input: &str) -> Result<String> {
    let mut command = Command::new("ip");
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // A group of its own: Ctrl-C must not cut short what sets up, least of all what cleans up.
    command.process_group(0);
    let mut child = command.spawn().map_err(cannot_start)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(input.as_bytes())
            .context("failed to write to `ip`")?;
    }
    let output = child
        .wait_with_output()
        .context("failed to wait for `ip`")?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`ip {}` failed: {}",
            args.join(" "),
            complaint.trim().replace('\n', "; ")
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn cannot_start(error: io::Error) -> Error {
    let way_out = if error.kind() == ErrorKind::NotFound {
        "failed to start `ip`; `apt-get install iproute2` brings it"
    } else {
        "failed to start `ip`"
    };
    Error::new(error).context(way_out)
}
