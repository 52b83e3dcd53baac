//! The programs' constants, and what follows from them about an interface.
//!
//! They lie in a frozen map, so the verifier knows their values and removes what they switch off.
#![expect(
    unsafe_code,
    reason = "constants that the loader fills in are read as volatile"
)]

use aya_ebpf::{
    Global,
    programs::{TcContext, XdpContext},
};
use tcpguard_common::{
    abi::{Config, Hook, MAX_INTERFACES},
    conn::{seen::Voice, time::Ticks},
    cookie::{Means, When},
    parse::Link,
    policy::Policy,
    table::key::Seed,
};

// In a map of its own, so that others read it: `abi::CONFIG_MAP`.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.abi10")]
static CONFIG: Global<Config> = Global::new(Config::DEFAULT);

/// Reads one field: the whole would be copied to the stack.
macro_rules! constant {
    ($($field:tt)+) => {
        // SAFETY: `Global` is transparent over `Config`, and the read stays within it. Volatile,
        // because the compiler must not fold the value that the loader replaces.
        unsafe { (&raw const (*(&raw const CONFIG).cast::<Config>()).$($field)+).read_volatile() }
    };
}

/// The context of a hook of an interface.
pub(crate) trait Hooked {
    /// Which hook it is.
    const HOOK: Hook;

    /// The kernel's number of the interface of this hook.
    fn interface_index(&self) -> u32;
}

impl Hooked for XdpContext {
    const HOOK: Hook = Hook::Ingress;

    #[inline(always)]
    fn interface_index(&self) -> u32 {
        // SAFETY: the context is valid for the run of the program.
        unsafe { (*self.ctx).ingress_ifindex }
    }
}

impl Hooked for TcContext {
    const HOOK: Hook = Hook::Egress;

    #[inline(always)]
    fn interface_index(&self) -> u32 {
        // SAFETY: the context is valid for the run of the program.
        unsafe { (*self.skb.skb).ifindex }
    }
}

/// The slot of this hook's interface.
#[inline(always)]
pub(crate) fn slot(ctx: &impl Hooked) -> usize {
    if has_one_interface() {
        return 0;
    }
    slot_of(ctx.interface_index()).unwrap_or_default()
}

/// What the frames of the interface in a slot begin with.
#[inline(always)]
pub(crate) fn link(slot: usize) -> Link {
    let slot = if has_one_interface() { 0 } else { slot };
    let raw_ip = constant!(interfaces[slot % MAX_INTERFACES].raw_ip);
    Link::from_raw_ip(raw_ip.into())
}

/// Where there is nothing to look up: the program is attached nowhere else.
#[inline(always)]
fn has_one_interface() -> bool {
    constant!(interface_count) <= 1
}

/// Whether the first look of this hook asks for more than it does of nearly every guard.
#[inline(always)]
pub(crate) fn is_special<C: Hooked>() -> bool {
    constant!(special[C::HOOK as usize]) != 0
}

/// Whether a frame that leaves came in by a guarded interface, where XDP has judged it already.
#[inline(always)]
pub(crate) fn judged_on_arrival(ctx: &TcContext) -> bool {
    // SAFETY: the context is valid for the run of the program.
    let arrived_by = unsafe { (*ctx.skb.skb).ingress_ifindex };
    arrived_by != 0 && slot_of(arrived_by).is_some()
}

/// What a hook enforces.
#[inline(always)]
pub(crate) fn policy<C: Hooked>() -> Policy {
    match C::HOOK {
        Hook::Ingress => constant!(ingress),
        Hook::Egress => constant!(egress),
    }
}

/// Whether the ports that connections may be opened to are limited anywhere.
#[inline(always)]
pub(crate) fn limits_any_ports() -> bool {
    constant!(inbound) != 0
}

/// Whether they are at the interface in a slot.
#[inline(always)]
pub(crate) fn limits_ports(slot: usize) -> bool {
    constant!(interfaces[slot].inbound) != 0
}

/// Whether anything is said of sources where this hook is.
#[inline(always)]
pub(crate) fn lists<C: Hooked>() -> bool {
    matches!(C::HOOK, Hook::Ingress) && constant!(prefixes[0]) | constant!(prefixes[1]) != 0
}

/// What is written down about single frames, a [`Transcript`](tcpguard_common::abi::Transcript).
#[inline(always)]
pub(crate) fn transcript() -> u32 {
    constant!(transcript)
}

/// Whether it is limited anywhere how many connections may be opened.
#[inline(always)]
pub(crate) fn limits_rates() -> bool {
    constant!(limits) != 0
}

/// Buckets of the sources.
#[inline(always)]
pub(crate) fn buckets() -> u32 {
    constant!(buckets)
}

/// What of an IPv4 address is one source.
#[inline(always)]
pub(crate) fn source_mask4() -> u32 {
    constant!(source_masks[0])
}

/// What of the first two words of an IPv6 address is one source.
#[inline(always)]
pub(crate) fn source_mask6() -> [u32; 2] {
    [constant!(source_masks[1]), constant!(source_masks[2])]
}

/// Whether frames that are objected to are kept.
#[inline(always)]
pub(crate) fn keeps_evidence() -> bool {
    constant!(evidence) != 0
}

/// When SYNs are answered with cookies.
#[inline(always)]
pub(crate) fn cookies() -> When {
    When::from_number(constant!(cookies))
}

/// What the stack accepts beside a cookie.
#[inline(always)]
pub(crate) fn means() -> Means {
    constant!(means)
}

/// The hop limits of what this host sends, of IPv4 and of IPv6.
#[inline(always)]
pub(crate) fn hop_limits() -> [u16; 2] {
    [constant!(hop_limits[0]), constant!(hop_limits[1])]
}

/// Connections that a table has room for.
#[inline(always)]
pub(crate) fn connections() -> u32 {
    constant!(connections)
}

/// Whether connections are tracked.
#[inline(always)]
pub(crate) fn tracking() -> bool {
    constant!(tracking) != 0
}

/// On whose word a segment of this hook is seen.
#[inline(always)]
pub(crate) fn voice<C: Hooked>() -> Voice {
    match C::HOOK {
        Hook::Ingress => Voice::from_number(constant!(voice) as u8),
        Hook::Egress => Voice::LOCAL,
    }
}

/// Whether connections that were there before are still learned at `now`. Already, if the moment from which on they
/// are has not come: the loader's clock may be a tick or two ahead of this one.
#[inline(always)]
pub(crate) fn learns(now: Ticks) -> bool {
    now.past(constant!(learn_from)) < constant!(learn_for)
}

/// Whether connections of others go through this host.
#[inline(always)]
pub(crate) fn transit() -> bool {
    constant!(transit) != 0
}

/// What jiffies are multiplied with.
#[inline(always)]
pub(crate) fn per_jiffy() -> u64 {
    constant!(per_jiffy)
}

/// Sets of the table of IPv4.
#[inline(always)]
pub(crate) fn sets4() -> u32 {
    constant!(sets[0])
}

/// Sets of the table of IPv6.
#[inline(always)]
pub(crate) fn sets6() -> u32 {
    constant!(sets[1])
}

/// Of the tables' hash, as far as it is used for IPv4.
#[inline(always)]
pub(crate) fn seed4() -> Seed {
    let word = |at: usize| constant!(seed.addresses[0][at]);
    Seed {
        addresses: [[word(0), word(1), 0, 0], [0; 4]],
        ports: constant!(seed.ports),
    }
}

/// Of the tables' hash.
#[inline(always)]
pub(crate) fn seed6() -> Seed {
    let address = |at: usize| core::array::from_fn(|word| constant!(seed.addresses[at][word]));
    Seed {
        addresses: [address(0), address(1)],
        ports: constant!(seed.ports),
    }
}

#[inline(always)]
fn slot_of(index: u32) -> Option<usize> {
    for slot in 0..MAX_INTERFACES {
        let guarded = constant!(interfaces[slot].index);
        if guarded == 0 {
            break;
        }
        if guarded == index {
            return Some(slot);
        }
    }
    None
}
