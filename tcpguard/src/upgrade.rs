//! `tcpguard upgrade`: the programs of this release in place of those of a pinned guard.
//!
//! Both work on the same maps, and a link changes from one to the other between two frames, so no
//! frame goes by unjudged and no connection is forgotten. Killed at any moment, it leaves hooks with
//! the old program and hooks with the new one, which agree with each other; started again, it goes on.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::Ebpf;
use tcpguard_common::abi::{Config, Hook};

use crate::{
    cli::UpgradeArgs,
    found::{self, Found},
    guard,
    object::{self, KEPT, Log},
    pins::{Pin, Pins},
    preflight,
    sample::Egress,
    status::release,
    watch::number,
};

/// Upgrades the guards that `tcpguard attach` has attached.
pub fn upgrade(args: &UpgradeArgs) -> Result<ExitCode> {
    preflight::check()?;
    preflight::check_reader()?;
    let pins = Pins::open()?;
    let guards = chosen(&pins, &args.interfaces)?;
    for (found, links) in &guards {
        let names = found.names().join(", ");
        let before = swap(&pins, found, links);
        let before = before.with_context(|| format!("cannot upgrade the guard on {names}"))?;
        writeln!(
            io::stdout(),
            "upgraded {names}: release {} to {}; {} connections go on",
            release(&before),
            env!("CARGO_PKG_VERSION"),
            number::grouped(found.flows()?.connections().len() as u64),
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The pinned guards on the named interfaces, with their links; all of them if none is named.
fn chosen(pins: &Pins, names: &[String]) -> Result<Vec<(Found, Vec<Pin>)>> {
    let pins = pins.here()?;
    let mut guards = Vec::new();
    for found in found::guards()? {
        let is_of = |pin: &&Pin| found.interfaces.iter().any(|it| it.index == pin.index);
        let links: Vec<_> = pins.iter().filter(is_of).cloned().collect();
        if !links.is_empty() {
            guards.push((found, links));
        }
    }
    let is_on = |found: &Found, name: &String| found.names().contains(name);
    for name in names {
        let is_attached = guards.iter().any(|(found, _)| is_on(found, name));
        ensure!(is_attached, "`tcpguard attach` guards nothing on {name}");
    }
    if !names.is_empty() {
        guards.retain(|(found, _)| names.iter().any(|name| is_on(found, name)));
    }
    ensure!(
        !guards.is_empty(),
        "nothing is attached in this network namespace that could be upgraded: a guard of \
         `tcpguard run` is upgraded by starting it anew"
    );
    Ok(guards)
}

/// Puts the programs of this release on the links, and returns what the old ones were made with.
fn swap(pins: &Pins, found: &Found, links: &[Pin]) -> Result<Config> {
    let before = found.config().context(
        "its connections can be adopted, but not taken over: `tcpguard detach`, then \
         `tcpguard attach`, with --learn where connections go through this host",
    )?;
    check_links(found, &before, links)?;
    // Whether the tables have the shape that the new programs expect.
    found.flows()?;
    let config = Config {
        release: Config::DEFAULT.release,
        ..before
    };
    let mut ebpf = open(pins, found, &config)?;
    guard::load(&mut ebpf)?;
    for hook in [Hook::Egress, Hook::Ingress] {
        for pin in links.iter().filter(|pin| pin.hook == hook) {
            replace(&mut ebpf, pin).with_context(|| format!("failed to change {pin}"))?;
        }
    }
    Ok(before)
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
