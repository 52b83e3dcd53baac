//! Taking off an XDP program that is not this one's, because the operator says so by name.
//!
//! A program is on an interface by a link, which a process holds or a file in bpffs, or by netlink, and
//! then nobody holds it. A link is detached in place: whoever holds it keeps it, and it does nothing.

use std::{fmt, os::fd::OwnedFd};

use anyhow::{Context as _, Result, bail};
use aya::programs::{links::LinkType, loaded_links};

use crate::{
    link,
    netlink::{self, Interface},
    programs,
};

/// What was taken off, and how it had been attached.
pub(crate) struct Foreign {
    name: String,
    id: u32,
    tag: u64,
    /// The kernel's number of its link, if it had one.
    link: Option<u32>,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            id,
            tag,
            link,
        } = self;
        write!(f, "{name} (program {id}, tag {tag:016x})")?;
        match link {
            Some(link) => write!(f, ", of link {link}, which goes on without effect"),
            None => f.write_str(", attached by netlink"),
        }
    }
}

/// Takes the programs off an interface, unless a link of a guard holds them.
pub(crate) fn take_off(interface: &Interface) -> Result<Vec<Foreign>> {
    let name = &interface.name;
    let mut taken = Vec::new();
    for id in &interface.xdp_programs {
        let program = programs::with_id(*id)?;
        let program = program.with_context(|| format!("the program {id} on {name} has gone"))?;
        let link = link_of(interface, *id)?;
        if link.is_some() && programs::is_guard(program.name()) {
            bail!(
                "the program {id} on {name} is a guard: one of `tcpguard run` ends with its process, and \
                 one of `tcpguard attach` is taken off without --foreign"
            );
        }
        let taken_off = match &link {
            Some((_, descriptor)) => link::detach(descriptor),
            None => netlink::take_off_xdp(interface),
        };
        taken_off.with_context(|| format!("failed to take the program {id} off {name}"))?;
        taken.push(Foreign {
            name: program.name_as_str().unwrap_or("a program").to_owned(),
            id: *id,
            tag: program.tag(),
            link: link.map(|(link, _)| link),
        });
    }
    Ok(taken)
}

/// The link by which a program is on an interface, with its number; `None` if netlink has attached it.
fn link_of(interface: &Interface, program: u32) -> Result<Option<(u32, OwnedFd)>> {
    for link in loaded_links().filter_map(Result::ok) {
        if link.program_id() != program || !matches!(link.link_type(), Ok(LinkType::Xdp)) {
            continue;
        }
        let number = link.id();
        let link =
            link::open(number).with_context(|| format!("failed to open the link {number}"))?;
        if is_on(&link, interface)? {
            return Ok(Some((number, link)));
        }
    }
    Ok(None)
}

/// Whether a link is on an interface of this network namespace: one of another namespace says 0.
fn is_on(link: &OwnedFd, interface: &Interface) -> Result<bool> {
    let told = link::told(link)?;
    let index = told.lines().find_map(|line| line.strip_prefix("ifindex:"));
    Ok(index.is_some_and(|index| index.trim() == interface.index.to_string()))
}
