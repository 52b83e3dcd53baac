//! The programs in the kernel, as anybody sees them, which of them are a guard's, and what they cost.

use std::{
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _},
    time::Duration,
};

use anyhow::{Context as _, Result};
use aya::programs::{ProgramFd, ProgramInfo, loaded_programs};
use tcpguard_common::abi::INGRESS_PROGRAM;

/// All that are loaded.
pub(crate) fn loaded() -> Result<Vec<ProgramInfo>> {
    let mut programs = Vec::new();
    for program in loaded_programs() {
        match program {
            Ok(program) => programs.push(program),
            // It went away while it was listed.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error).context("failed to list the programs in the kernel"),
        }
    }
    Ok(programs)
}

/// The one with this number; `None` if it has gone.
pub(crate) fn with_id(id: u32) -> Result<Option<ProgramInfo>> {
    Ok(loaded()?.into_iter().find(|program| program.id() == id))
}

/// Whether the ingress program of a guard has this name in the kernel.
pub(crate) fn is_guard(name: &[u8]) -> bool {
    is_cut(name, INGRESS_PROGRAM)
}

/// Whether a name is what the kernel makes of another: it cuts them to 15 characters
/// (`BPF_OBJ_NAME_LEN`, with its end).
pub(crate) fn is_cut(name: &[u8], whole: &str) -> bool {
    const LENGTH: usize = 15;
    let whole = whole.as_bytes();
    name == whole.get(..LENGTH).unwrap_or(whole)
}

/// How often a program has run, and how long that took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// How often.
    pub count: u64,
    /// On all CPUs together.
    pub time: Duration,
}

impl Runs {
    /// As the kernel keeps them while `kernel.bpf_stats_enabled` is 1; `None` if it never did.
    ///
    /// The library does not hand them out; what the kernel says of an open descriptor has them too.
    pub(crate) fn of(program: &ProgramFd) -> Option<Self> {
        let descriptor = program.as_fd().as_raw_fd();
        Self::parse(&fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line?.trim().parse().ok()
        };
        let count = number("run_cnt:").filter(|count| *count > 0)?;
        let time = Duration::from_nanos(number("run_time_ns:")?);
        Some(Self { count, time })
    }
}

fn is_gone(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_read_where_the_kernel_keeps_them() {
        let text =
            |count: u64| format!("pos:\t0\nprog_tag:\tff\nrun_time_ns:\t4200\nrun_cnt:\t{count}\n");
        let runs = Runs {
            count: 7,
            time: Duration::from_nanos(4200),
        };
        assert_eq!(Runs::parse(&text(7)), Some(runs));
        assert_eq!(Runs::parse(&text(0)), None);
        assert_eq!(Runs::parse("pos:\t0\n"), None);
    }
}
