//! Every map: who writes it, who reads it, what happens when it is full.

use aya_ebpf::{
    btf_maps::{Array, LpmTrie, LruHashMap, PerCpuArray},
    macros::btf_map,
};
use tcpguard_common::{
    abi::{Adjudication, Fullness, HOOKS},
    conn::time::Ticks,
    cookie::{
        listener::{Listener, Local},
        pressure::Pressure,
    },
    counters::{Counters, Events},
    evidence::Shelf,
    flow::{FlowKey4, FlowKey6},
    limit::{Bucket, SynLimit},
    ports::PortSet,
    table::Set,
};

use crate::parsed::Parsed;

/// `BPF_F_MMAPABLE`: user space reads a table without a system call.
const MMAPABLE: usize = 1 << 10;

/// By `abi::counter_index`. Written by the hooks, each CPU its own copy; read by the loader, which
/// sets the size to the interfaces it guards. Never full: a slot is there or the frame is counted in
/// the first one.
#[btf_map]
pub(crate) static COUNTERS: PerCpuArray<Counters, HOOKS> = PerCpuArray::new();

/// The segment that is looked at for the second time, by hook, each CPU its own: no hook is interrupted by
/// itself. Read by nobody else.
#[btf_map]
pub(crate) static PARSED: PerCpuArray<Parsed, HOOKS> = PerCpuArray::new();

/// The last judgement, only while a replay asks for it. One entry.
#[btf_map]
pub(crate) static ADJUDICATION: Array<Adjudication, 1> = Array::new();

/// The moment of a replay, written by the host before each frame. One entry.
#[btf_map]
pub(crate) static CLOCK: Array<Ticks, 1> = Array::new();

/// What happened to connections, by hook. Written by both hooks, each CPU its own copy; read by the loader.
#[btf_map]
pub(crate) static EVENTS: PerCpuArray<Events, HOOKS> = PerCpuArray::new();

/// The last frames that were objected to, by `evidence::shelf`. Written by the hooks, each CPU its own
/// shelves; read through mmap by user space, by as many as like. The loader sets the size to the CPUs
/// that there can be. Never full: a frame takes the place of an older one of its reason.
#[btf_map]
pub(crate) static EVIDENCE: Array<Shelf, 1, MMAPABLE> = Array::new();

/// To which ports what arrives may open connections, by interface. Written by the loader before the
/// programs are attached, which sets the size to the interfaces it guards; read by the ingress hook.
#[btf_map]
pub(crate) static PORTS: Array<PortSet, 1> = Array::new();

/// How many connections what arrives may open, by interface: rates, written by the loader before the
/// programs are attached, and what is left, by the ingress hook. The loader sets the size as above.
#[btf_map]
pub(crate) static LIMITS: Array<SynLimit, 1> = Array::new();

/// What is left of a source's rate, by two hashes of it. Written by the ingress hook; the loader sets
/// the size if any source is limited. Never full: strangers share.
#[btf_map]
pub(crate) static SOURCES: Array<Bucket, 1> = Array::new();

/// What is said of IPv4 sources. Written by the loader before the programs are attached, which sets the
/// size to what it has; read by the ingress hook.
#[btf_map]
pub(crate) static PREFIXES4: LpmTrie<[u8; 4], u32, 1> = LpmTrie::new();

/// Of IPv6 sources, as above.
#[btf_map]
pub(crate) static PREFIXES6: LpmTrie<[u32; 4], u32, 1> = LpmTrie::new();

/// When a table was last full. Written by both hooks, read by them. One entry.
#[btf_map]
pub(crate) static FULLNESS: Array<Fullness, 1> = Array::new();

/// Ends of this host that answer SYNs. Written by the egress hook, which learns of them, and by the ingress
/// hook, which asks them; read by the latter. If there are more, those that are asked least are asked as if
/// they were new.
#[btf_map]
pub(crate) static LISTENERS: LruHashMap<Local, Listener, 4096> = LruHashMap::new();

/// How many handshakes are not completed. Written and read by the ingress hook, read by the loader. One entry.
#[btf_map]
pub(crate) static PRESSURE: Array<Pressure, 1> = Array::new();

/// Connections of IPv4, by `table::key::Location`. Written by both hooks, read by them and through
/// mmap by user space. The loader sets the size. What happens when it is full: `table`.
#[btf_map]
pub(crate) static FLOWS4: Array<Set<FlowKey4>, 1, MMAPABLE> = Array::new();

/// Connections of IPv6, as above.
#[btf_map]
pub(crate) static FLOWS6: Array<Set<FlowKey6>, 1, MMAPABLE> = Array::new();
