//! The Debian package: what is in it, and what an operator meets who installs, starts, reloads, upgrades
//! and removes it, on a machine of its own with a systemd of its own.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod machine;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use common::{TCPGUARD, assert_clean, attached, cable, eventually, stdout};
use machine::Machine;
use serde_json::{Value, json};
use xtask::{
    lab::namespace::Namespace,
    package::{self, Packing},
};

/// What `systemd-analyze security` may say at most, in tenths; it says 22.
const EXPOSURE: &str = "--threshold=25";
const UNITS: [&str; 3] = [
    "tcpguard.service",
    "tcpguard@.service",
    "tcpguard-metrics.service",
];

/// The package of the program under test, and that of a later release, which holds the same.
fn packages() -> &'static [PathBuf; 2] {
    static MADE: OnceLock<[PathBuf; 2]> = OnceLock::new();
    MADE.get_or_init(|| ["1.0-1", "1.1-1"].map(package))
}

fn package(version: &str) -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let packing = Packing {
        cargo_deb: &temporary.with_file_name("tools/bin/cargo-deb"),
        program: Path::new(TCPGUARD),
        folder: &temporary.join(format!("package-{version}")),
        args: &["--fast", "-Zgz", "--deb-version", version],
    };
    package::deb(packing)
        .unwrap_or_else(|error| panic!("`cargo xtask test` installs it: {error:#}"))
}

#[test]
fn it_holds_the_program_its_manual_its_completions_and_its_units() {
    let [package, _] = packages();
    let dpkg = |action: &str| stdout(Command::new("dpkg-deb").arg(action).arg(package));
    let listed = dpkg("--contents");
    for (path, mode) in [
        ("usr/bin/tcpguard", "-rwxr-xr-x"),
        ("etc/tcpguard.toml", "-rw-r--r--"),
        ("usr/share/man/man1/tcpguard.1.gz", "-rw-r--r--"),
        ("usr/share/man/man1/tcpguard-reload.1.gz", "-rw-r--r--"),
        (
            "usr/share/bash-completion/completions/tcpguard",
            "-rw-r--r--",
        ),
        ("usr/share/zsh/vendor-completions/_tcpguard", "-rw-r--r--"),
        (
            "usr/share/fish/vendor_completions.d/tcpguard.fish",
            "-rw-r--r--",
        ),
        ("usr/share/doc/tcpguard/copyright", "-rw-r--r--"),
        ("usr/share/doc/tcpguard/LICENSE-APACHE", "-rw-r--r--"),
    ] {
        let has = |line: &&str| line.ends_with(&format!(" ./{path}"));
        let line = listed.lines().find(has);
        let line = line.unwrap_or_else(|| panic!("no {path} in {listed}"));
        assert!(line.starts_with(&format!("{mode} 0/0")), "{line}");
    }
    for unit in UNITS {
        assert!(listed.contains(&format!("./usr/lib/systemd/system/{unit}")));
    }
    let told = dpkg("--info");
    for words in [
        "Package: tcpguard",
        "Version: 1.0-1",
        " libc6 (",
        "init-system-helpers",
        "Section: net",
    ] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
}

#[test]
fn its_file_is_valid_and_names_every_key_and_no_interface() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/tcpguard.toml");
    let told = stdout(Command::new(TCPGUARD).args(["check-config", file]));
    assert!(told.contains("guards what --iface names"), "{told}");

    // With every key that is only mentioned it is valid as well, but for one of the two that exclude each
    // other, and those of files that are not there.
    let text = fs::read_to_string(file).unwrap();
    let is_key =
        |line: &&str| (line.contains(" = ") || line.starts_with("#[")) && !line.starts_with("# ");
    let keys = text.lines().filter(is_key);
    let keys = keys.map(|line| line.trim_start_matches('#'));
    let left_out = ["observe", "trusted", "denied"];
    let keys = keys.filter(|line| !left_out.iter().any(|key| line.starts_with(key)));
    let keys: Vec<_> = keys.collect();
    assert_eq!(keys.len(), 22, "{keys:?}");
    let all = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("every-key.toml");
    fs::write(&all, keys.join("\n")).unwrap();
    let told = stdout(Command::new(TCPGUARD).arg("check-config").arg(&all));
    assert!(told.contains("guards eth0"), "{told}");
}

/// A machine in the eyes of its operator, with the interface `guarded`.
struct Host {
    machine: Machine,
    server: Namespace,
    _street: Namespace,
}

impl Host {
    fn new() -> Self {
        let (server, street) = cable();
        let machine = Machine::start(&server, &packages().each_ref().map(PathBuf::as_path));
        Self {
            machine,
            server,
            _street: street,
        }
    }

    #[track_caller]
    fn install(&self, package: &Path) {
        let name = package.file_name().unwrap().to_str().unwrap();
        self.dpkg(&format!("--install /{name}"));
    }

    /// Without those triggers by which other packages look at the manual.
    #[track_caller]
    fn dpkg(&self, action: &str) {
        self.machine.run(&format!("dpkg --no-triggers {action}"));
    }

    #[track_caller]
    fn edit(&self, sed: &str) {
        self.machine
            .run(&format!("sed -i '{sed}' /etc/tcpguard.toml"));
    }

    /// The only guard there.
    #[track_caller]
    fn guard(&self) -> Value {
        let told: Value =
            serde_json::from_str(&self.machine.run("tcpguard status --json")).unwrap();
        let [ref guard] = told["guards"].as_array().unwrap()[..] else {
            panic!("one guard: {told}")
        };
        guard.clone()
    }

    /// Whether a unit is active, by its word for it.
    fn state(&self, unit: &str) -> String {
        let asked = format!("systemctl is-active {unit} || true");
        self.machine.run(&asked).trim().to_owned()
    }

    fn assert_metrics(&self) {
        let answered = || {
            let told = self
                .machine
                .try_run("curl -s http://127.0.0.1:9640/metrics")?;
            let told = String::from_utf8(told.stdout).unwrap();
            told.contains("interface=\"guarded\"").then_some(())
        };
        eventually("there are metrics", answered);
    }
}

#[test]
fn its_units_are_sound_and_expose_little() {
    let host = Host::new();
    host.install(&packages()[0]);
    for unit in UNITS {
        let path = format!("/usr/lib/systemd/system/{unit}").replace('@', "@wan0");
        if unit.contains('@') {
            host.machine
                .run(&format!("cp /usr/lib/systemd/system/{unit} {path}"));
        }
        let verified = host
            .machine
            .run(&format!("systemd-analyze verify {path} 2>&1"));
        assert_eq!(verified, "", "{unit}");
        let judge = "systemd-analyze security --no-pager --offline=yes";
        host.machine.run(&format!("{judge} {EXPOSURE} {path}"));
    }
}

#[test]
fn it_guards_once_an_interface_is_named_and_at_every_start_of_the_machine() {
    let host = Host::new();
    host.install(&packages()[0]);
    let enabled = "systemctl is-enabled tcpguard tcpguard-metrics || true";
    assert_eq!(host.machine.run(enabled), "disabled\ndisabled\n");
    let unnamed = host.machine.try_run("systemctl start tcpguard").unwrap();
    assert!(!unnamed.status.success(), "{unnamed:?}");
    assert_clean(&host.server, "guarded");
    host.machine.run("systemctl stop tcpguard");

    host.edit(r#"s/^#iface = .*/iface = ["guarded"]/"#);
    host.machine
        .run("systemctl enable --now tcpguard tcpguard-metrics");
    assert_eq!(host.guard()["held_by"], "attach");
    assert_eq!(attached(&host.server, "guarded").len(), 2);
    host.assert_metrics();

    host.edit("s/^#observe = .*/observe = true/");
    host.machine.run("systemctl reload tcpguard");
    assert_eq!(host.guard()["config"]["drop"], json!([]));

    host.machine.restart();
    assert_eq!(host.state("tcpguard"), "active");
    assert_eq!(host.guard()["interface"], "guarded");
    host.assert_metrics();

    host.machine.run("systemctl stop tcpguard");
    assert_eq!(host.state("tcpguard-metrics"), "inactive");
    assert_clean(&host.server, "guarded");
}

#[test]
fn its_unit_sets_what_cookies_take() {
    const SYSCTLS: &str = "net.ipv4.tcp_syncookies net.ipv4.tcp_timestamps";
    let host = Host::new();
    host.install(&packages()[0]);
    host.edit(r#"s/^#iface = .*/iface = ["guarded"]/; s/^#mode = .*/mode = "generic"/"#);
    host.edit("s/^#syn-cookies/syn-cookies/");
    for sysctl in SYSCTLS.split(' ') {
        host.machine.run(&format!("sysctl -q -w {sysctl}=1"));
    }
    host.machine.run("systemctl start tcpguard");
    assert_eq!(host.guard()["config"]["syn_cookies"], "auto");
    let set = host.machine.run(&format!("sysctl -n {SYSCTLS}"));
    assert_eq!(set, "2\n2\n");
}

#[test]
fn an_upgrade_leaves_the_guard_at_work_and_a_removal_leaves_nothing() {
    let host = Host::new();
    let [package, later] = packages();
    host.install(package);
    host.edit(r#"s/^#iface = .*/iface = ["guarded"]/"#);
    host.machine
        .run("systemctl start tcpguard tcpguard-metrics");
    host.assert_metrics();
    let (before, pins) = (host.guard(), host.machine.run(PINS));
    let watching = host.machine.run(WATCHER);
    host.install(later);
    let after = host.guard();
    assert_eq!(host.machine.run(PINS), pins, "it was detached");
    assert_ne!(after["ingress"]["program"], before["ingress"]["program"]);
    assert_eq!(after["config"], before["config"]);
    assert_eq!(host.state("tcpguard"), "active");
    assert_ne!(
        host.machine.run(WATCHER),
        watching,
        "an old program watches"
    );
    host.assert_metrics();

    host.dpkg("--remove tcpguard");
    assert_clean(&host.server, "guarded");
    assert_eq!(host.state("tcpguard"), "inactive");
    assert_eq!(host.state("tcpguard-metrics"), "inactive");
    let file = host.machine.run("cat /etc/tcpguard.toml");
    assert!(file.contains("iface = [\"guarded\"]"), "{file}");
    host.dpkg("--purge tcpguard");
    let left =
        "find /etc /run/systemd /usr/bin /usr/lib/systemd /usr/share /var/lib -name '*tcpguard*'";
    let left = host.machine.run(left);
    assert_eq!(left, "");
}

/// The files by which the guard is held. They are exchanged by none of its programs.
const PINS: &str = "ls -i /sys/fs/bpf/tcpguard/*";
const WATCHER: &str = "systemctl show --property MainPID tcpguard-metrics";

#[test]
fn an_interface_that_comes_and_goes_has_a_unit_of_its_own() {
    let host = Host::new();
    host.install(&packages()[0]);
    // No udev is there to tell systemd of devices.
    let unit = "/etc/systemd/system/tcpguard@.service";
    let without = format!("grep -v ^BindsTo= /usr/lib/systemd/system/tcpguard@.service > {unit}");
    host.machine.run(&without);
    host.machine.run("systemctl daemon-reload");
    host.machine.run("systemctl start tcpguard@guarded");
    assert_eq!(host.guard()["held_by"], "attach");
    host.edit(r#"s/^#iface = .*/iface = ["other"]/; s/^#observe = .*/observe = true/"#);
    host.machine.run("systemctl reload tcpguard@guarded");
    assert_eq!(host.guard()["config"]["drop"], json!([]));
    host.machine.run("systemctl stop tcpguard@guarded");
    assert_clean(&host.server, "guarded");
}
