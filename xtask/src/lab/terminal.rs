//! A terminal that nobody sits at, by tmux.

use std::process::{self, Command};

use anyhow::{Context, Result};

use super::namespace::Namespace;
use crate::process::output;

/// A terminal of 80x24 in a namespace. Dropping it ends what runs in it.
#[derive(Debug)]
pub struct Terminal<'a> {
    namespace: &'a Namespace,
    name: String,
}

impl<'a> Terminal<'a> {
    /// One in which a shell runs this script.
    pub fn new(namespace: &'a Namespace, name: &str, script: &str) -> Result<Self> {
        let terminal = Self {
            namespace,
            name: format!("tcpguard-{name}-{}", process::id()),
        };
        let session = ["-f", "/dev/null", "new-session", "-d"];
        let mut tmux = terminal.tmux();
        tmux.args(session).args(["-x", "80", "-y", "24"]);
        output(tmux.args(["sh", "-c", script]))?;
        Ok(terminal)
    }

    /// Strikes keys, as tmux calls them.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        output(self.tmux().arg("send-keys").args(keys)).map(drop)
    }

    /// Makes it another size.
    pub fn resize(&self, width: &str, height: &str) -> Result<()> {
        let mut tmux = self.tmux();
        output(tmux.args(["resize-window", "-x", width, "-y", height])).map(drop)
    }

    /// What is on it.
    pub fn screen(&self) -> Result<String> {
        output(self.tmux().args(["capture-pane", "-p"]))
    }

    /// The same, with what paints it.
    pub fn painted_screen(&self) -> Result<String> {
        output(self.tmux().args(["capture-pane", "-p", "-e"]))
    }

    /// The process that was started in it: the shell, or what that has become by `exec`.
    pub fn process(&self) -> Result<u32> {
        let told = output(self.tmux().args(["display-message", "-p", "#{pane_pid}"]))?;
        let process = told.trim().parse();
        process.with_context(|| format!("tmux calls a process \"{}\"", told.trim()))
    }

    fn tmux(&self) -> Command {
        let mut tmux = self.namespace.command("tmux");
        tmux.args(["-u", "-L", &self.name]);
        // What the caller itself runs in has no say.
        tmux.env_remove("TMUX").env("TERM", "xterm-256color");
        tmux
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        // Where what runs in it has ended, it is gone.
        let _ = output(self.tmux().arg("kill-server"));
    }
}
