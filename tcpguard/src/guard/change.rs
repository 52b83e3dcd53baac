//! Another policy for a guard of this process, while it works.
//!
//! As `exchange` does it with a guard that is pinned: other programs over the same maps, and each link
//! changes from one to the other between two frames.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use aya::programs::ProgramFd;
use tcpguard_common::abi::{Config, Hook};

use super::{Guard, Options, load, programs};
use crate::{
    admission::{
        Admission,
        cookies::Cookies,
        opening::{self, Opening},
    },
    exchange, link,
    pins::Pins,
};

/// Programs by the hooks that they are for, that of what arrives first.
type Programs = [(Hook, ProgramFd)];

/// Refuses those of these keys of a file that differ from what a guard is: only another one could be that.
pub(crate) fn refuse_fixed(fixed: [(&str, bool); 4], way_out: &str) -> Result<()> {
    let differs = fixed.into_iter().filter(|(_, differs)| *differs);
    let keys: Vec<_> = differs.map(|(key, _)| key).collect();
    ensure!(
        keys.is_empty(),
        "{} cannot be changed while it works: {way_out}; connections of this host are adopted",
        keys.join(", ")
    );
    Ok(())
}

impl Guard {
    /// That its policy can be changed at all.
    pub(crate) fn check_change(&self) -> Result<()> {
        ensure!(
            !self.has_filter(),
            "a filter of clsact sees what leaves (no tcx before Linux 6.6), and no link holds it"
        );
        Ok(())
    }

    /// Makes its policy that of `options`; if that fails, it is as it was.
    pub(crate) fn change(&mut self, options: &Options) -> Result<()> {
        self.check_change()?;
        self.check_fixed(options)?;
        let pins = Pins::open()?;
        let mut config = Config {
            ingress: options.policy,
            egress: options.policy.observed(),
            ..self.config
        };
        let admission = self.admission(options, &config)?;
        admission.apply(&mut config)?;
        let pin = |name: &str, file: &_| self.reader.pin(name, file);
        let mut ebpf = exchange::open(&pins, pin, &config, options.log)?;
        admission.write(&mut ebpf)?;
        load(&mut ebpf)?;
        let (former, next) = (programs(&mut self.ebpf)?, programs(&mut ebpf)?);
        self.exchange(&former, &next)?;
        // From here on nothing fails.
        self.reader.go_on_with(next, options.policy.drop);
        self.ebpf = ebpf;
        self.config = config;
        for (attached, opening) in self.attached.iter_mut().zip(admission.openings) {
            attached.opening = opening;
        }
        Ok(())
    }

    /// Refuses what only another guard could be.
    fn check_fixed(&self, options: &Options) -> Result<()> {
        let asked: BTreeSet<_> = options.interfaces.iter().collect();
        let guarded: BTreeSet<_> = self.attached.iter().map(|it| &it.name).collect();
        let mut ingresses = self.attached.iter().map(|it| it.ingress);
        let tracking = &options.tracking;
        let fixed = [
            ("iface", asked != guarded),
            (
                "max-conns",
                tracking
                    .max_conns
                    .is_some_and(|it| it != self.plan.connections),
            ),
            (
                "ingress-only",
                tracking.ingress_only != self.plan.ingress_only,
            ),
            ("mode", !ingresses.all(|it| it.suits(options.mode))),
        ];
        refuse_fixed(fixed, "start it anew")
    }

    fn admission(&self, options: &Options, config: &Config) -> Result<Admission> {
        let places = self.attached.iter().map(|attached| opening::Place {
            name: &attached.name,
            is_loopback: attached.is_loopback,
            before: Opening::default(),
        });
        Ok(Admission {
            openings: options.openings.of(places)?,
            source: options.source,
            sources: options.sources.clone(),
            cookies: Cookies::prepare(options.cookies, config, options.mode)?,
        })
    }

    /// Puts other programs on all links, or leaves all of them as they are.
    fn exchange(&self, former: &Programs, next: &Programs) -> Result<()> {
        let Err(error) = self.put(next) else {
            return Ok(());
        };
        // A link that has its former program still is not touched by that.
        match self.put(former) {
            Ok(()) => Err(error),
            Err(stuck) => Err(error.context(format!(
                "{stuck:#}, so other links keep their new programs, which work with the old ones"
            ))),
        }
    }

    /// That of what leaves comes first: what judges never sees less than it was loaded for.
    fn put(&self, programs: &Programs) -> Result<()> {
        for (hook, program) in programs.iter().rev() {
            for attached in &self.attached {
                for (_, link) in attached.links.iter().filter(|(of, _)| of == hook) {
                    let changed = link::update(link, program);
                    changed.with_context(|| format!("failed to change {}", attached.name))?;
                }
            }
        }
        Ok(())
    }
}
