//! A node of a cluster, as far as the containers of the manifests see it (see `container.sh`).

use std::{
    env, fs,
    path::PathBuf,
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;
use xtask::lab::namespace::Namespace;

use crate::common::{Ended, Process, TCPGUARD, cable, stdout};

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/live_kubernetes/container.sh"
);

/// The address that the kubelet knows it by.
pub(crate) const ADDRESS: &str = "192.0.2.1";

/// A network namespace with the interface `guarded`, which its default route leads to.
pub(crate) struct Node {
    pub(crate) network: Namespace,
    _street: Namespace,
    folder: PathBuf,
}

impl Node {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (network, street) = cable();
        for line in [
            &format!("address add {ADDRESS}/24 dev guarded"),
            "route add default via 192.0.2.254",
        ] {
            let mut ip = network.command("ip");
            stdout(ip.args(line.split(' ')));
        }
        mount_bpffs();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tcpguard-node-{}-{number}", process::id());
        let folder = env::temp_dir().join(name);
        for inside in ["config", "root"] {
            fs::create_dir_all(folder.join(inside)).unwrap();
        }
        Self {
            network,
            _street: street,
            folder,
        }
    }

    /// Gives pods that start from now on this configuration.
    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.folder.join("config/tcpguard.toml"), text).unwrap();
    }

    /// Starts a container as its manifest says.
    pub(crate) fn start(&self, container: &Value) -> Process {
        let mut unshare = self.network.command("unshare");
        unshare.args(["--mount", SCRIPT]).arg(&self.folder);
        unshare.args([TCPGUARD, bpffs(container), &capabilities(container)]);
        Process::spawn(unshare.args(args(container)))
    }

    /// Starts one that has to come to an end.
    pub(crate) fn run(&self, container: &Value) -> Ended {
        self.start(container).end()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // What has been mounted in it was so in other mount namespaces.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// As systemd does on a node, once for all.
fn mount_bpffs() {
    let script = "mountpoint -q /sys/fs/bpf || mount -t bpf -o mode=0700 bpf /sys/fs/bpf";
    stdout(Command::new("sh").args(["-c", script]));
}

/// How bpffs is mounted.
fn bpffs(container: &Value) -> &'static str {
    let mounts = container["volumeMounts"].as_array().unwrap();
    let mut bpffs = mounts.iter().filter(|it| it["mountPath"] == "/sys/fs/bpf");
    if bpffs.next().unwrap()["readOnly"] == true {
        "ro"
    } else {
        "rw"
    }
}

/// The only capabilities, as setpriv takes them.
fn capabilities(container: &Value) -> String {
    let capabilities = &container["securityContext"]["capabilities"];
    assert_eq!(capabilities["drop"][0], "ALL");
    let added = capabilities["add"].as_array().unwrap().iter();
    let added = added.map(|name| format!(",+{}", name.as_str().unwrap().to_lowercase()));
    format!("-all{}", added.collect::<String>())
}

/// Its arguments with variables in place, as the kubelet does that.
fn args(container: &Value) -> Vec<String> {
    let args = container["args"].as_array().unwrap().iter();
    args.map(|arg| arg.as_str().unwrap().replace("$(NODE_IP)", ADDRESS))
        .collect()
}
