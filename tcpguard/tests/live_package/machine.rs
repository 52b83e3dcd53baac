//! A machine to install packages on, which forgets everything with its owner (see `machine.sh`).

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Child, Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use xtask::lab::namespace::Namespace;

use crate::common::{self, eventually};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live_package/machine.sh");

/// A running machine.
pub(crate) struct Machine {
    folder: PathBuf,
    shell: Child,
}

impl Machine {
    /// Switches one on, in a network namespace, with these files in its root.
    pub(crate) fn start(namespace: &Namespace, files: &[&Path]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tcpguard-machine-{}-{number}", process::id());
        let folder = env::temp_dir().join(name);
        for inside in ["files", "memory"] {
            fs::create_dir_all(folder.join(inside)).unwrap();
        }
        for file in files {
            let name = file.file_name().unwrap();
            fs::copy(file, folder.join("files").join(name)).unwrap();
        }
        let mut unshare = namespace.command("unshare");
        let shell = unshare.args(["--mount", SCRIPT]).arg(&folder).spawn();
        let machine = Self {
            folder,
            shell: shell.unwrap(),
        };
        machine.wait_until_started();
        machine
    }

    fn wait_until_started(&self) {
        let active = || {
            let told = self.try_run("systemctl is-active multi-user.target")?;
            told.status.success().then_some(())
        };
        eventually("the machine has started", active);
    }

    /// The number of its first process, in the eyes of this one.
    fn init(&self) -> Option<i32> {
        let number = fs::read_to_string(self.folder.join("init")).ok()?;
        number.trim().parse().ok()
    }

    fn command(&self, script: &str) -> Option<Command> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init()?.to_string()]);
        command.args(["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]);
        command.args(["sh", "-c", script]);
        Some(command)
    }

    /// What a line of shell in it says; `None` while it is off.
    pub(crate) fn try_run(&self, script: &str) -> Option<Output> {
        self.command(script).map(|mut it| it.output().unwrap())
    }

    /// The same, if it succeeds.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> String {
        common::stdout(&mut self.command(script).unwrap())
    }

    /// Restarts it, as an operator would.
    pub(crate) fn restart(&self) {
        let before = self.init();
        self.try_run("systemctl reboot");
        let other = || self.init().is_some_and(|it| Some(it) != before);
        eventually("the machine goes down and comes up", || {
            other().then_some(())
        });
        self.wait_until_started();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // After a failed test some of this may be gone already.
        let _ = fs::write(self.folder.join("stop"), "");
        if let Some(init) = self.init() {
            let _ = kill(Pid::from_raw(init), Signal::SIGKILL);
        }
        let _ = self.shell.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
