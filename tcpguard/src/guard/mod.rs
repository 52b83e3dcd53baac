//! A guard at work: programs loaded, attached to interfaces, read, and gone when it is dropped.
//!
//! The process owns every link. However it ends, by its own will or by kill -9, the kernel takes the
//! programs off with the last file descriptor; unless links are pinned, and the guard is left. Only
//! where tcx is missing (before Linux 6.6) a filter outlives a kill; the next guard on that interface
//! removes it.

mod attach;
mod change;
mod error;

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf,
    programs::{ProgramFd, links::FdLink},
};
use tcpguard_common::{
    abi::{Config, Hook},
    parse::Link,
    policy::Policy,
};

pub use self::error::AttachError;
pub(crate) use self::{
    attach::{egress, ingress, load},
    change::refuse_fixed,
};
use crate::{
    admission::{
        self,
        cookies::{Asked, Cookies},
        opening::{Opening, Rules},
        rate::SourcePrefix,
        sources::Sources,
    },
    cli::{GuardArgs, Mode},
    config::File,
    enforce,
    evidence::lookout::Lookout,
    flows::{Census, Flows},
    log::{self, Follower},
    netlink,
    object::Log,
    pins::{Pin, Pins},
    reader::{Guarded, Place, Reader},
    sample::{Egress, Ingress, Sample},
    tracking::{Plan, Tracking},
    watch::Insight,
};

/// How to guard.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names of the interfaces.
    pub interfaces: Vec<String>,
    /// Where the ingress program runs.
    pub mode: Mode,
    /// What is enforced.
    pub policy: Policy,
    /// Whether what is objected to is logged.
    pub log: Log,
    /// How connections are tracked.
    pub tracking: Tracking,
    /// What may be opened from outside.
    pub openings: Rules,
    /// What is one source to the limits of that.
    pub source: SourcePrefix,
    /// What is said of sources.
    pub sources: Sources,
    /// When SYNs are answered with cookies.
    pub cookies: Asked,
}

/// Programs at work on interfaces.
pub struct Guard {
    ebpf: Ebpf,
    /// What its programs were loaded with.
    config: Config,
    attached: Vec<Attached>,
    plan: Plan,
    reader: Reader,
    /// Of what its programs log, if that is printed.
    log: Option<Follower>,
}

/// A guarded interface. Dropping the links takes the programs off it.
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Where what arrives is judged.
    pub ingress: Ingress,
    /// Why it is not judged in the driver, if the driver was asked and refused.
    pub refusal: Option<String>,
    /// Where what leaves is seen.
    pub egress: Egress,
    /// What may be opened by what arrives there.
    pub opening: Opening,
    link: Link,
    index: u32,
    is_loopback: bool,
    links: Vec<(Hook, FdLink)>,
}

impl Options {
    /// As the command line has it, and the file where that says nothing.
    ///
    /// # Errors
    ///
    /// If neither names an interface, if a file of prefixes makes no sense, or if it denies the session
    /// that this process was started in.
    pub fn new(args: &GuardArgs, file: &File, log: Log) -> Result<Self> {
        let interfaces = if args.interfaces.is_empty() {
            &file.iface
        } else {
            &args.interfaces
        };
        ensure!(
            !interfaces.is_empty(),
            "no interface is named: give --iface IF, or write iface = [\"IF\"] into the file"
        );
        let policy = enforce::policy(args.policy.observe, args.policy.enforce, file);
        let sources = file.sources(&args.policy)?;
        admission::check_session(&sources, &policy)?;
        Ok(Self {
            interfaces: netlink::named(interfaces)?,
            mode: args.mode.or(file.mode).unwrap_or(Mode::Auto),
            policy,
            log,
            sources,
            openings: file.openings(&args.policy),
            source: file.source(&args.policy).unwrap_or_default(),
            cookies: file.cookies(&args.policy).unwrap_or_default(),
            tracking: Tracking {
                max_conns: args.max_conns.or(file.max_conns),
                learn: args.learn.or(file.learn),
                ingress_only: args.ingress_only || file.ingress_only == Some(true),
            },
        })
    }
}

impl Guard {
    /// Loads the programs and attaches them. If that fails anywhere, nothing stays attached.
    pub fn attach(options: &Options) -> Result<Self, AttachError> {
        let (mut ebpf, config, attached, plan) = attach::attach(options)?;
        let reader = reader(&mut ebpf, &attached, &plan, options);
        Ok(Self {
            reader: reader.map_err(AttachError::Maps)?,
            ebpf,
            config,
            attached,
            plan,
            log: None,
        })
    }

    /// Pins all links, so that the guard can be left. If that fails anywhere, nothing stays pinned.
    pub(crate) fn pin(&mut self, pins: &Pins) -> Result<()> {
        let mut made = Vec::new();
        if let Err(error) = self.pin_links(pins, &mut made) {
            for pin in made {
                // Of two failures the first is told.
                let _ = pin.remove();
            }
            return Err(error);
        }
        Ok(())
    }

    /// Leaves it at work when this process ends, if its links are pinned.
    pub(crate) fn leave(self) {
        // A clsact filter is not held by a link, and dropping the program would take it off.
        std::mem::forget(self.ebpf);
    }

    /// What leaves comes first: if this process is killed on the way, what stays only observes, or
    /// judges what arrives with both directions in sight.
    fn pin_links(&mut self, pins: &Pins, made: &mut Vec<Pin>) -> Result<()> {
        for hook in [Hook::Egress, Hook::Ingress] {
            for attached in &mut self.attached {
                for (_, link) in attached.links.extract_if(.., |(of, _)| *of == hook) {
                    made.push(pins.pin(link, attached.index, hook)?);
                }
            }
        }
        Ok(())
    }

    /// The guarded interfaces, in the order in which they were named.
    #[must_use]
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// Whether it sees what leaves by a filter, which no link holds.
    pub(crate) fn has_filter(&self) -> bool {
        let mut attached = self.attached.iter();
        attached.any(|attached| attached.egress == Egress::Clsact)
    }

    /// How connections are tracked.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// When it answers SYNs.
    pub(crate) fn cookies(&self) -> Cookies {
        Cookies::of(&self.config)
    }

    /// Prints what its programs log, if they were loaded for that; in a runtime.
    pub(crate) fn follow_log(&mut self, log: Log) -> Result<()> {
        if log == Log::Debug {
            self.log = Some(log::follow(&mut self.ebpf)?);
        }
        Ok(())
    }

    /// Reads all counters, and counts connections if it is time.
    pub fn sample(&mut self) -> Result<Sample> {
        self.reader.sample()
    }
}

impl Insight for Guard {
    fn flows(&self) -> Result<Flows> {
        self.reader.flows()
    }

    fn lookout(&self) -> Result<Lookout> {
        self.reader.lookout()
    }
}

/// What the guard counts, from the maps of the object.
fn reader(
    ebpf: &mut Ebpf,
    attached: &[Attached],
    plan: &Plan,
    options: &Options,
) -> Result<Reader> {
    let places = attached.iter().map(|attached| Place {
        name: attached.name.clone(),
        link: attached.link,
        ingress: attached.ingress,
        egress: attached.egress,
    });
    let guarded = Guarded {
        places: places.collect(),
        since: Instant::now(),
        drop: options.policy.drop,
        programs: programs(ebpf)?,
    };
    let take = |name: &str| {
        let map = ebpf.take_map(name);
        map.with_context(|| format!("the object has no {name}"))
    };
    Reader::new(take, Census::new(plan.connections), guarded)
}

/// Both programs, that of what arrives first.
fn programs(ebpf: &mut Ebpf) -> Result<Vec<(Hook, ProgramFd)>> {
    Ok(vec![
        (Hook::Ingress, ingress(ebpf)?.fd()?.try_clone()?),
        (Hook::Egress, egress(ebpf)?.fd()?.try_clone()?),
    ])
}
