//! Another policy for a guard of this process, while it works.
//!
//! As `exchange` does it with a guard that is pinned: other programs over the same maps, and each link
//! changes from one to the other between two frames.

use anyhow::{Context as _, Result, ensure};
use aya::{Ebpf, programs::ProgramFd};
use tcpguard_common::abi::{Config, Hook};

use super::{Guard, Options, load, programs};
use crate::{
    admission::{
        Admission,
        opening::{self, Opening},
    },
    exchange, link,
    pins::Pins,
};

impl Guard {
    /// Makes its policy that of `options`, which differ in nothing else; if that fails, it is as it was.
    pub(crate) fn change(&mut self, options: &Options) -> Result<()> {
        let pins = Pins::open()?;
        ensure!(
            !self.has_filter(),
            "a filter of clsact sees what leaves (no tcx before Linux 6.6), and no link holds it: start \
             it anew"
        );
        let admission = self.admission(options)?;
        let mut config = Config {
            ingress: options.policy,
            egress: options.policy.observed(),
            ..self.config
        };
        admission.apply(&mut config)?;
        let pin = |name: &str, file: &_| self.reader.pin(name, file);
        let mut ebpf = exchange::open(&pins, pin, &config, options.log)?;
        admission.write(&mut ebpf)?;
        load(&mut ebpf)?;
        self.exchange(&mut ebpf)?;
        self.reader
            .go_on_with(programs(&mut ebpf)?, options.policy.drop);
        self.ebpf = ebpf;
        self.config = config;
        for (attached, opening) in self.attached.iter_mut().zip(admission.openings) {
            attached.opening = opening;
        }
        Ok(())
    }

    fn admission(&self, options: &Options) -> Result<Admission> {
        let places = self.attached.iter().map(|attached| opening::Place {
            name: &attached.name,
            is_loopback: attached.is_loopback,
            before: Opening::default(),
        });
        Ok(Admission {
            openings: options.openings.of(places)?,
            source: options.source,
            sources: options.sources.clone(),
        })
    }

    /// Puts other programs on all links.
    fn exchange(&mut self, ebpf: &mut Ebpf) -> Result<()> {
        let Err(error) = self.put(&programs(ebpf)?) else {
            return Ok(());
        };
        // A link that has its former program still is not touched by that.
        let former = programs(&mut self.ebpf)?;
        match self.put(&former) {
            Ok(()) => Err(error),
            Err(stuck) => Err(error.context(format!(
                "{stuck:#}, so other links keep their new programs, which work with the old ones"
            ))),
        }
    }

    /// That of what leaves comes first: what judges never sees less than it was loaded for.
    fn put(&self, programs: &[(Hook, ProgramFd)]) -> Result<()> {
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
