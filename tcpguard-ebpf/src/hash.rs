//! A tracker as short as can be: one lookup in the kernel's hash map, and an update in place.
#![expect(unsafe_code, reason = "entries are reached through raw pointers")]

use aya_ebpf::{
    bindings::BPF_ANY, btf_maps::HashMap, helpers::generated::bpf_jiffies64, macros::btf_map,
};
use tcpguard_common::{
    conn::{Conn, time::Ticks},
    flow::{FlowKey4, FlowKey6, Way},
    parse::{Link, parse_plain},
    segment::{Addresses, Segment},
};

use crate::packet::{Buffer, Packet};

/// The benchmark sets the size.
#[btf_map]
static HASH4: HashMap<FlowKey4, Conn, 1> = HashMap::new();
#[btf_map]
static HASH6: HashMap<FlowKey6, Conn, 1> = HashMap::new();

/// Remembers what a segment says of its connection.
#[inline(always)]
pub(crate) fn remember(ctx: &impl Buffer) {
    let mut segment = Segment::EMPTY;
    let parsed = parse_plain(&mut Packet::first_buffer(ctx), Link::Ethernet, &mut segment);
    if !parsed {
        return;
    }
    let ports = (segment.source_port, segment.destination_port);
    match segment.addresses {
        Addresses::V4 {
            source,
            destination,
        } => {
            let (key, way) = FlowKey4::new((source, ports.0), (destination, ports.1));
            if let Some(conn) = HASH4.get_ptr_mut(key) {
                update(conn, way, &segment);
            } else {
                let _ = HASH4.insert(key, created(way, &segment), u64::from(BPF_ANY));
            }
        }
        Addresses::V6 {
            source,
            destination,
        } => {
            let (key, way) = FlowKey6::new((source, ports.0), (destination, ports.1));
            if let Some(conn) = HASH6.get_ptr_mut(key) {
                update(conn, way, &segment);
            } else {
                let _ = HASH6.insert(key, created(way, &segment), u64::from(BPF_ANY));
            }
        }
    }
}

#[inline(always)]
fn update(conn: *mut Conn, way: Way, segment: &Segment) {
    // SAFETY: an element that was just found, and there is one run at a time.
    let conn = unsafe { &mut *conn };
    let [up, down] = &mut conn.halves;
    let half = match way {
        Way::Up => up,
        Way::Down => down,
    };
    half.end = segment.seq.plus(segment.payload_len);
    half.ack = segment.ack;
    half.seen = now();
}

#[inline(always)]
fn created(way: Way, segment: &Segment) -> Conn {
    let mut conn = Conn::SILENT;
    conn.created = now();
    update(&raw mut conn, way, segment);
    conn
}

#[inline(always)]
fn now() -> Ticks {
    // SAFETY: reads a counter; the verifier makes a single load of it.
    let jiffies = unsafe { bpf_jiffies64() };
    Ticks::from_jiffies(jiffies, Ticks::per_jiffy(250))
}
