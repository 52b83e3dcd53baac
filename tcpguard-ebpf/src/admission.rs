//! Who may: what the operator says of sources and of ports, whatever the segment.
//!
//! All of it is asked in functions of their own: the stack of their callers has no room for it.
#![expect(
    unsafe_code,
    reason = "global functions have plain names and take raw pointers"
)]

use aya_ebpf::{
    bindings::xdp_md,
    btf_maps::lpm_trie::Key,
    programs::{TcContext, XdpContext},
};
use tcpguard_common::{
    conn::seen::Class,
    cursor::View,
    policy::Standing,
    reason::Reason,
    verdict::Verdict,
    wire::{
        ipv4::{self, Ipv4Header},
        ipv6::{self, Ipv6Header},
    },
};

use crate::{
    config::{self, Hooked},
    cookie, flow, guard, limits,
    maps::{PORTS, PREFIXES4, PREFIXES6},
    parsed::Parsed,
};

/// A context whose segments may be unwelcome, by this hook's global function.
pub(crate) trait Admitting {
    /// Writes down what is said of the source, and what becomes of a SYN that opens a connection.
    fn admit(&self, parsed: &mut Parsed);
}

impl Admitting for XdpContext {
    #[inline(always)]
    fn admit(&self, parsed: &mut Parsed) {
        if config::lists::<Self>()
            || config::limits_any_ports()
            || config::limits_rates()
            || cookie::is_on()
        {
            ingress_admit(self.ctx, parsed);
        }
    }
}

impl Admitting for TcContext {
    /// What leaves, the host itself has opened.
    #[inline(always)]
    fn admit(&self, _: &mut Parsed) {}
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ingress_admit(ctx: *mut xdp_md, parsed: *mut Parsed) -> u32 {
    // SAFETY: the verifier lets a caller pass memory of this size or null, which is tested.
    let Some(parsed) = (unsafe { parsed.as_mut() }) else {
        return 0;
    };
    let standing = if !config::lists::<XdpContext>() {
        0
    } else if parsed.version == 4 {
        lookup4(parsed.ends4()[0])
    } else {
        lookup6(parsed.ends6()[0])
    };
    parsed.standing = standing as u16;
    if matches!(parsed.seen.class(), Class::Syn) && guard::is_tracked::<XdpContext>(parsed) {
        admit_syn(&XdpContext::new(ctx), parsed);
    }
    0
}

/// What becomes of a SYN. What is refused for its port takes nothing of anybody's rate, nor does what opens no
/// connection.
#[inline(always)]
fn admit_syn(ctx: &XdpContext, parsed: &mut Parsed) {
    let slot = config::slot(ctx);
    let standing = parsed.standing();
    let trusted = matches!(standing, Standing::Trusted);
    if !trusted && !admits(slot, parsed.ports()[1]) {
        refuse(parsed, Reason::InboundClosed);
    } else if !matches!(standing, Standing::Denied) && cookie::is_wanted(ctx, parsed) {
        parsed.is_answered = 1;
    } else if !trusted
        && config::limits_rates()
        && !flow::is_open(parsed)
        && limits::is_exceeded(slot, parsed)
    {
        refuse(parsed, Reason::RateLimited);
    }
}

/// Lets a SYN open no connection, if that is enforced.
#[inline(always)]
fn refuse(parsed: &mut Parsed, reason: Reason) {
    let refused = config::policy::<XdpContext>().apply(Verdict::dropped(reason));
    parsed.seen = parsed.seen.opening(refused);
}

/// Whether a SYN to this port may open a connection.
#[inline(always)]
fn admits(slot: usize, port: u16) -> bool {
    !config::limits_ports(slot)
        || PORTS
            .get(slot as u32)
            .is_some_and(|ports| ports.contains(port))
}

/// An IP header whose source may be listed.
pub(crate) trait Listed {
    /// What is said of the source, a [`Standing`].
    fn standing(self) -> u32;
}

impl<V: View<{ ipv4::HEADER_LEN }>> Listed for Ipv4Header<V> {
    #[inline(always)]
    fn standing(self) -> u32 {
        source_standing4(self.source())
    }
}

impl<V: View<{ ipv6::HEADER_LEN }>> Listed for Ipv6Header<V> {
    #[inline(always)]
    fn standing(self) -> u32 {
        source_standing6(&self.source())
    }
}

/// What is said of the source of a packet, if anything is said of any where this hook is.
#[inline(always)]
pub(crate) fn standing<C: Hooked>(ip: impl Listed) -> Standing {
    if config::lists::<C>() {
        Standing::from_number(ip.standing())
    } else {
        Standing::Unlisted
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn source_standing4(source: u32) -> u32 {
    lookup4(source)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn source_standing6(source: *const [u32; 4]) -> u32 {
    // SAFETY: as above.
    match unsafe { source.as_ref() } {
        Some(source) => lookup6(*source),
        None => 0,
    }
}

#[inline(always)]
fn lookup4(source: u32) -> u32 {
    let key = Key::new(u32::BITS, source.to_be_bytes());
    PREFIXES4.get(&key).copied().unwrap_or_default()
}

#[inline(always)]
fn lookup6(source: [u32; 4]) -> u32 {
    let key = Key::new(u128::BITS, source);
    PREFIXES6.get(&key).copied().unwrap_or_default()
}
