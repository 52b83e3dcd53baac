//! What `tcpguard/dist` gives to Prometheus and Grafana, by itself: rules by their own tests, and the
//! dashboard by what Grafana needs. `live_prometheus.rs` holds both against a guard.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

const DASHBOARD: &str = include_str!("../dist/grafana-dashboard.json");
const ALERTS: &str = include_str!("../dist/alerts.yml");
const ALERTS_TEST: &str = include_str!("../dist/alerts_test.yml");

#[track_caller]
fn assert_promtool(task: &str, file: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args([task, "rules", file]);
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/dist");
    let output = promtool
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("promtool (is it installed?): {error}"));
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn alerts_fire_where_they_must_and_nowhere_else() {
    assert_promtool("check", "alerts.yml");
    assert_promtool("test", "alerts_test.yml");
}

#[test]
fn every_alert_is_tested_where_it_fires() {
    let lines = ALERTS.lines().map(str::trim);
    let names: Vec<_> = lines
        .filter_map(|line| line.strip_prefix("- alert: "))
        .collect();
    assert!(!names.is_empty());
    for name in names {
        let firing = format!("'ALERTS{{alertname=\"{name}\", alertstate=\"firing\"");
        let by_name = format!("alertname: {name}\n");
        // With what is expected on lines of its own, and not `[]` behind it.
        let fires = |test: &str| test.lines().nth(1).map(str::trim) == Some("exp_alerts:");
        let mut tests = ALERTS_TEST.split(&by_name).skip(1);
        assert!(
            ALERTS_TEST.contains(&firing) || tests.any(fires),
            "{name} has no test"
        );
    }
}

#[test]
fn every_panel_is_explained_and_asks_the_chosen_source_for_the_chosen_guards() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "panels share a number");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_ne!(panel["title"], "", "{panel}");
        assert_ne!(panel["description"], "", "{panel}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{target}");
            let expression = target["expr"].as_str().unwrap();
            let metrics = expression.matches("tcpguard_").count();
            let chosen = expression.matches(r#"{instance=~"$instance""#).count();
            assert_eq!(metrics, chosen, "{expression}");
        }
    }
}
