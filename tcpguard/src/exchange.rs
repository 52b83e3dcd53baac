//! Other programs on the links and maps of a pinned guard.
//!
//! Both work on the same maps, and a link changes from one to the other between two frames, so no
//! frame goes by unjudged and no connection is forgotten. If it fails on the way, the links that were
//! changed have their former programs again. Killed at any moment, it leaves hooks with the old
//! program and hooks with the new one, which agree with each other; started again, it goes on.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use aya::{
    Ebpf,
    programs::{ProgramFd, ProgramInfo},
};
use tcpguard_common::abi::{Config, Hook};

use crate::{
    admission::Admission,
    found::{self, Found},
    guard, link, netlink,
    object::{self, KEPT, Log},
    pins::{self, Pin, Pins},
    programs,
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
        let mut interfaces = found.interfaces.iter();
        if interfaces.any(|it| pins::is_pinned(&pins, it.index)) {
            let is_of = |pin: &&Pin| found.interfaces.iter().any(|it| it.index == pin.index);
            let links = pins.iter().filter(is_of).cloned().collect();
            guards.push(Pinned { found, links });
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
         `tcpguard run` is changed by SIGHUP, or by starting it anew"
    );
    Ok(guards)
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
    /// present one in what does not shape the maps, and with this admission. If that fails, the guard is
    /// as it was.
    pub(crate) fn exchange(
        &self,
        pins: &Pins,
        config: &Config,
        admission: &Admission,
    ) -> Result<Exchanged> {
        check_links(&self.found, config, &self.links)?;
        // Whether the tables have the shape that the new programs expect.
        self.found.flows()?;
        let mut config = Config {
            release: Config::DEFAULT.release,
            ..*config
        };
        admission.apply(&mut config)?;
        let pin = |name: &str, file: &Path| Ok(self.found.map(name)?.pin(file)?);
        let mut ebpf = open(pins, pin, &config, Log::Off)?;
        admission.write(&mut ebpf)?;
        guard::load(&mut ebpf)?;
        let mut exchanged = Exchanged(Vec::new());
        for hook in [Hook::Egress, Hook::Ingress] {
            let program = match hook {
                Hook::Ingress => guard::ingress(&mut ebpf)?.info()?,
                Hook::Egress => guard::egress(&mut ebpf)?.info()?,
            };
            for pin in self.links.iter().filter(|pin| pin.hook == hook) {
                let put = exchanged.put(pin, &program);
                if let Err(error) = put.with_context(|| format!("failed to change {pin}")) {
                    return Err(undone(exchanged, pins, error));
                }
            }
        }
        Ok(exchanged)
    }
}

/// Undoes half of an exchange; if even that fails, both failures are told.
fn undone(half: Exchanged, pins: &Pins, error: anyhow::Error) -> anyhow::Error {
    match half.take_back(pins) {
        Ok(_) => error,
        Err(stuck) => error.context(format!(
            "{stuck:#}, so other links keep their new programs, which work with the old ones"
        )),
    }
}

/// Links whose programs were exchanged.
#[must_use = "the former programs are gone when it is dropped"]
pub(crate) struct Exchanged(Vec<Link>);

/// What has become of an exchange that was taken back.
#[derive(Debug, Default)]
pub(crate) struct TakenBack {
    /// Interfaces that are as they were before.
    pub(crate) restored: Vec<String>,
    /// Pins that somebody else has changed or removed meanwhile, or whose interface is gone.
    pub(crate) left: Vec<Pin>,
}

/// A link whose program was exchanged.
struct Link {
    pin: Pin,
    former: ProgramFd,
    /// The kernel's number of its program since.
    present: u32,
}

impl Exchanged {
    fn put(&mut self, pin: &Pin, program: &ProgramInfo) -> Result<()> {
        let (_, former) = at_work(pin)?.context("it holds no program")?;
        let former = former.fd()?;
        link::update(&pin.link()?, &program.fd()?)?;
        self.0.push(Link {
            pin: pin.clone(),
            former,
            present: program.id(),
        });
        Ok(())
    }

    /// Puts the former programs back on every link that still has what it was given here, the others
    /// being somebody else's by now. One that fails keeps no other from it; the first failure is told.
    pub(crate) fn take_back(self, _pins: &Pins) -> Result<TakenBack> {
        let mut taken_back = TakenBack::default();
        let mut failure = None;
        // What judges comes last in an exchange, and so first here.
        for link in self.0.into_iter().rev() {
            match link.take_back() {
                Ok(Some(name)) if taken_back.restored.contains(&name) => {}
                Ok(Some(name)) => taken_back.restored.push(name),
                Ok(None) => taken_back.left.push(link.pin),
                Err(error) => {
                    let place = format!("failed to put the former program back on {}", link.pin);
                    failure.get_or_insert(error.context(place));
                }
            }
        }
        failure.map_or(Ok(taken_back), Err)
    }
}

impl Link {
    /// Returns the name of its interface, or nothing if the link is not as it was left here.
    fn take_back(&self) -> Result<Option<String>> {
        let is_ours = |program: &ProgramInfo| program.id() == self.present;
        match at_work(&self.pin)? {
            Some((name, program)) if is_ours(&program) => {
                link::update(&self.pin.link()?, &self.former)?;
                Ok(Some(name))
            }
            _ => Ok(None),
        }
    }
}

/// The interface of a link by name, and the program at its hook; nothing if either is gone.
fn at_work(pin: &Pin) -> Result<Option<(String, ProgramInfo)>> {
    let mut interfaces = netlink::interfaces()?.into_iter();
    let Some(interface) = interfaces.find(|it| it.index == pin.index) else {
        return Ok(None);
    };
    let program = match pin.hook {
        Hook::Ingress => interface.xdp_programs.first().copied(),
        Hook::Egress => found::observer(&interface)?.map(|(_, program)| program.id()),
    };
    let program = program.map(info).transpose()?;
    Ok(program.map(|program| (interface.name, program)))
}

fn info(id: u32) -> Result<ProgramInfo> {
    let mut loaded = programs::loaded()?.into_iter();
    let found = loaded.find(|program| program.id() == id);
    found.with_context(|| format!("the program {id} has gone"))
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

/// The object of this release on maps that are handed over: `pin` makes that with a name a file.
pub(crate) fn open(
    pins: &Pins,
    pin: impl Fn(&str, &Path) -> Result<()>,
    config: &Config,
    log: Log,
) -> Result<Ebpf> {
    let handover = pins.handover()?;
    for name in KEPT {
        let pinned = pin(name, &handover.path.join(name));
        pinned.with_context(|| format!("failed to hand its {name} over"))?;
    }
    let ebpf = object::open_over(config, log, Some(handover.path));
    ebpf.context("failed to set up the kernel programs")
}
