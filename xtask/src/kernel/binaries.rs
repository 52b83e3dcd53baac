//! What runs inside: the test binaries, and what they expect where they were built.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{process::output, workspace};

/// What cargo has built.
pub(super) struct Built {
    /// The binaries of the test targets, in their order.
    pub(super) tests: Vec<PathBuf>,
    /// All files that have to be there: these, the program and the objects.
    pub(super) files: Vec<PathBuf>,
}

impl Built {
    /// Builds test targets of the package `tcpguard`.
    pub(super) fn build(targets: &[&str]) -> Result<Self> {
        let mut cargo = workspace::cargo();
        cargo.args(["test", "--no-run", "--package", "tcpguard"]);
        cargo.arg("--message-format=json-render-diagnostics");
        for target in targets {
            cargo.args(["--test", target]);
        }
        eprintln!("==> building the tests");
        let messages = messages(&mut cargo)?;
        let find = |name: &str, kind: &str| {
            let built = messages.iter().find_map(|it| executable(it, name, kind));
            built.with_context(|| format!("cargo has built no {name}"))
        };
        let tests: Vec<_> = targets
            .iter()
            .map(|name| find(name, "test"))
            .collect::<Result<_>>()?;
        let mut files = tests.clone();
        files.push(find("tcpguard", "bin")?);
        files.extend(messages.iter().filter_map(objects).flatten());
        Ok(Self { tests, files })
    }
}

/// What cargo says, a message a line.
fn messages(cargo: &mut Command) -> Result<Vec<Value>> {
    // What it complains about is longer than an error.
    let told =
        output(cargo.stderr(Stdio::inherit())).context("the tests do not build, see above")?;
    let lines = told.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).context("cargo does not speak JSON"))
        .collect()
}

fn executable(message: &Value, name: &str, kind: &str) -> Option<PathBuf> {
    let target = &message["target"];
    let is_wanted = target["name"] == name && target["kind"][0] == kind;
    let executable = message["executable"].as_str()?;
    is_wanted.then(|| executable.into())
}

/// The objects that the build script of `tcpguard` leaves.
fn objects(message: &Value) -> Option<Vec<PathBuf>> {
    let package = message["package_id"].as_str()?;
    let folder = message["out_dir"].as_str()?;
    if !package.contains("/tcpguard#") {
        return None;
    }
    let entries = fs::read_dir(folder).ok()?.flatten();
    let files = entries.map(|entry| entry.path());
    Some(
        files
            .filter(|file| file.extension().is_some_and(|it| it == "o"))
            .collect(),
    )
}
