//! Taking off an XDP program that is not this one's, because the operator says so by name.
//!
//! A program is on an interface by a link, which a process holds or a file in bpffs, or by netlink, and
//! then nobody holds it. A link is detached in place: whoever holds it keeps it, and it does nothing.

use std::{fmt, os::fd::OwnedFd, thread, time::Duration};

use anyhow::{Context as _, Result, bail};
use aya::programs::{ProgramInfo, links::LinkType, loaded_links};

use crate::{
    holders::{self, Holder},
    link,
    netlink::{self, Interface},
    programs,
};

/// Within this time somebody who watches over his program puts it there again.
const MOMENT: Duration = Duration::from_millis(500);

/// A program on an interface, and how it is attached.
pub(crate) struct Foreign {
    program: ProgramInfo,
    /// None if it was attached by netlink.
    pub(crate) link: Option<Link>,
}

/// What holds a program on an interface.
pub(crate) struct Link {
    /// The kernel's number of it.
    number: u32,
    descriptor: OwnedFd,
    holders: Vec<Holder>,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.program.name_as_str().unwrap_or("a program");
        let (id, tag) = (self.program.id(), self.program.tag());
        write!(f, "{name} (program {id}, tag {tag:016x})")?;
        match &self.link {
            None => f.write_str(", attached by netlink"),
            Some(link) => write!(f, " of link {}, held by {}", link.number, link.held_by()),
        }
    }
}

impl Link {
    fn held_by(&self) -> String {
        let holders: Vec<_> = self.holders.iter().map(Holder::to_string).collect();
        if holders.is_empty() {
            return "nobody who can be seen from here".to_owned();
        }
        holders.join(" and ")
    }
}

/// The programs that are on an interface.
pub(crate) fn on(interface: &Interface) -> Result<Vec<Foreign>> {
    let mut found = Vec::new();
    for id in &interface.xdp_programs {
        // One that has gone meanwhile is on no interface.
        if let Some(program) = programs::with_id(*id)? {
            let link = link_of(interface, *id)?;
            found.push(Foreign { program, link });
        }
    }
    Ok(found)
}

impl Foreign {
    /// Takes it off, unless a link of a guard holds it, or something else is there by now.
    pub(crate) fn take_off(&self, interface: &Interface) -> Result<()> {
        let (name, id) = (&interface.name, self.program.id());
        if self.link.is_some() && programs::is_guard(self.program.name()) {
            bail!(
                "the program {id} on {name} is a guard: one of `tcpguard run` ends with its process, and \
                 one of `tcpguard attach` is taken off without --foreign"
            );
        }
        let taken_off = match &self.link {
            Some(link) => link::detach(&link.descriptor),
            None => netlink::take_off_xdp(interface, &self.program.fd()?),
        };
        taken_off.with_context(|| format!("failed to take the program {id} off {name}"))
    }
}

/// Fails if something is on an interface of these names again, or still.
pub(crate) fn check_free(names: &[String]) -> Result<()> {
    thread::sleep(MOMENT);
    for interface in netlink::interfaces()? {
        if !names.contains(&interface.name) {
            continue;
        }
        if let Some(foreign) = on(&interface)?.first() {
            bail!(
                "there is a program on {} again: {foreign}; end what puts it there, and then take it off",
                interface.name
            );
        }
    }
    Ok(())
}

/// The link by which a program is on an interface; `None` if netlink has attached it.
///
/// # Errors
///
/// If two could be it: the kernel tells an interface by a number that those of another network namespace
/// have as well.
fn link_of(interface: &Interface, program: u32) -> Result<Option<Link>> {
    let mut found: Option<Link> = None;
    for link in loaded_links().filter_map(Result::ok) {
        if link.program_id() != program || !matches!(link.link_type(), Ok(LinkType::Xdp)) {
            continue;
        }
        let number = link.id();
        let descriptor = link::open(number);
        let descriptor = descriptor.with_context(|| format!("failed to open the link {number}"))?;
        if !is_on(&descriptor, interface)? {
            continue;
        }
        if let Some(other) = found {
            bail!(
                "the program {program} is on an interface with the number {} by two links, {} and {number}, \
                 one of them in another network namespace: end who holds the one that is meant",
                interface.index,
                other.number
            );
        }
        found = Some(Link {
            number,
            descriptor,
            holders: holders::holders(&link),
        });
    }
    Ok(found)
}

/// Whether a link is on an interface of this number, in whatever network namespace.
fn is_on(link: &OwnedFd, interface: &Interface) -> Result<bool> {
    Ok(link::interface_index(link)? == Some(interface.index))
}
