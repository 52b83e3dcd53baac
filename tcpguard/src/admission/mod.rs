//! Who may: what an operator says of sources and of ports, whatever the segment.
//!
//! ```text
//! files of prefixes -> Sources   of whom nothing is dropped, and of whom everything
//! --inbound         -> Opening   to which ports connections may be opened, and how many, by interface
//! --syn-limit
//! --syn-cookies     -> Cookies   when the guard answers SYNs itself
//! ```
//!
//! All of it lies in maps that each set of programs has for itself, written before it is attached. So a
//! reload changes them together with the programs, and no segment sees half of a change.

pub mod cookies;
pub mod inbound;
pub(crate) mod opening;
pub mod rate;
mod session;
pub mod sources;

use anyhow::{Result, ensure};
use aya::Ebpf;
use tcpguard_common::{
    abi::Config,
    policy::{Policy, ReasonSet, Standing},
    reason::Reason,
};

use self::{cookies::Cookies, opening::Opening, rate::SourcePrefix, sources::Sources};
use crate::enforce;

/// What is said for one guard.
pub(crate) struct Admission {
    /// By the slots of its interfaces.
    pub(crate) openings: Vec<Opening>,
    /// What one source is to their limits.
    pub(crate) source: SourcePrefix,
    pub(crate) sources: Sources,
    /// When SYNs are answered.
    pub(crate) cookies: Cookies,
}

impl Admission {
    /// Makes the constants those of programs that ask for it.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<()> {
        opening::apply(&self.openings, config);
        config.source_masks = self.source.masks();
        self.cookies.apply(config)?;
        self.sources.apply(config)
    }

    /// Writes it where the programs look, before those are attached.
    pub(crate) fn write(&self, ebpf: &mut Ebpf) -> Result<()> {
        opening::write(&self.openings, ebpf)?;
        self.sources.write(ebpf)
    }
}

/// What a guard drops, and whom, in a sentence: of all reasons, then of what may be opened by the names of
/// interfaces, then of sources.
pub(crate) fn described(drop: ReasonSet, rules: &[(String, Opening)], sources: &Sources) -> String {
    let (drops, inbound) = (enforce::described(drop), opening::described(rules));
    format!("{drops}{inbound}{}", sources.described())
}

/// What is one source to a guard at work.
pub(crate) fn source_prefix(config: &Config) -> SourcePrefix {
    SourcePrefix::from_masks(config.source_masks)
}

/// That nobody cuts the session that he types in.
///
/// # Errors
///
/// If that comes from a source that is denied.
pub(crate) fn check_session(sources: &Sources, policy: &Policy) -> Result<()> {
    let Some(peer) = session::peer() else {
        return Ok(());
    };
    let is_cut = policy.drop.contains(Reason::Denied) && sources.standing(peer) == Standing::Denied;
    ensure!(
        !is_cut,
        "this session comes by SSH from {peer}, which is denied and would be cut off: take its prefix \
         out of the file of --denied, or put {peer} into that of --trusted"
    );
    Ok(())
}
