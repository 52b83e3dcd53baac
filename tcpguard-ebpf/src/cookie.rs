//! SYN cookies: which SYNs are answered by the guard, and which ports the stack answers.
#![expect(
    unsafe_code,
    reason = "global functions have plain names; map values are reached through raw pointers"
)]

use aya_ebpf::{
    bindings::{__sk_buff, BPF_ANY},
    programs::{TcContext, XdpContext},
};
use tcpguard_common::{
    conn::{
        self,
        ruling::Ruling,
        seen::{Class, Seen},
    },
    cookie::{When, listener::Listener, offer::Offer, pressure::Pressure},
    flags::TcpFlags,
    flow::Way,
    table::Candidates as _,
};

use crate::{
    clock,
    config::{self, Hooked},
    maps::{LISTENERS, PRESSURE},
    options::Optioned as _,
    parsed::Parsed,
    table::{Sixteen, Tabled},
};

/// A context of a hook that has to do with cookies.
pub(crate) trait Cookied: Hooked {
    /// Learns of what leaves which ports are answered.
    fn overhear(&self, parsed: &mut Parsed);

    /// Takes note of handshakes that are begun or completed by what arrives.
    fn weigh(ruling: Ruling);
}

impl Cookied for XdpContext {
    #[inline(always)]
    fn overhear(&self, _: &mut Parsed) {}

    #[inline(always)]
    fn weigh(ruling: Ruling) {
        if !matches!(config::cookies(), When::Auto) {
            return;
        }
        if let Some(pressure) = pressure() {
            // One for which there is no room may have begun as well.
            if ruling.begins() || ruling.is_table_full() {
                pressure.begun(config::connections(), clock::now());
            } else if ruling.completes() {
                pressure.completed();
            }
        }
    }
}

impl Cookied for TcContext {
    #[inline(always)]
    fn overhear(&self, parsed: &mut Parsed) {
        if is_on() && matches!(parsed.seen.class(), Class::SynAck | Class::Rst) {
            egress_overhear(self.skb.skb, parsed);
        }
    }

    #[inline(always)]
    fn weigh(_: Ruling) {}
}

/// Whether SYNs are ever answered. A replay is about another host.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    !matches!(config::cookies(), When::Off) && !clock::is_replayed()
}

/// Whether a SYN that may open a connection is answered by the guard; then what it offers is known.
#[inline(always)]
pub(crate) fn is_wanted(ctx: &XdpContext, parsed: &mut Parsed) -> bool {
    if !is_on() || !is_time() || !is_answerable(parsed) {
        return false;
    }
    let Some(listener) = LISTENERS.get_ptr_mut(parsed.destination()) else {
        return false;
    };
    // SAFETY: other CPUs write it at the same time, and any numbers are one.
    let listener = unsafe { &mut *listener };
    if !listener.is_spared(clock::now()) {
        return false;
    }
    parsed.listener = *listener;
    let (at, len) = (parsed.options_at.into(), parsed.options_len.into());
    if len == 0 {
        parsed.offer = Offer::NOTHING;
    } else {
        ctx.offer(at, len, &mut parsed.offer);
    }
    !parsed.offer.is_signed()
}

/// Whether SYNs are answered at this moment.
#[inline(always)]
fn is_time() -> bool {
    matches!(config::cookies(), When::Always) || pressure().is_some_and(|it| it.is_high())
}

/// Whether the stack has no socket for the connection that a SYN wants to open.
#[inline(always)]
fn is_answerable(parsed: &Parsed) -> bool {
    if parsed.version == 4 {
        is_entry_answerable(&parsed.key4, parsed.way())
    } else {
        is_entry_answerable(&parsed.key6, parsed.way())
    }
}

#[inline(always)]
fn is_entry_answerable<K: Tabled>(key: &K, way: Way) -> bool {
    let sixteen = Sixteen::of(key);
    sixteen.find().is_none_or(|place| {
        sixteen.with(place, |entry| {
            conn::is_answerable(&mut entry.conn, way, clock::now())
        })
    })
}

/// Takes note of a cookie that was sent.
#[inline(always)]
pub(crate) fn sent() {
    if let Some(pressure) = pressure() {
        pressure.answered(config::connections(), clock::now());
    }
}

/// Whether a segment without a connection may be the proof of a cookie of ours.
#[inline(always)]
pub(crate) fn may_prove(seen: &Seen) -> bool {
    let turns = TcpFlags::SYN.with(TcpFlags::RST);
    is_on()
        && !seen.flags.intersects(turns)
        && pressure().is_some_and(|it| it.may_be_proved(seen.now))
}

#[inline(always)]
fn pressure() -> Option<&'static mut Pressure> {
    let pressure = PRESSURE.get_ptr_mut(0)?;
    // SAFETY: as above.
    Some(unsafe { &mut *pressure })
}

/// Learns of a SYN+ACK what the stack offers at a port, and of the reset that answers a SYN that none listens
/// there. Only of the stack's own: what another host or a container says, a cookie of this host does not prove.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn egress_overhear(ctx: *mut __sk_buff, parsed: *mut Parsed) -> u32 {
    // SAFETY: the verifier lets a caller pass memory of this size or null, which is tested.
    let Some(parsed) = (unsafe { parsed.as_mut() }) else {
        return 0;
    };
    // SAFETY: the context is valid for the run of the program.
    if unsafe { (*ctx).ingress_ifindex } != 0 {
        return 0;
    }
    let local = parsed.source();
    if matches!(parsed.seen.class(), Class::Rst) {
        if is_refusal(&parsed.seen) {
            let _ = LISTENERS.remove(local);
        }
        return 0;
    }
    let (at, len) = (parsed.options_at.into(), parsed.options_len.into());
    let ctx = TcContext::new(ctx);
    ctx.offer(at, len, &mut parsed.offer);
    let now = clock::now();
    if let Some(listener) = LISTENERS.get_ptr_mut(local) {
        // SAFETY: as above.
        let listener = unsafe { &mut *listener };
        listener.hear(&parsed.offer, parsed.seen.window, now);
    } else {
        let mut listener = Listener::NEW;
        listener.hear(&parsed.offer, parsed.seen.window, now);
        let _ = LISTENERS.insert(local, listener, u64::from(BPF_ANY));
    }
    0
}

/// Whether a reset answers a SYN: only then there was no ACK from which it could have its number (RFC 9293
/// section 3.10.7.1).
#[inline(always)]
fn is_refusal(seen: &Seen) -> bool {
    seen.flags.contains(TcpFlags::ACK) && seen.seq.0 == 0
}
