//! What the kernel programs and the loader agree on: names, shapes, sizes.

use crate::{
    conn::time::{FORGIVEN, Ticks},
    cookie::{Means, When},
    counters::{Counters, Events},
    parse::Link,
    policy::Policy,
    segment::Segment,
    table::key::Seed,
    verdict::Verdict,
};

/// Raised with every change to a type or a name in this file or to a type that it uses.
pub const ABI_VERSION: u32 = 10;

/// The XDP program.
pub const INGRESS_PROGRAM: &str = "tcpguard_ingress";
/// The traffic-control program.
pub const EGRESS_PROGRAM: &str = "tcpguard_egress";
/// Constants of the programs, a [`Config`].
pub const CONFIG: &str = "CONFIG";
/// The map in which they lie, and nothing else: a section of the object, whose name tells who reads it
/// whether what follows is [`ABI_VERSION`]'s. aya takes what begins with `.rodata` for constants.
pub const CONFIG_MAP: &str = ".rodata.abi10";
/// What the names of that map begin with, whatever the version.
pub const CONFIG_MAPS: &str = ".rodata.abi";
/// Per-CPU array of [`Counters`], by [`counter_index`].
pub const COUNTERS: &str = "COUNTERS";
/// Array of one [`Adjudication`], written under [`Transcript::Adjudicate`].
pub const ADJUDICATION: &str = "ADJUDICATION";
/// Array of one [`Ticks`]: the moment of a replay, which has no other clock.
pub const CLOCK: &str = "CLOCK";
/// Per-CPU array of [`Events`], by [`Hook`].
pub const EVENTS: &str = "EVENTS";
/// Array of [`Shelf`](crate::evidence::Shelf) by [`shelf`](crate::evidence::shelf), written while
/// [`Config::evidence`] is set.
pub const EVIDENCE: &str = "EVIDENCE";
/// Array of one [`Fullness`].
pub const FULLNESS: &str = "FULLNESS";
/// Array of [`crate::table::Set`] of IPv4 connections.
pub const FLOWS4: &str = "FLOWS4";
/// Array of [`crate::table::Set`] of IPv6 connections.
pub const FLOWS6: &str = "FLOWS6";

/// Array of [`crate::ports::PortSet`] by the interfaces' slots in [`Config::interfaces`]: to which ports a
/// SYN that arrives there may open a connection, if [`Interface::inbound`] says so.
pub const PORTS: &str = "PORTS";

/// Longest-prefix trie of IPv4 sources, in network order, to a [`Standing`](crate::policy::Standing).
pub const PREFIXES4: &str = "PREFIXES4";
/// The same of IPv6 sources.
pub const PREFIXES6: &str = "PREFIXES6";

/// Array of [`crate::limit::SynLimit`] by the interfaces' slots, asked while [`Config::limits`] is set.
pub const LIMITS: &str = "LIMITS";
/// Array of [`crate::limit::Bucket`], two of which are a source's.
pub const SOURCES: &str = "SOURCES";

/// Hash map of [`Local`](crate::cookie::listener::Local) to [`Listener`](crate::cookie::listener::Listener).
pub const LISTENERS: &str = "LISTENERS";
/// Array of one [`Pressure`](crate::cookie::pressure::Pressure).
pub const PRESSURE: &str = "PRESSURE";

/// Interfaces that one guard can hold.
pub const MAX_INTERFACES: usize = 32;
/// Hooks of an interface that are counted apart.
pub const HOOKS: usize = 2;

/// Where a frame is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Hook {
    /// XDP: what arrives.
    Ingress = 0,
    /// Traffic control: what leaves.
    Egress = 1,
}

/// Index into [`COUNTERS`] of a hook of the interface in slot `slot` of [`Config::interfaces`].
#[inline(always)]
#[must_use]
pub const fn counter_index(slot: usize, hook: Hook) -> usize {
    slot * HOOKS + hook as usize
}

/// A guarded interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Interface {
    /// The kernel's number of it; 0 ends the list.
    pub index: u32,
    /// Whether its frames begin with the IP header, 0 or 1.
    pub raw_ip: u16,
    /// Whether what arrives may open connections to the ports in [`PORTS`] only, 0 or 1.
    pub inbound: u16,
}

impl Interface {
    /// What its frames begin with.
    #[inline(always)]
    #[must_use]
    pub const fn link(self) -> Link {
        Link::from_raw_ip(self.raw_ip as u32)
    }
}

/// What is written down about single frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Transcript {
    /// Nothing: a guard at work.
    Off = 0,
    /// Each judgement, to [`ADJUDICATION`]: a replay.
    Adjudicate = 1,
    /// What is objected to, to the log; needs the `log` feature.
    Log = 2,
}

/// Constants of the programs. They are frozen before the verifier sees them, so what is switched off
/// is not only skipped but gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Config {
    /// What XDP enforces.
    pub ingress: Policy,
    /// What the egress hook enforces.
    pub egress: Policy,
    /// What is written down about single frames, a [`Transcript`].
    pub transcript: u32,
    /// How many of `interfaces` are in use. With none, every frame is taken for Ethernet and counted
    /// in slot 0, so that the object works as it is when another loader loads it.
    pub interface_count: u32,
    /// Whether connections are tracked, 0 or 1.
    pub tracking: u32,
    /// On whose word arriving segments are seen, a [`Voice`](crate::conn::seen::Voice): 0, or 2 where the other direction is
    /// never seen.
    pub voice: u32,
    /// From when on connections are learned that were there before.
    pub learn_from: Ticks,
    /// For how many ticks; `u32::MAX` never ends.
    pub learn_for: u32,
    /// Whether connections of others go through this host, 0 or 1.
    pub transit: u32,
    /// Connections of each version of IP that there is room for.
    pub connections: u32,
    /// Sets of [`FLOWS4`] and of [`FLOWS6`].
    pub sets: [u32; 2],
    /// What [`Ticks::from_jiffies`] multiplies with.
    pub per_jiffy: u64,
    /// Whether [`Interface::inbound`] is set of any, 0 or 1.
    pub inbound: u32,
    /// Whether frames that are objected to are kept in [`EVIDENCE`], 0 or 1.
    pub evidence: u32,
    /// How many prefixes are in [`PREFIXES4`] and [`PREFIXES6`].
    pub prefixes: [u32; 2],
    /// Whether anything in [`LIMITS`] is one, 0 or 1.
    pub limits: u32,
    /// Buckets in [`SOURCES`]; 0 if no source is limited.
    pub buckets: u32,
    /// What of an address is one source: of IPv4, and the first two words of IPv6.
    pub source_masks: [u32; 3],
    /// When SYNs are answered with cookies, a [`When`].
    pub cookies: u32,
    /// What the stack accepts beside a cookie.
    pub means: Means,
    /// The hop limits of what the host sends: of IPv4, and of IPv6.
    pub hop_limits: [u16; 2],
    /// By [`Hook`], whether the first look at a frame is to ask for more than it does of nearly every guard, 0 or 1:
    /// what [`Config::settled`] says. One number, because each that is asked costs a read, whatever the verifier
    /// makes of the answer.
    pub special: [u32; HOOKS],
    /// Of the flow tables' hash.
    pub seed: Seed,
    /// The release that made the programs, as text, with zeros behind it.
    pub release: [u8; 16],
    /// The guarded interfaces.
    pub interfaces: [Interface; MAX_INTERFACES],
}

impl Config {
    /// Enforces everything that arrives, on whatever interface, by what stands in a segment alone.
    pub const DEFAULT: Self = Self {
        ingress: Policy::ENFORCE,
        egress: Policy::OBSERVE,
        transcript: Transcript::Off as u32,
        interface_count: 0,
        tracking: 0,
        voice: 0,
        learn_from: Ticks(0),
        learn_for: 0,
        transit: 0,
        connections: 0,
        sets: [1, 1],
        per_jiffy: Ticks::per_jiffy(250),
        inbound: 0,
        evidence: 0,
        prefixes: [0, 0],
        limits: 0,
        buckets: 0,
        source_masks: [u32::MAX; 3],
        cookies: When::Off as u32,
        means: Means::NONE,
        hop_limits: [64, 64],
        special: [0, 0],
        // Known to everybody, but none of zeros, with which all connections would be one to the hash.
        seed: Seed::known(0),
        release: release(),
        interfaces: [Interface {
            index: 0,
            raw_ip: 0,
            inbound: 0,
        }; MAX_INTERFACES],
    };

    /// With what follows from the rest of it, as the programs are to have it.
    #[must_use]
    pub fn settled(mut self) -> Self {
        let written_down = self.transcript != Transcript::Off as u32;
        let raw_ip = self.interfaces.iter().any(|it| it.link() == Link::RawIp);
        let listed = self.prefixes != [0, 0];
        let special = written_down || raw_ip;
        self.special = [special || listed, special].map(u32::from);
        self
    }

    /// The guarded interfaces, by their slots.
    pub fn guarded(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter().take_while(|it| it.index != 0)
    }
}

/// [`Config::release`] of this crate.
const fn release() -> [u8; 16] {
    let text = env!("CARGO_PKG_VERSION").as_bytes();
    let mut release = [0; 16];
    release.split_at_mut(text.len()).0.copy_from_slice(text);
    release
}

/// When the flow table last had no room for a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Fullness {
    /// When that was.
    pub last: Ticks,
    /// Whether it ever was, 0 or 1.
    pub ever: u32,
}

impl Fullness {
    /// At this moment.
    #[inline(always)]
    #[must_use]
    pub const fn at(now: Ticks) -> Self {
        Self { last: now, ever: 1 }
    }

    /// Whether a connection without an entry may be one that there was no room for.
    #[inline(always)]
    #[must_use]
    pub const fn forgives(self, now: Ticks) -> bool {
        self.ever != 0 && now.past(self.last) <= FORGIVEN
    }
}

/// One judgement as the kernel made it, for the host to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Adjudication {
    /// [`Verdict::cell`]
    pub cell: u16,
    /// Whether there was a segment, 0 or 1; without one, the rest is 0.
    pub segment: u16,
    /// The nine flag bits.
    pub flags: u16,
    /// Window, not scaled.
    pub window: u16,
    /// SEG.SEQ
    pub seq: u32,
    /// SEG.ACK
    pub ack: u32,
    /// Payload in octets.
    pub payload_len: u32,
    /// [`Ruling::bits`](crate::conn::ruling::Ruling::bits); 0 of a frame that the tracker did not see.
    pub ruling: u32,
}

impl Adjudication {
    /// The judgement as it crosses to the host.
    #[must_use]
    pub fn new(verdict: Verdict, segment: Option<&Segment>, ruling: u32) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "there are fewer than 256 cells"
        )]
        let cell = verdict.cell() as u16;
        match segment {
            None => Self {
                cell,
                ..Self::default()
            },
            Some(segment) => Self {
                cell,
                segment: 1,
                flags: segment.flags.bits(),
                window: segment.window,
                seq: segment.seq.0,
                ack: segment.ack.0,
                payload_len: segment.payload_len,
                ruling,
            },
        }
    }
}

const _: () = assert!(Verdict::CELLS < 256);
const _: () = assert!(size_of::<Policy>() == 16);
const _: () = assert!(size_of::<Config>() == 224 + 8 * MAX_INTERFACES);
const _: () = assert!(core::mem::offset_of!(Config, transcript) == 32);
const _: () = assert!(core::mem::offset_of!(Config, per_jiffy) == 72);
const _: () = assert!(core::mem::offset_of!(Config, interfaces) == 224);
const _: () = assert!(size_of::<Adjudication>() == 24);
const _: () = assert!(size_of::<Events>() == 8 * 105);
// 32 KiB is the most that a per-CPU value may have (PCPU_MIN_UNIT_SIZE).
const _: () = assert!(size_of::<Counters>() == 24 * Verdict::CELLS + 8 * 512);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_look_of_a_guard_that_wants_more_is_special() {
        let special = |change: fn(&mut Config)| {
            let mut config = Config::DEFAULT;
            change(&mut config);
            config.settled().special
        };
        assert_eq!(special(|_| ()), [0, 0]);
        assert_eq!(special(|it| it.prefixes[1] = 1), [1, 0]);
        assert_eq!(special(|it| it.interfaces[1].raw_ip = 1), [1, 1]);
        assert_eq!(special(|it| it.transcript = Transcript::Log as u32), [1, 1]);
        // Nothing is left of what it was before.
        let listed = Config {
            prefixes: [1, 0],
            ..Config::DEFAULT
        }
        .settled();
        assert_eq!(
            Config {
                prefixes: [0, 0],
                ..listed
            }
            .settled(),
            Config::DEFAULT
        );
    }

    #[test]
    fn the_map_of_constants_is_named_by_the_version() {
        assert_eq!(CONFIG_MAP, format!("{CONFIG_MAPS}{ABI_VERSION}"));
    }
}
