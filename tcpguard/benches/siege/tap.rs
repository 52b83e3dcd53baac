//! What of a flood gets behind each filter, counted by the kernel's own rules and by no code of ours.

use anyhow::{Context as _, Result};
use serde_json::Value;
use xtask::process::output;

use super::{
    lab::{means::nft, place::Place},
    wave::Wave,
};

/// Fragments are counted before they are put together, which those of a flood never are, and all else behind the
/// rules of the filters.
const RULES: &str = "table inet tap {
    counter fragments { }
    counter segments { }
    chain early { type filter hook prerouting priority -450;
        ip saddr 10.9.0.0/16 ip frag-off & 0x3fff != 0 counter name fragments;
        ip6 saddr 2001:db8:9::/48 exthdr frag exists counter name fragments; }
    chain late { type filter hook input priority 300;
        ip saddr 10.9.0.0/16 counter name segments;
        ip6 saddr 2001:db8:9::/48 counter name segments; }
}";

/// Rules that count and do nothing else.
pub(crate) struct Tap<'a>(&'a Place);

impl<'a> Tap<'a> {
    pub(crate) fn open(place: &'a Place) -> Result<Self> {
        nft(&place.receiver, RULES)?;
        Ok(Self(place))
    }

    /// Frames of a flood that have passed until now.
    pub(crate) fn passed(&self, wave: Option<Wave>) -> Result<u64> {
        let Some(wave) = wave else {
            return Ok(0);
        };
        let name = if wave.flood.is_fragment() {
            "fragments"
        } else {
            "segments"
        };
        let mut list = self.0.receiver.command("nft");
        let told = output(list.args(["-j", "list", "counter", "inet", "tap", name]))?;
        let told: Value = serde_json::from_str(&told).context("nft tells no JSON")?;
        let packets = told["nftables"][1]["counter"]["packets"].as_u64();
        packets.with_context(|| format!("nft does not tell what it has counted: {told}"))
    }
}
