//! Every map: who writes it, who reads it, what happens when it is full.

use aya_ebpf::{
    btf_maps::{Array, PerCpuArray},
    macros::btf_map,
};
use tcpguard_common::{
    abi::{Adjudication, HOOKS},
    counters::Counters,
};

/// By `abi::counter_index`. Written by the hooks, each CPU its own copy; read by the loader, which
/// sets the size to the interfaces it guards. Never full: a slot is there or the frame is counted in
/// the first one.
#[btf_map]
pub(crate) static COUNTERS: PerCpuArray<Counters, HOOKS> = PerCpuArray::new();

/// The last judgement, only while a replay asks for it. One entry.
#[btf_map]
pub(crate) static ADJUDICATION: Array<Adjudication, 1> = Array::new();
