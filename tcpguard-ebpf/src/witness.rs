//! The kernel's own socket table, asked about a segment that belongs to no connection of ours.
#![expect(unsafe_code, reason = "helpers take raw pointers")]

use core::ptr;

use aya_ebpf::{
    bindings::{bpf_sock, bpf_sock_tuple, xdp_md},
    helpers::generated::{
        bpf_sk_release, bpf_skc_lookup_tcp, bpf_tcp_check_syncookie,
        bpf_tcp_raw_check_syncookie_ipv4, bpf_tcp_raw_check_syncookie_ipv6,
    },
};
use tcpguard_common::{
    conn::{
        seen::Seen,
        witness::{self, Plea},
    },
    flags::TcpFlags,
    flow::{FlowKey4, FlowKey6, Way},
};

use crate::cookie;

/// The network namespace of the interface (`BPF_F_CURRENT_NETNS`).
const THIS_NAMESPACE: u64 = u64::MAX;

/// A key that the socket table can be asked for, and that a SYN cookie can be checked for.
pub(crate) trait Witnessed: Copy {
    /// Both ends in network order, as `bpf_sock_tuple` has them.
    type Tuple;
    /// An IP header as far as the check of a cookie reads it.
    type Header;

    /// The two ends of a segment that goes this way.
    fn tuple(&self, way: Way) -> Self::Tuple;
    /// Its IP header.
    fn header(&self, way: Way) -> Self::Header;
    /// Its ports, source first, in network order.
    fn ports(&self, way: Way) -> [u16; 2];
    /// Whether a segment with these headers carries a cookie of this machine's, whatever socket sent it.
    fn is_proof(header: &mut Self::Header, segment: &mut [u32; 5]) -> bool;
}

impl Witnessed for FlowKey4 {
    type Tuple = ([u32; 2], [u16; 2]);
    type Header = [u32; 5];

    #[inline(always)]
    fn tuple(&self, way: Way) -> Self::Tuple {
        let addresses = way.order(self.addresses).map(u32::to_be);
        (addresses, self.ports(way))
    }

    #[inline(always)]
    fn header(&self, way: Way) -> Self::Header {
        let [source, destination] = way.order(self.addresses).map(u32::to_be);
        [
            u32::from_ne_bytes([0x45, 0, 0, 0]),
            0,
            0,
            source,
            destination,
        ]
    }

    #[inline(always)]
    fn ports(&self, way: Way) -> [u16; 2] {
        way.order(self.ports).map(u16::to_be)
    }

    #[inline(always)]
    fn is_proof(header: &mut Self::Header, segment: &mut [u32; 5]) -> bool {
        // SAFETY: both have the size of the kernel's headers.
        let answer = unsafe {
            bpf_tcp_raw_check_syncookie_ipv4(
                ptr::from_mut(header).cast(),
                ptr::from_mut(segment).cast(),
            )
        };
        answer == 0
    }
}

impl Witnessed for FlowKey6 {
    type Tuple = ([[u32; 4]; 2], [u16; 2]);
    type Header = ([u32; 2], [[u32; 4]; 2]);

    #[inline(always)]
    fn tuple(&self, way: Way) -> Self::Tuple {
        (way.order(self.addresses), self.ports(way))
    }

    #[inline(always)]
    fn header(&self, way: Way) -> Self::Header {
        (
            [u32::from_ne_bytes([0x60, 0, 0, 0]), 0],
            way.order(self.addresses),
        )
    }

    #[inline(always)]
    fn ports(&self, way: Way) -> [u16; 2] {
        way.order(self.ports).map(u16::to_be)
    }

    #[inline(always)]
    fn is_proof(header: &mut Self::Header, segment: &mut [u32; 5]) -> bool {
        // SAFETY: both have the size of the kernel's headers.
        let answer = unsafe {
            bpf_tcp_raw_check_syncookie_ipv6(
                ptr::from_mut(header).cast(),
                ptr::from_mut(segment).cast(),
            )
        };
        answer == 0
    }
}

/// What the kernel knows of a segment that was refused. By a call, so that its memory is free again.
#[inline(never)]
pub(crate) fn ask<K: Witnessed>(ctx: *mut xdp_md, key: &K, way: Way, seen: &Seen) -> Plea {
    let socket = look_up(ctx, key, way);
    if socket.is_null() {
        return Plea::Refuse;
    }
    // SAFETY: not null, and held until it is released.
    let state = unsafe { (*socket).state };
    let plea = if state == witness::LISTEN {
        cookie(socket, key, way, seen)
    } else {
        witness::plead(seen, state)
    };
    // SAFETY: it was looked up above and is released once.
    unsafe { bpf_sk_release(socket.cast()) };
    plea
}

/// The socket that a segment is for, or null. Apart, so that its memory is free for the cookie's.
#[inline(always)]
fn look_up<K: Witnessed>(ctx: *mut xdp_md, key: &K, way: Way) -> *mut bpf_sock {
    let mut tuple = key.tuple(way);
    // SAFETY: the tuple has the shape that its size tells, and the context is valid.
    unsafe {
        bpf_skc_lookup_tcp(
            ctx.cast(),
            ptr::from_mut(&mut tuple).cast::<bpf_sock_tuple>(),
            size_of::<K::Tuple>() as u32,
            THIS_NAMESPACE,
            0,
        )
    }
}

/// Whether a segment to a listener completes a handshake by a SYN cookie: one of the guard's, or one that
/// the listener sent.
#[inline(always)]
fn cookie<K: Witnessed>(socket: *mut bpf_sock, key: &K, way: Way, seen: &Seen) -> Plea {
    let mut header = key.header(way);
    let mut segment = segment(key, way, seen);
    if cookie::may_prove(seen) {
        return if K::is_proof(&mut header, &mut segment) {
            Plea::Prove
        } else {
            Plea::Forged
        };
    }
    let turns = TcpFlags::SYN.with(TcpFlags::RST).with(TcpFlags::FIN);
    if seen.flags.intersects(turns) {
        return Plea::Refuse;
    }
    // SAFETY: both headers have the size that is told, and the socket is held.
    let answer = unsafe {
        bpf_tcp_check_syncookie(
            socket.cast(),
            ptr::from_mut(&mut header).cast(),
            size_of::<K::Header>() as u32,
            segment.as_mut_ptr().cast(),
            size_of_val(&segment) as u32,
        )
    };
    if answer == 0 {
        Plea::Adopt
    } else {
        Plea::Refuse
    }
}

/// A TCP header as far as the check of a cookie reads it.
#[inline(always)]
fn segment<K: Witnessed>(key: &K, way: Way, seen: &Seen) -> [u32; 5] {
    let offset_and_flags = u32::from_ne_bytes([0x50, TcpFlags::ACK.bits() as u8, 0, 0]);
    [
        port_word(key.ports(way)),
        seen.seq.0.to_be(),
        seen.ack.0.to_be(),
        offset_and_flags,
        0,
    ]
}

/// The first word of a TCP header, of ports in network order.
#[inline(always)]
pub(crate) fn port_word([source, destination]: [u16; 2]) -> u32 {
    u32::from(source) | u32::from(destination) << 16
}
