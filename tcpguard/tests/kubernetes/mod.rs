//! The manifests for Kubernetes, as they are after the schemas had nothing against them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary takes the part that it needs"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/kubernetes");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kubernetes/manifests.py");

/// The files, by their names in their folder.
pub(crate) const FILES: [&str; 3] = ["tcpguard.yaml", "podmonitor.yaml", "remove/detach.yaml"];

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// What the schemas say of files, each of which has `manifests` or an `error`.
pub(crate) fn validated(files: &[PathBuf]) -> Vec<Value> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
    let mut python = Command::new(tools.join("schemas/bin/python"));
    let output = python.arg(SCRIPT).args(files).output();
    let output =
        output.unwrap_or_else(|error| panic!("`cargo xtask test` installs the schemas: {error}"));
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The manifests of a file.
#[track_caller]
pub(crate) fn manifests(name: &str) -> Vec<Value> {
    static FOUND: OnceLock<Vec<Value>> = OnceLock::new();
    let found = FOUND.get_or_init(|| validated(&FILES.map(path)));
    let at = FILES.iter().position(|file| *file == name).unwrap();
    let manifests = found[at]["manifests"].as_array();
    manifests
        .unwrap_or_else(|| panic!("{name}: {}", found[at]))
        .clone()
}

/// The only manifest of a kind in a file.
#[track_caller]
pub(crate) fn manifest(name: &str, kind: &str) -> Value {
    let all = manifests(name);
    let mut found = all.into_iter().filter(|it| it["kind"] == kind);
    found
        .next()
        .unwrap_or_else(|| panic!("no {kind} in {name}"))
}

/// A container of a pod, by its name.
#[track_caller]
pub(crate) fn container(pods: &Value, name: &str) -> Value {
    let pod = &pods["spec"]["template"]["spec"];
    let lists = ["initContainers", "containers"].map(|list| pod[list].as_array());
    let mut all = lists.into_iter().flatten().flatten();
    all.find(|it| it["name"] == name).unwrap().clone()
}

/// The configuration that the pods find.
pub(crate) fn configuration() -> String {
    let map = manifest("tcpguard.yaml", "ConfigMap");
    map["data"]["tcpguard.toml"].as_str().unwrap().to_owned()
}

/// A file of this test alone.
pub(crate) fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}
