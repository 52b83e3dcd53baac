//! The containers of the Kubernetes manifests, run as a node would run them: what happens when a pod
//! starts, ends, is rolled out with another configuration or a broken one, and when all is removed.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../kubernetes/mod.rs"]
mod kubernetes;
mod node;

use std::fs;

use common::{ERROR, Process, assert_clean, attached, eventually, json, pins};
use kubernetes::{configuration, container, manifest};
use nix::sys::signal::Signal;
use node::{ADDRESS, Node};
use serde_json::{Value, json};

/// The guard of the node, as its operator sees it; but for the time, which is reckoned anew each time.
fn guard(node: &Node) -> Value {
    let mut status = node.network.command(common::TCPGUARD);
    let mut told = json(status.args(["status", "--json"]));
    let guards = told["guards"].as_array_mut().unwrap();
    assert_eq!(guards.len(), 1, "{guards:?}");
    guards[0].as_object_mut().unwrap().remove("since");
    guards[0].take()
}

/// Starts what watches, until its probe says that it is ready.
#[track_caller]
fn watch(node: &Node) -> Process {
    let container = container(&manifest("tcpguard.yaml", "DaemonSet"), "watch");
    let process = node.start(&container);
    let probe = &container["readinessProbe"]["httpGet"];
    let port = container["ports"][0]["containerPort"].as_u64().unwrap();
    assert_eq!(probe["port"], container["ports"][0]["name"]);
    let url = format!("http://{ADDRESS}:{port}{}", probe["path"].as_str().unwrap());
    eventually("it is ready", || {
        let mut curl = node.network.command("curl");
        let output = curl.args(["--silent", "--fail", &url]).output().unwrap();
        output.status.success().then(|| {
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.contains("interface=\"guarded\""), "{text}");
        })
    });
    process
}

/// The files that hold the guard, by which it is known whether it was ever taken off.
fn held(node: &Node) -> Vec<(String, u64)> {
    use std::os::unix::fs::MetadataExt as _;

    let entries = fs::read_dir(pins(&node.network)).unwrap();
    let mut held: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, entry.metadata().unwrap().ino())
        })
        .collect();
    held.sort();
    held
}

#[test]
fn a_node_is_guarded_from_its_first_pod_to_its_removal_whatever_happens_to_pods() {
    let node = Node::new();
    let pods = manifest("tcpguard.yaml", "DaemonSet");
    let first = container(&pods, "guard");
    node.configure(&configuration());
    let ended = node.run(&first);
    assert!(ended.status.success(), "{ended:?}");
    let before = guard(&node);
    assert_eq!(before["interface"], "guarded", "by its default route");
    assert_eq!(before["held_by"], "attach");
    assert_eq!(before["config"]["drop"], json!([]));
    let held_before = held(&node);

    // The pod is deleted, and with it what watches.
    let watching = watch(&node);
    watching.signal(Signal::SIGTERM);
    assert!(watching.end().status.success());
    assert_eq!(guard(&node), before);

    // The next one, of a rollout with another configuration.
    node.configure(&configuration().replace("observe = true", "enforce = [\"flags\"]"));
    let ended = node.run(&first);
    assert!(ended.status.success(), "{ended:?}");
    let after = guard(&node);
    assert_eq!(held(&node), held_before, "it was taken off");
    assert_ne!(after["ingress"]["program"], before["ingress"]["program"]);
    assert_ne!(after["config"]["drop"], json!([]));
    assert_eq!(after["config"]["max_conns"], before["config"]["max_conns"]);
    let watching = watch(&node);

    // One with a mistake, or with what only another guard could have: it stays as it is.
    for (text, told) in [
        (
            "iface = [\"default\"]\nobserv = true",
            "did you mean `observe`",
        ),
        (
            "iface = [\"default\"]\nmax-conns = 100",
            "max-conns cannot be changed",
        ),
        ("iface = [\"eth7\"]", "eth7"),
    ] {
        node.configure(text);
        let ended = node.run(&first);
        assert_eq!(ended.status.code(), ERROR, "{ended:?}");
        assert!(ended.stderr.contains(told), "{ended:?}");
        assert_eq!(guard(&node), after);
    }
    watching.signal(Signal::SIGTERM);
    assert!(watching.end().status.success());

    let removal = container(&manifest("remove/detach.yaml", "DaemonSet"), "detach");
    let ended = node.run(&removal);
    assert!(
        ended.stdout.contains("detached guarded: ingress"),
        "{ended:?}"
    );
    assert_clean(&node.network, "guarded");
    let again = node.run(&removal);
    assert!(again.status.success() && again.stdout.contains("nothing is attached"));
}

#[test]
fn what_watches_may_do_nothing_else() {
    let node = Node::new();
    node.configure(&configuration());
    let pods = manifest("tcpguard.yaml", "DaemonSet");
    assert!(node.run(&container(&pods, "guard")).status.success());
    let programs = attached(&node.network, "guarded");
    let mut watch = container(&pods, "watch");
    watch["args"] = json!(["detach"]);
    let ended = node.run(&watch);
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
    assert_eq!(attached(&node.network, "guarded"), programs);
}

#[test]
fn a_node_without_a_default_route_is_told_of_and_not_guarded() {
    let node = Node::new();
    node.configure(&configuration());
    common::stdout(
        node.network
            .command("ip")
            .args(["route", "delete", "default"]),
    );
    let ended = node.run(&container(&manifest("tcpguard.yaml", "DaemonSet"), "guard"));
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
    assert!(ended.stderr.contains("no default route"), "{ended:?}");
    assert_clean(&node.network, "guarded");
}
