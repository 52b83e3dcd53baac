//! The exported object in the hands of another loader: bpftool, and by it libbpf. Needs root.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{collections::BTreeSet, fs, process::Command};

use common::{Pinned, json, stdout};
use tcpguard_common::abi::{COUNTERS, EGRESS_PROGRAM, INGRESS_PROGRAM};

const EMBEDDED: &str = concat!(env!("OUT_DIR"), "/tcpguard.bpf.o");
const EXPORTED: &str = concat!(env!("OUT_DIR"), "/tcpguard-export.bpf.o");

/// The variables of a data section of an object, by its BTF.
fn section(object: &str, name: &str) -> BTreeSet<String> {
    let btf = json(Command::new("bpftool").args(["--json", "btf", "dump", "file", object]));
    let types = btf["types"].as_array().unwrap();
    let name_of = |id: &serde_json::Value| {
        let var = types.iter().find(|entry| entry["id"] == *id).unwrap();
        var["name"].as_str().unwrap().to_owned()
    };
    let is_wanted =
        |entry: &&serde_json::Value| entry["kind"] == "DATASEC" && entry["name"] == name;
    let section = types.iter().find(is_wanted);
    let section = section.unwrap_or_else(|| panic!("{object} has no section {name} in its BTF"));
    let vars = section["vars"].as_array().unwrap();
    vars.iter().map(|var| name_of(&var["type_id"])).collect()
}

#[test]
fn bpftool_loads_the_exported_object_and_finds_its_maps() {
    let pinned = Pinned::load(EXPORTED);
    let pins: BTreeSet<String> = fs::read_dir(pinned.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in [INGRESS_PROGRAM, EGRESS_PROGRAM, COUNTERS] {
        assert!(pins.contains(name), "no {name} in {pins:?}");
    }
    let mut show = Command::new("bpftool");
    let map = json(
        show.args(["--json", "map", "show", "pinned"])
            .arg(pinned.path(COUNTERS)),
    );
    assert_eq!(map["name"], COUNTERS);
    assert_eq!(map["type"], "percpu_array");
    let size = size_of::<tcpguard_common::counters::Counters>();
    assert_eq!(map["bytes_value"], size, "{map}");
}

#[test]
fn every_map_of_ours_is_defined_by_btf_in_both_objects() {
    let exported = section(EXPORTED, ".maps");
    assert!(exported.contains(COUNTERS), "{exported:?}");
    let embedded = section(EMBEDDED, ".maps");
    assert_eq!(embedded, exported);
}

#[test]
fn nothing_stays_in_bpffs() {
    let pinned = Pinned::load(EXPORTED);
    let path = pinned.path("");
    assert!(path.exists());
    drop(pinned);
    assert!(!path.exists());
    let mounts = stdout(Command::new("cat").arg("/proc/self/mounts"));
    assert!(!mounts.contains(path.to_str().unwrap()), "{mounts}");
}
