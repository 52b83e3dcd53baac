//! The programs that the guard is measured against.

use anyhow::{Context as _, Result};
use aya::{Ebpf, EbpfLoader, programs::Program};

static BASELINE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/baseline.bpf.o"));

/// The object, with none of its programs loaded.
pub(crate) fn open() -> Result<Ebpf> {
    open_for(1)
}

/// The same with room for so many connections in its hash map of IPv4.
pub(crate) fn open_for(connections: u32) -> Result<Ebpf> {
    EbpfLoader::new()
        .btf(None)
        .map_max_entries("HASH4", connections)
        .load(BASELINE)
        .context("failed to open the baseline")
}

/// One of its programs.
pub(crate) fn program<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut Program> {
    let program = object.program_mut(name);
    program.with_context(|| format!("the baseline has no program {name}"))
}
