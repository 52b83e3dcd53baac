//! Other programs on the links and maps of a pinned guard.
//!
//! Both work on the same maps, and a link changes from one to the other between two frames, so no
//! frame goes by unjudged and no connection is forgotten. Killed at any moment, it leaves hooks with
//! the old program and hooks with the new one, which agree with each other; started again, it goes on.

use anyhow::{Context as _, Result, bail, ensure};
use aya::Ebpf;
use tcpguard_common::abi::{Config, Hook};

use crate::{
    found::{self, Found},
    guard,
    object::{self, KEPT, Log},
    pins::{Pin, Pins},
    sample::Egress,
};

/// A guard that is pinned, and its links.
pub(crate) struct Pinned {
    pub(crate) found: Found,
    links: Vec<Pin>,
}

/// The pinned guards on the named interfaces, with their links; all of them if none is named.
pub(crate) fn pinned(pins: &Pins, names: &[String]) -> Result<Vec<Pinned>> {
    let pins = pins.here()?;
    let mut guards = Vec::new();
    for found in found::guards()? {
        let is_of = |pin: &&Pin| found.interfaces.iter().any(|it| it.index == pin.index);
        let links: Vec<_> = pins.iter().filter(is_of).cloned().collect();
        if !links.is_empty() {
            join(&mut guards, Pinned { found, links });
        }
    }
    let is_on = |guard: &Pinned, name: &String| guard.found.names().contains(name);
    for name in names {
        let is_attached = guards.iter().any(|guard| is_on(guard, name));
        ensure!(is_attached, "`tcpguard attach` guards nothing on {name}");
    }
    if !names.is_empty() {
        guards.retain(|guard| names.iter().any(|name| is_on(guard, name)));
    }
    ensure!(
        !guards.is_empty(),
        "nothing is attached in this network namespace that could be changed: a guard of \
         `tcpguard run` is changed by starting it anew"
    );
    Ok(guards)
}

/// Adds a guard; to another one if both are halves of an exchange that was killed.
fn join(guards: &mut Vec<Pinned>, guard: Pinned) {
    let table = guard.found.table().ok();
    let is_half = |it: &&mut Pinned| table.is_some() && it.found.table().ok() == table;
    match guards.iter_mut().find(is_half) {
        Some(half) => {
            half.found.interfaces.extend(guard.found.interfaces);
            half.links.extend(guard.links);
        }
        None => guards.push(guard),
    }
}

impl Pinned {
    /// What its programs were loaded with; fails with the way out if another version made them.
    pub(crate) fn config(&self) -> Result<Config> {
        self.found.config().context(
            "its connections can be adopted, but not taken over: `tcpguard detach`, then \
             `tcpguard attach`, with --learn where connections go through this host",
        )
    }

    /// Puts the programs of this release on its links, loaded with `config`, which may differ from the
    /// present one in what does not shape the maps.
    pub(crate) fn exchange(&self, pins: &Pins, config: &Config) -> Result<()> {
        check_links(&self.found, config, &self.links)?;
        // Whether the tables have the shape that the new programs expect.
        self.found.flows()?;
        let config = Config {
            release: Config::DEFAULT.release,
            ..*config
        };
        let mut ebpf = open(pins, &self.found, &config)?;
        guard::load(&mut ebpf)?;
        let mut changed = "";
        for hook in [Hook::Egress, Hook::Ingress] {
            for pin in self.links.iter().filter(|pin| pin.hook == hook) {
                replace(&mut ebpf, pin)
                    .with_context(|| format!("failed to change {pin}{changed}"))?;
                changed = ", after others were: what is changed works with what is not, and the same \
                           command goes on";
            }
        }
        Ok(())
    }
}

/// A filter of clsact is held by no link that could be changed between two frames.
fn check_links(found: &Found, config: &Config, links: &[Pin]) -> Result<()> {
    for interface in &found.interfaces {
        let egress = found::egress(interface, config);
        let is_linked = |hook| {
            let mut links = links.iter();
            links.any(|pin| pin.index == interface.index && pin.hook == hook)
        };
        let needs_egress = matches!(egress, Egress::Tcx | Egress::Clsact);
        if !is_linked(Hook::Ingress) || (needs_egress && !is_linked(Hook::Egress)) {
            bail!(
                "{} is not held by links alone (no tcx before Linux 6.6): `tcpguard detach`, then \
                 `tcpguard attach`",
                interface.name
            );
        }
    }
    Ok(())
}

/// The object of this release on the maps of the guard.
fn open(pins: &Pins, found: &Found, config: &Config) -> Result<Ebpf> {
    let handover = pins.handover()?;
    for name in KEPT {
        let map = found.map(name)?;
        let pinned = map.pin(handover.path.join(name));
        pinned.with_context(|| format!("failed to hand its {name} over"))?;
    }
    let ebpf = object::open_over(config, Log::Off, Some(handover.path));
    ebpf.context("failed to set up the kernel programs")
}

/// Changes the program of a link. The file keeps the link, when it is closed here.
fn replace(ebpf: &mut Ebpf, pin: &Pin) -> Result<()> {
    let link = pin.link()?;
    match pin.hook {
        Hook::Ingress => guard::ingress(ebpf)?
            .attach_to_link(link.try_into()?)
            .map(drop)?,
        Hook::Egress => guard::egress(ebpf)?
            .attach_to_link(link.try_into()?)
            .map(drop)?,
    }
    Ok(())
}
