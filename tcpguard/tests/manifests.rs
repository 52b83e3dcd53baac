//! The Kubernetes manifests, against the schemas of their kinds and against each other.

mod kubernetes;

use std::{collections::BTreeSet, fs, process::Command};

use kubernetes::{FILES, configuration, container, file, manifest, manifests, path, validated};
use serde_json::{Value, json};

const TCPGUARD: &str = env!("CARGO_BIN_EXE_tcpguard");
const CONTAINERFILE: &str = include_str!("../dist/kubernetes/Containerfile");

#[test]
fn every_manifest_fits_its_schema_and_its_namespace() {
    let mut kinds = BTreeSet::new();
    for name in FILES {
        for manifest in manifests(name) {
            let kind = manifest["kind"].as_str().unwrap().to_owned();
            if kind != "Namespace" {
                assert_eq!(manifest["metadata"]["namespace"], "tcpguard", "{kind}");
            }
            kinds.insert(kind);
        }
    }
    let all = [
        "ConfigMap",
        "DaemonSet",
        "Namespace",
        "PodMonitor",
        "ServiceAccount",
    ];
    assert_eq!(Vec::from_iter(kinds), all);
}

/// Else a schema that lets everything pass would go unnoticed.
#[test]
fn a_field_that_is_misspelled_or_has_a_wrong_value_is_told_by_its_name() {
    let mistakes = [
        (
            "tcpguard.yaml",
            "hostNetwork: true",
            "hostNetwrk: true",
            "hostNetwrk",
        ),
        ("tcpguard.yaml", "hostPort: 9640", "hostPort: many", "many"),
        ("tcpguard.yaml", "drop: [ALL]", "dropp: [ALL]", "dropp"),
        (
            "podmonitor.yaml",
            "interval: 15s",
            "intervall: 15s",
            "intervall",
        ),
        (
            "podmonitor.yaml",
            "action: replace",
            "action: replce",
            "action",
        ),
        (
            "remove/detach.yaml",
            "tolerations:",
            "toleration:",
            "toleration",
        ),
    ];
    let broken = mistakes.map(|(name, right, wrong, _)| {
        let text = fs::read_to_string(path(name)).unwrap();
        assert!(text.contains(right), "{name}: {right}");
        file(&format!("{wrong}.yaml"), &text.replace(right, wrong))
    });
    for ((.., told), answer) in mistakes.iter().zip(validated(&broken)) {
        let complaint = answer["error"].as_str();
        assert!(
            complaint.is_some_and(|it| it.contains(told)),
            "{told}: {answer}"
        );
    }
}

#[test]
fn what_names_each_other_fits() {
    let guard = manifest("tcpguard.yaml", "DaemonSet");
    let monitor = manifest("podmonitor.yaml", "PodMonitor");
    let labels = &guard["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&guard["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&monitor["spec"]["selector"]["matchLabels"], labels);
    // The label whose value is the name of the job.
    let job = monitor["spec"]["jobLabel"].as_str().unwrap();
    assert_eq!(labels[job], "tcpguard");
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    let watch = container(&guard, "watch");
    let ports = watch["ports"].as_array().unwrap();
    assert!(ports.iter().any(|port| port["name"] == endpoint["port"]));
    let removal = manifest("remove/detach.yaml", "DaemonSet");
    let image = format!("tcpguard:{}", env!("CARGO_PKG_VERSION"));
    for (pods, name) in [(&guard, "guard"), (&guard, "watch"), (&removal, "detach")] {
        assert_eq!(container(pods, name)["image"], image);
    }
    assert!(CONTAINERFILE.contains(&format!("-t {image} ")));
    assert_ne!(removal["spec"]["selector"], guard["spec"]["selector"]);
}

#[test]
fn each_container_has_what_it_needs_and_no_more() {
    let guard = manifest("tcpguard.yaml", "DaemonSet");
    let removal = manifest("remove/detach.yaml", "DaemonSet");
    let to_attach = json!(["BPF", "NET_ADMIN", "PERFMON"]);
    let to_take_over = json!(["BPF", "NET_ADMIN", "PERFMON", "SYS_ADMIN"]);
    for (pods, name, capabilities) in [
        (&guard, "guard", to_take_over),
        (&guard, "watch", json!(["SYS_ADMIN"])),
        (&removal, "detach", to_attach),
    ] {
        let context = &container(pods, name)["securityContext"];
        assert_eq!(
            context["capabilities"],
            json!({"drop": ["ALL"], "add": capabilities})
        );
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["privileged"], Value::Null);
        let pod = &pods["spec"]["template"]["spec"];
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["hostPID"], Value::Null);
    }
}

#[test]
fn the_configuration_is_valid_and_drops_nothing_at_first() {
    let file = file("kubernetes.toml", &configuration());
    let output = Command::new(TCPGUARD)
        .arg("check-config")
        .arg(file)
        .output();
    let output = output.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("guards default; drops nothing (--observe)"),
        "{told}"
    );
}
