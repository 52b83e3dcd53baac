//! `tcpguard attach` and `tcpguard detach`: protection that outlives the process that began it.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Result, ensure};
use aya::programs::{TcAttachType, tc};
use tcpguard_common::abi::{EGRESS_PROGRAM, Hook};

use crate::{
    announcement,
    cli::{AttachArgs, DetachArgs},
    config, foreign,
    found::{self, Found},
    guard::{AttachError, Guard, Options},
    netlink::{self, Interface},
    object::Log,
    pins::{self, Pin, Pins},
    preflight, reload,
};

/// Attaches a guard and leaves it at work.
pub fn attach(args: &AttachArgs) -> Result<ExitCode> {
    preflight::check()?;
    let file = config::given(args.guard.config.as_deref())?;
    let options = Options::new(&args.guard, &file, Log::Off)?;
    if args.or_reload && guard_to_change(&options.interfaces)?.is_some() {
        return reload::reload(&args.guard.reloading());
    }
    let pins = Pins::open()?;
    remove_dead(&pins)?;
    let mut guard = Guard::attach(&options)?;
    guard.pin(&pins)?;
    announcement::announce(&guard, &options.sources);
    guard.leave();
    Ok(ExitCode::SUCCESS)
}

/// The guard that is pinned on all of these interfaces; none if this process may not look for it.
pub(crate) fn guard_on(names: &[String]) -> Result<Option<Found>> {
    // To look for others takes more capabilities than to guard, and so does their directory.
    let pins = pins::listed().unwrap_or_default();
    if pins.is_empty() || preflight::check_reader().is_err() {
        return Ok(None);
    }
    let is_pinned = |found: &Found| {
        let mut interfaces = found.interfaces.iter();
        interfaces.all(|interface| pins::is_pinned(&pins, interface.index))
    };
    let is_on_all = |found: &Found| names.iter().all(|name| found.names().contains(name));
    let mut guards = found::guards()?;
    guards.retain(|found| is_pinned(found) && is_on_all(found));
    Ok(guards.pop())
}

/// The same, for who must not believe that there is none because it may not look.
fn guard_to_change(names: &[String]) -> Result<Option<Found>> {
    preflight::check_reader()?;
    guard_on(names)
}

/// Takes off what was attached, and says what.
pub fn detach(args: &DetachArgs) -> Result<ExitCode> {
    preflight::check()?;
    let pins = Pins::open()?;
    let interfaces = netlink::interfaces()?;
    if args.foreign {
        return detach_foreign(&interfaces, &args.interfaces);
    }
    let chosen = if args.all {
        pins.everywhere()?
    } else {
        chosen(pins.here()?, &interfaces, &args.interfaces)?
    };
    take_off(&pins, &chosen, &interfaces)?;
    let mut stdout = io::stdout();
    if chosen.is_empty() {
        let place = if args.all {
            "here or elsewhere"
        } else {
            "in this network namespace"
        };
        writeln!(
            stdout,
            "nothing is attached {place}, but by running processes"
        )?;
    }
    for pin in &chosen {
        let hook = pins::name(pin.hook);
        match interface(&pins, pin, &interfaces) {
            Some(interface) => writeln!(stdout, "detached {}: {hook}", interface.name)?,
            None => writeln!(stdout, "removed {pin}")?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes off what this program has not attached.
fn detach_foreign(interfaces: &[Interface], names: &[String]) -> Result<ExitCode> {
    preflight::check_reader()?;
    for name in names {
        let interface = known(interfaces, name)?;
        let found = foreign::on(interface)?;
        ensure!(!found.is_empty(), "nothing is attached to {name}");
        for foreign in found {
            foreign.take_off(interface)?;
            let rest = match foreign.link {
                Some(_) => "; the link goes on without effect",
                None => "",
            };
            writeln!(io::stdout(), "detached {name}: {foreign}{rest}")?;
        }
    }
    foreign::check_free(names)?;
    Ok(ExitCode::SUCCESS)
}

fn known<'a>(interfaces: &'a [Interface], name: &str) -> Result<&'a Interface, AttachError> {
    let interface = interfaces.iter().find(|it| it.name == name);
    interface.ok_or_else(|| AttachError::UnknownInterface {
        name: name.to_owned(),
        known: interfaces.iter().map(|it| it.name.clone()).collect(),
    })
}

/// The pins of the named interfaces; of all if none is named.
fn chosen(pins: Vec<Pin>, interfaces: &[Interface], names: &[String]) -> Result<Vec<Pin>> {
    if names.is_empty() {
        return Ok(pins);
    }
    let mut wanted = Vec::new();
    for name in names {
        let interface = known(interfaces, name)?;
        let is_pinned = pins.iter().any(|pin| pin.index == interface.index);
        ensure!(is_pinned, "{}", unattached(interface));
        wanted.push(interface.index);
    }
    let chosen = pins.into_iter().filter(|pin| wanted.contains(&pin.index));
    Ok(chosen.collect())
}

/// Why an interface cannot be detached.
fn unattached(interface: &Interface) -> String {
    let name = &interface.name;
    match interface.xdp_programs.first() {
        None => format!("nothing is attached to {name}"),
        Some(id) => format!(
            "{name} has the XDP program with id {id}, which `tcpguard attach` has not attached: a \
             guard of `tcpguard run` ends with its process (bpftool link show tells which), and \
             another program is taken off by its own tool, or by `tcpguard detach --foreign --iface \
             {name}`"
        ),
    }
}

/// Removes pins: first of what judges, then of what observes.
fn take_off(pins: &Pins, chosen: &[Pin], interfaces: &[Interface]) -> Result<()> {
    for hook in [Hook::Ingress, Hook::Egress] {
        for pin in chosen.iter().filter(|pin| pin.hook == hook) {
            pin.remove()?;
        }
    }
    for interface in chosen
        .iter()
        .filter_map(|pin| interface(pins, pin, interfaces))
    {
        // Before Linux 6.6 what leaves is seen by a filter, which no link holds; else there is none.
        let _ = tc::qdisc_detach_program(&interface.name, TcAttachType::Egress, EGRESS_PROGRAM);
    }
    Ok(())
}

/// Removes what deleted interfaces have left, of this network namespace and of any, as it keeps tables in memory; and
/// of this one what an `attach` has that was killed before it judged anything.
fn remove_dead(pins: &Pins) -> Result<()> {
    let interfaces = netlink::interfaces()?;
    let mut dead = pins.everywhere()?;
    dead.retain(|pin| match interface(pins, pin, &interfaces) {
        Some(interface) => interface.xdp_programs.is_empty(),
        None => pins.is_here(pin) || pin.is_dead(),
    });
    take_off(pins, &dead, &interfaces)
}

/// The interface of a pin; `None` if it is gone, or in another network namespace.
fn interface<'a>(pins: &Pins, pin: &Pin, interfaces: &'a [Interface]) -> Option<&'a Interface> {
    if !pins.is_here(pin) {
        return None;
    }
    interfaces.iter().find(|it| it.index == pin.index)
}
