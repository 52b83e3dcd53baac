//! Which connections the frames of a run belong to.

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Ebpf,
    maps::{PerCpuArray, PerCpuValues},
    util::nr_cpus,
};

/// As `shuffle.rs` of the kernel crate reads it.
#[derive(Clone, Copy)]
pub(crate) struct Shuffle {
    state: u64,
    factor: u64,
    step: u64,
    mask: u64,
    first: u64,
    reply: u64,
}

impl Shuffle {
    /// One of `flows` connections by chance, from number `first` on, `flows` a power of two: a linear
    /// congruential generator (Knuth's MMIX), of which the upper bits are used.
    pub(crate) fn among(first: u32, flows: u32) -> Self {
        Self {
            state: 1,
            factor: 6_364_136_223_846_793_005,
            step: 1_442_695_040_888_963_407,
            mask: u64::from(flows) - 1,
            first: first.into(),
            reply: 0,
        }
    }

    /// One connection after the other, beginning with number `first`.
    pub(crate) fn from(first: u32) -> Self {
        Self {
            state: u64::MAX << 32,
            factor: 1,
            step: 1 << 32,
            mask: 0x00ff_ffff,
            first: first.into(),
            reply: 0,
        }
    }

    /// Each of `flows` connections once, `flows` a power of two, in an order that no memory is laid
    /// out in: a generator of full period, in the upper half of the state.
    pub(crate) fn each(first: u32, flows: u32) -> Self {
        Self {
            state: 0,
            factor: 1_664_525,
            step: 1_013_904_223 << 32,
            mask: u64::from(flows) - 1,
            ..Self::from(first)
        }
    }

    /// The same connections, the other way.
    pub(crate) fn back(self) -> Self {
        Self { reply: 1, ..self }
    }

    /// Tells the programs of this object which connections come next, on any CPU.
    pub(crate) fn set(self, object: &mut Ebpf) -> Result<()> {
        Self::set_each(object, |_| self)
    }

    /// Tells them so for each CPU, by its number.
    pub(crate) fn set_each(object: &mut Ebpf, next: impl Fn(usize) -> Self) -> Result<()> {
        let map = object
            .map_mut("SHUFFLE")
            .context("the baseline shuffles no more")?;
        let mut map: PerCpuArray<_, [u64; 6]> = map.try_into()?;
        let cpus = nr_cpus().map_err(|(path, error)| anyhow!("{path}: {error}"))?;
        let words: Vec<_> = (0..cpus).map(|cpu| next(cpu).words()).collect();
        map.set(0, PerCpuValues::try_from(words)?, 0)
            .context("failed to set what comes next")
    }

    /// As they lie in the map.
    fn words(self) -> [u64; 6] {
        let Self {
            state,
            factor,
            step,
            mask,
            first,
            reply,
        } = self;
        [state, factor, step, mask, first, reply]
    }
}
