//! Two hosts and a cable, and tcpguard on one end of it.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xtask::{
    lab::{
        link::{VethOptions, veth},
        namespace::Namespace,
    },
    process::output,
};

pub(crate) const TCPGUARD: &str = env!("CARGO_BIN_EXE_tcpguard");
/// The interface that is guarded, and the one at the other end.
pub(crate) const GUARDED: &str = "guarded";
pub(crate) const STREET: &str = "street";

/// Both of them.
pub(crate) struct Place {
    pub(crate) host: Namespace,
    pub(crate) peer: Namespace,
}

/// A guard of `tcpguard attach`, until it is dropped.
pub(crate) struct Attached<'a>(&'a Place);

impl Place {
    pub(crate) fn new() -> Result<Self> {
        let (host, peer) = (Namespace::new("host")?, Namespace::new("peer")?);
        veth((&host, GUARDED), (&peer, STREET), VethOptions::default())?;
        Ok(Self { host, peer })
    }

    /// Attaches a guard with room for so many connections of either version of IP.
    pub(crate) fn attach(&self, connections: u32) -> Result<Attached<'_>> {
        let room = connections.to_string();
        let attached = Attached(self);
        self.tcpguard(&[&["attach"][..], &guarding(&room)].concat())?;
        Ok(attached)
    }

    /// What tcpguard prints there.
    pub(crate) fn tcpguard(&self, words: &[&str]) -> Result<String> {
        output(self.host.command(TCPGUARD).args(words))
    }

    /// The kernel's number of the program that guards the interface.
    pub(crate) fn program(&self) -> Result<Option<u32>> {
        let mut ip = self.host.command("ip");
        let told = output(ip.args(["-json", "link", "show", "dev", GUARDED]))?;
        let links: Value = serde_json::from_str(&told).context("ip tells no JSON")?;
        let id = links[0]["xdp"]["prog"]["id"].as_u64();
        Ok(id.map(u32::try_from).transpose()?)
    }

    /// Waits until the interface is guarded, or is not any more.
    pub(crate) fn wait_until(&self, is_guarded: bool) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let start = Instant::now();
        while self.program()?.is_some() != is_guarded {
            ensure!(start.elapsed() < PATIENCE, "tcpguard does not come or go");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// What tcpguard is to guard, with room for so many connections.
pub(crate) const fn guarding(room: &str) -> [&str; 6] {
    ["--iface", GUARDED, "--mode", "native", "--max-conns", room]
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.tcpguard(&["detach"]) {
            eprintln!("warning: {error:#}");
        }
    }
}
