//! A receiver that follows connections, or does not.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use aya::{Ebpf, maps::HashMap};
use serde_json::Value;
use tcpguard_common::{conn::Conn, flow::FlowKey4};
use xtask::process::output;

use super::handshake;
use crate::lab::{
    cpus::Cpus,
    generator::Generator,
    means::{attach, nft, tcpguard},
    meter::Meter,
    place::{Place, RECEIVING},
};

/// What follows connections in front of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracker {
    Nothing,
    /// An XDP program that does nothing.
    Pass,
    /// As little as can be, in the kernel's hash map.
    Hash,
    Tcpguard,
    /// The kernel's own.
    Conntrack,
}

impl Tracker {
    pub(crate) const ALL: [Self; 5] = [
        Self::Nothing,
        Self::Pass,
        Self::Hash,
        Self::Tcpguard,
        Self::Conntrack,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no filter",
            Self::Pass => "bare XDP_PASS",
            Self::Hash => "kernel hash",
            Self::Tcpguard => "tcpguard",
            Self::Conntrack => "nft, ct state established",
        }
    }

    /// Whether it knows connections.
    pub(crate) const fn follows(self) -> bool {
        matches!(self, Self::Hash | Self::Tcpguard | Self::Conntrack)
    }

    /// What the rule that ends each segment's way asks of it.
    const fn condition(self) -> &'static str {
        match self {
            Self::Nothing | Self::Pass | Self::Hash | Self::Tcpguard => "",
            Self::Conntrack => "ct state established",
        }
    }
}

/// A receiver with its wire, its sender, and what follows its connections.
pub(crate) struct Host {
    pub(crate) tracker: Tracker,
    pub(crate) place: Place,
    pub(crate) meter: Meter,
    pub(crate) generator: Generator,
    /// Attached while it lives.
    object: Option<Ebpf>,
}

impl Host {
    /// One with room for so many connections.
    pub(crate) fn new(tracker: Tracker, connections: u32) -> Result<Self> {
        let place = Place::new(Cpus::of_this_process()?)?;
        let meter = Meter::of(&place)?;
        let generator = Generator::new(&place, "talking")?;
        let mut host = Self {
            tracker,
            place,
            meter,
            generator,
            object: None,
        };
        host.follow(connections)
            .with_context(|| format!("failed to set up {}", tracker.name()))?;
        Ok(host)
    }

    fn follow(&mut self, connections: u32) -> Result<()> {
        let receiver = &self.place.receiver;
        let attached = |name| attach((receiver, RECEIVING), &[name], connections).map(Some);
        match self.tracker {
            Tracker::Nothing => {}
            // So that all but the first come by the same way through the driver.
            Tracker::Pass | Tracker::Conntrack => self.object = attached("bare_pass")?,
            Tracker::Hash => self.object = attached("hash")?,
            Tracker::Tcpguard => {
                let room = connections.to_string();
                let words = ["attach", "--iface", RECEIVING, "--mode", "native"];
                tcpguard(receiver, &[&words[..], &["--max-conns", &room]].concat())?;
            }
        }
        // Where the kernel's tracker has done its work: the same end for all, before the stack could answer.
        let condition = self.tracker.condition();
        nft(
            receiver,
            &format!(
                "table ip bench {{ counter met {{ }}; chain c {{
                    type filter hook prerouting priority mangle;
                    {condition} counter name met drop; }}; }}"
            ),
        )
    }

    /// Opens the connections from number `from` to below `to`, and makes sure that they are known.
    pub(crate) fn establish(&mut self, base: u32, from: u32, to: u32) -> Result<()> {
        if self.known()?.is_none() {
            return Ok(());
        }
        handshake::establish(&self.place, &mut self.meter, base + from..base + to)?;
        let known = self.known()?.unwrap_or(0);
        // A few may find both of their sets full: those pass and are not remembered.
        ensure!(
            u64::from(known) * 1000 >= u64::from(to) * 999,
            "{} knows {known} of {to} connections",
            self.tracker.name()
        );
        Ok(())
    }

    /// Connections that are followed, established ones where that is told apart; `None` of who follows none.
    fn known(&self) -> Result<Option<u32>> {
        let receiver = &self.place.receiver;
        match self.tracker {
            Tracker::Nothing | Tracker::Pass => Ok(None),
            Tracker::Hash => {
                let map = self.object.as_ref().and_then(|object| object.map("HASH4"));
                let map: HashMap<_, [u8; size_of::<FlowKey4>()], [u8; size_of::<Conn>()]> =
                    map.context("the baseline has no hash map")?.try_into()?;
                Ok(Some(u32::try_from(map.keys().count())?))
            }
            Tracker::Tcpguard => {
                let stats: Value =
                    serde_json::from_str(&tcpguard(receiver, &["stats", "--json"])?)?;
                let known = stats["states"]["ESTABLISHED"].as_u64();
                let known = known.context("the statistics tell nothing of states")?;
                Ok(Some(u32::try_from(known)?))
            }
            Tracker::Conntrack => {
                const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
                let count = receiver.within(|| fs::read_to_string(COUNT))?;
                Ok(Some(count.context(COUNT)?.trim().parse()?))
            }
        }
    }

    /// Segments that have met the end of their way.
    pub(crate) fn met(&self) -> Result<u64> {
        let mut nft = self.place.receiver.command("nft");
        let listed = output(nft.args(["-j", "list", "counter", "ip", "bench", "met"]))?;
        let listed: Value = serde_json::from_str(&listed)?;
        let objects = listed["nftables"].as_array();
        let packets = objects
            .into_iter()
            .flatten()
            .find_map(|object| object["counter"]["packets"].as_u64());
        packets.context("nft tells nothing of its counter")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.tracker == Tracker::Tcpguard
            && let Err(error) = tcpguard(&self.place.receiver, &["detach"])
        {
            eprintln!("warning: {error:#}");
        }
    }
}
