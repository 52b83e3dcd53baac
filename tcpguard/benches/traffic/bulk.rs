//! As much as goes over one connection, by iperf3.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::lab::place::{Place, SERVER};

/// Which way the octets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// An iperf3 that waits for clients, until it is dropped.
pub(crate) struct Iperf<'a> {
    place: &'a Place,
    server: Child,
    /// What it says has somewhere to go.
    said: BufReader<ChildStdout>,
}

impl<'a> Iperf<'a> {
    pub(crate) fn start(place: &'a Place) -> Result<Self> {
        let mut command = place.receiver.command("iperf3");
        command.args(["--server", "--forceflush"]);
        let spawned = command.stdout(Stdio::piped()).spawn();
        let mut server = spawned.context("failed to start iperf3")?;
        let said = server.stdout.take().context("iperf3 has no stdout")?;
        let mut iperf = Self {
            place,
            server,
            said: BufReader::new(said),
        };
        iperf.wait_until_it_listens()?;
        Ok(iperf)
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        let mut line = String::new();
        while !line.contains("listening") {
            line.clear();
            if self.said.read_line(&mut line)? == 0 {
                bail!("iperf3 does not listen");
            }
        }
        Ok(())
    }

    /// Megabits a second that got there.
    pub(crate) fn measure(&self, way: Way, seconds: u32) -> Result<f64> {
        let cpus = self.place.cpus;
        let mut client = self.place.sender.command("iperf3");
        client
            .args(["--json", "--client", &SERVER.to_string()])
            .args(["--time", &seconds.to_string()])
            .args(["--affinity", &format!("{},{}", cpus.sender, cpus.receiver)]);
        if way == Way::ToClient {
            client.arg("--reverse");
        }
        let said = client.output().context("failed to start iperf3")?.stdout;
        let said: Value = serde_json::from_slice(&said).context("iperf3 speaks no JSON")?;
        if let Some(error) = said["error"].as_str() {
            bail!("iperf3: {error}");
        }
        let bits = said["end"]["sum_received"]["bits_per_second"].as_f64();
        Ok(bits.context("iperf3 does not say how fast it was")? / 1e6)
    }
}

impl Drop for Iperf<'_> {
    fn drop(&mut self) {
        // One that has ended meanwhile is what is wanted.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
