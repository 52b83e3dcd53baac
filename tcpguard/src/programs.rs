//! The programs in the kernel, as anybody sees them, and which of them are a guard's.

use std::io;

use anyhow::{Context as _, Result};
use aya::programs::{ProgramInfo, loaded_programs};
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
