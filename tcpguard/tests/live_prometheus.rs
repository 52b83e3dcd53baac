//! The dashboard and the alerts of `tcpguard/dist` in a real Prometheus that scrapes a guard.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path as FilePath, PathBuf},
    sync::atomic::AtomicBool,
    time::Duration,
};

use common::{Process, TCPGUARD, eventually, json, stdout};
use nix::sys::signal::Signal;
use serde_json::Value;
use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    attack::{Scan, Volley},
    client::Client,
    namespace::Namespace,
    network::{Network, UPLINK},
    path::Path,
    web::WebServer,
};

/// Where a guard is scraped.
const GUARD: &str = "127.0.0.1:9640";
/// Where Prometheus is asked.
const PROMETHEUS: &str = "127.0.0.1:9090";
const PORT: u16 = 80;

const DASHBOARD: &str = include_str!("../dist/grafana-dashboard.json");
const ALERTS: &str = include_str!("../dist/alerts.yml");
const ALERTS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/alerts.yml");

/// A Prometheus beside a guard, which scrapes it and holds the alerts against it.
struct Prometheus<'a> {
    namespace: &'a Namespace,
    process: Process,
    directory: PathBuf,
}

impl<'a> Prometheus<'a> {
    fn start(namespace: &'a Namespace) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("prometheus");
        // What a run that was killed has left.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let config = directory.join("prometheus.yml");
        fs::write(&config, configuration()).unwrap();
        let mut command = namespace.command("prometheus");
        command.arg(argument("config.file", &config));
        command.arg(argument("storage.tsdb.path", &directory.join("data")));
        command.arg(format!("--web.listen-address={PROMETHEUS}"));
        let process = Process::spawn(&mut command);
        process.wait_for("Server is ready to receive web requests");
        Self {
            namespace,
            process,
            directory,
        }
    }

    /// The data of an answer that is a success.
    fn ask(&self, path: &str, parameters: &[String]) -> Value {
        let mut curl = self.namespace.command("curl");
        curl.args(["--silent", "--noproxy", "*", "--get"]);
        for parameter in parameters {
            curl.args(["--data-urlencode", parameter]);
        }
        let mut answer = json(curl.arg(format!("http://{PROMETHEUS}/api/v1/{path}")));
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer["data"].take()
    }

    /// Whether an expression is answered with any data.
    fn knows(&self, expression: &str) -> bool {
        let data = self.ask("query", &[format!("query={expression}")]);
        !data["result"].as_array().unwrap().is_empty()
    }

    fn rules(&self) -> Vec<Value> {
        let mut data = self.ask("rules", &[]);
        let mut groups = data["groups"].as_array_mut().unwrap().drain(..);
        let mut group = groups.next().unwrap();
        assert!(groups.next().is_none());
        group["rules"].as_array_mut().unwrap().drain(..).collect()
    }

    fn end(self) {
        self.process.signal(Signal::SIGTERM);
        let ended = self.process.end();
        assert!(ended.status.success(), "{ended:?}");
        fs::remove_dir_all(self.directory).unwrap();
    }
}

fn argument(name: &str, path: &FilePath) -> String {
    format!("--{name}={}", path.display())
}

/// What the README shows, but sooner.
fn configuration() -> String {
    format!(
        "global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n\
         rule_files: [{ALERTS_FILE:?}]\n\
         scrape_configs:\n- job_name: tcpguard\n  static_configs: [{{targets: [{GUARD:?}]}}]\n"
    )
}

/// Everything that the dashboard asks for, of all guards.
fn expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let asked = targets.flatten().map(|target| &target["expr"]);
    asked
        .map(|expression| {
            let of_all = expression.as_str().unwrap().replace("$instance", ".+");
            of_all.replace("$__rate_interval", "10s")
        })
        .collect()
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<&str> {
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_';
    text.split(|it| !is_part(it))
        .filter(|word| word.starts_with("tcpguard_"))
        .collect()
}

/// Segments of a kind that is dropped, and of one that only is counted.
fn attack(network: &Network) {
    let scan = |flags| Scan {
        flags,
        ports: 1..=20,
    };
    let volley = Volley {
        scans: &[scan(TcpFlags::NULL), scan(TcpFlags::ACK)],
        paths: &[Path::Ipv4],
        rounds: 20,
        pace: Duration::from_millis(1),
    };
    let attacker = network.attacker().unwrap();
    attacker.send(&volley, &AtomicBool::new(false)).unwrap();
}

#[test]
fn every_panel_has_data_and_every_alert_is_evaluated() {
    let network = Network::new().unwrap();
    let server = &network.server;
    let _web = WebServer::start(server, PORT, 1000).unwrap();
    let options = [
        "--metrics",
        GUARD,
        "--enforce",
        "flags",
        "--max-conns",
        "4096",
    ];
    let guard = Process::guard(server, &[UPLINK], &options);
    let service = Network::service(Path::Ipv4, PORT);
    let client = Client::start(&network.client, service, Duration::from_millis(20)).unwrap();
    let prometheus = Prometheus::start(server);
    for expression in expressions() {
        eventually(&format!("data of {expression}"), || {
            let is_known = prometheus.knows(&expression);
            if !is_known {
                attack(&network);
            }
            is_known.then_some(())
        });
    }
    let requests = client.finish();
    assert_eq!(requests.failed(), 0, "{requests:?}");

    let rules = eventually("all alerts are evaluated", || {
        let rules = prometheus.rules();
        let are_known = rules.iter().all(|rule| rule["health"] != "unknown");
        are_known.then_some(rules)
    });
    assert_eq!(rules.len(), ALERTS.matches("- alert: ").count());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{rule}"
        );
        for annotation in ["summary", "description", "runbook"] {
            assert!(rule["annotations"][annotation].is_string(), "{rule}");
        }
    }

    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
    eventually("the guard is missed", || {
        let is_missed = prometheus.knows(r#"ALERTS{alertname="TcpguardDown"}"#);
        is_missed.then_some(())
    });
    prometheus.end();
}

#[test]
fn panels_and_alerts_name_metrics_that_are_written() {
    let network = Network::new().unwrap();
    let guard = Process::guard(&network.server, &[UPLINK], &[]);
    let text = stdout(network.server.command(TCPGUARD).arg("metrics"));
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let written: BTreeSet<_> = families
        .filter_map(|family| family.split(' ').next())
        .collect();
    for file in [DASHBOARD, ALERTS] {
        let unknown: Vec<_> = named(file).difference(&written).copied().collect();
        assert!(unknown.is_empty(), "no such metrics: {unknown:?}");
    }
    let unshown: Vec<_> = written.difference(&named(DASHBOARD)).copied().collect();
    assert!(unshown.is_empty(), "on no panel: {unshown:?}");
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
}
