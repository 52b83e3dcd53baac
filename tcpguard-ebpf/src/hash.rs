//! A tracker as short as can be: one lookup in the kernel's hash map, and an update in place.
#![expect(unsafe_code, reason = "entries are reached through raw pointers")]

use aya_ebpf::{
    bindings::BPF_ANY, btf_maps::HashMap, helpers::generated::bpf_jiffies64, macros::btf_map,
};
use tcpguard_common::{
    conn::{Conn, time::Ticks},
    cursor::View,
    flow::{Ends, FlowKey4, FlowKey6, Way},
    parse::{self, Link, Plain},
    wire::tcp::{self, TcpHeader},
};

use crate::{packet::Buffer, parsed};

/// The benchmark sets the size.
#[btf_map]
static HASH4: HashMap<FlowKey4, Conn, 1> = HashMap::new();
#[btf_map]
static HASH6: HashMap<FlowKey6, Conn, 1> = HashMap::new();

/// Remembers what a segment says of its connection.
#[inline(always)]
pub(crate) fn remember(ctx: &impl Buffer) {
    parsed::plain(
        ctx,
        Link::Ethernet,
        #[inline(always)]
        |cursor| {
            note(&HASH4, parse::plain4(cursor)?);
            Some(())
        },
        #[inline(always)]
        |cursor| {
            note(&HASH6, parse::plain6(cursor)?);
            Some(())
        },
    );
}

#[inline(always)]
fn note<I: Ends<Key: Copy>, V: View<{ tcp::HEADER_LEN }>, const M: usize>(
    map: &HashMap<I::Key, Conn, M>,
    segment: Plain<I, V>,
) {
    let Plain {
        ip,
        tcp,
        payload_len,
    } = segment;
    let (key, way) = ip.key(tcp.source_port(), tcp.destination_port());
    if let Some(conn) = map.get_ptr_mut(key) {
        // SAFETY: an element that was just found, and there is one run at a time.
        update(unsafe { &mut *conn }, way, tcp, payload_len);
    } else {
        let mut conn = Conn::SILENT;
        conn.created = now();
        update(&mut conn, way, tcp, payload_len);
        let _ = map.insert(key, conn, u64::from(BPF_ANY));
    }
}

#[inline(always)]
fn update<V: View<{ tcp::HEADER_LEN }>>(
    conn: &mut Conn,
    way: Way,
    tcp: TcpHeader<V>,
    payload_len: u32,
) {
    let [up, down] = &mut conn.halves;
    let half = match way {
        Way::Up => up,
        Way::Down => down,
    };
    half.end = tcp.seq().plus(payload_len);
    half.ack = tcp.ack();
    half.seen = now();
}

#[inline(always)]
fn now() -> Ticks {
    // SAFETY: reads a counter; the verifier makes a single load of it.
    let jiffies = unsafe { bpf_jiffies64() };
    Ticks::from_jiffies(jiffies, Ticks::per_jiffy(250))
}
