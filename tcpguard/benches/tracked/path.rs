//! One line of the result: a program, what it is given, what it must answer.

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, TestRunOptions,
    programs::{TestRun as _, Xdp},
};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};

/// The kernel's `XDP_DROP`.
pub(crate) const DROP: u32 = 1;
/// The kernel's `XDP_PASS`.
pub(crate) const PASS: u32 = 2;

/// What a path is compared with, by its place in the stage.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rivals {
    /// The bare drop.
    pub(crate) bare: usize,
    /// The hash map on the same frames.
    pub(crate) hash: Option<usize>,
    /// What both pay for nothing but another frame each time.
    pub(crate) shuffled: Option<usize>,
}

impl Rivals {
    /// Those of a path over another connection each time, but for the hash map: the bare drop, and
    /// behind it in the stage what another frame costs alone.
    pub(crate) fn shuffled(bare: usize) -> Self {
        Self {
            bare,
            shuffled: Some(bare + 1),
            ..Self::default()
        }
    }

    /// With the hash map besides, at this place.
    pub(crate) fn and_hash(self, hash: usize) -> Self {
        Self {
            hash: Some(hash),
            ..self
        }
    }
}

/// A program with one frame, or with frames made of one.
pub(crate) struct Path {
    /// Empty of what is only measured to compare with.
    pub(crate) name: String,
    program: &'static str,
    frame: Vec<u8>,
    action: u32,
    pub(crate) rivals: Rivals,
    /// Of each round.
    pub(crate) nanos: Vec<f64>,
}

impl Path {
    pub(crate) fn new(name: &str, program: &'static str, frame: Vec<u8>, action: u32) -> Self {
        Self {
            name: name.into(),
            program,
            frame,
            action,
            rivals: Rivals::default(),
            nanos: Vec::new(),
        }
    }

    pub(crate) fn beside(self, rivals: Rivals) -> Self {
        Self { rivals, ..self }
    }

    /// Whether its program is in this object.
    pub(crate) fn is_of(&self, object: &Ebpf) -> bool {
        object.program(self.program).is_some()
    }

    /// Runs it once more, and remembers how long a packet took.
    pub(crate) fn measure(&mut self, object: &Ebpf, packets: u32) -> Result<()> {
        let nanos = self.run(object, packets)?;
        self.nanos.push(nanos);
        Ok(())
    }

    /// Nanoseconds a packet, as the kernel measures it.
    pub(crate) fn run(&self, object: &Ebpf, packets: u32) -> Result<f64> {
        let program = object.program(self.program);
        let program: &Xdp = program
            .with_context(|| format!("no program {}", self.program))?
            .try_into()?;
        // What comes next is known to each CPU by itself.
        let _here = Pinned::here()?;
        let result = program.test_run(TestRunOptions {
            data_in: Some(&self.frame),
            repeat: packets,
            ..Default::default()
        })?;
        ensure!(
            result.return_value == self.action,
            "{} answers {} where {} is right",
            self.name,
            result.return_value,
            self.action
        );
        Ok(result.duration.as_secs_f64() * 1e9)
    }
}

/// While it lives, this thread stays on its CPU.
struct Pinned {
    before: CpuSet,
}

impl Pinned {
    fn here() -> Result<Self> {
        let this_thread = Pid::from_raw(0);
        let before = sched_getaffinity(this_thread)?;
        let mut here = CpuSet::new();
        here.set(sched_getcpu()?)?;
        sched_setaffinity(this_thread, &here)?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // What was allowed before is allowed again.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}
