//! The very bytecode in the kernel, one frame a call of `BPF_PROG_TEST_RUN`.
//!
//! Needs Linux 5.18, the first that runs an XDP program on a frame of several buffers.

use anyhow::{Context as _, Result, bail, ensure};
use aya::{
    Ebpf, Pod, TestRunOptions,
    maps::{Array, MapData, PerCpuArray},
    programs::{TestRun as _, Xdp},
};
use tcpguard_common::{
    abi::{self, Adjudication, Config, Hook, Interface, MAX_INTERFACES, Transcript, counter_index},
    conn::time::Ticks,
    counters::{Counters, Events},
    flow::{FlowKey4, FlowKey6},
    judge::judge,
    parse::Link,
    table::{self, Set},
    verdict::{Bypass, Verdict},
    wire::ethernet,
};

use super::{CONNECTIONS, Engine, FIRST_BUFFER, Frame, Rules, host::HostEngine, states::States};
use crate::{
    cli::Pickup,
    object::{self, Log},
};

/// The most octets that `BPF_PROG_TEST_RUN` takes: the first buffer and 17 pages (`MAX_SKB_FRAGS`).
/// Longer ones, which only BIG TCP makes, are refused with ENOMEM.
pub const LONGEST: usize = FIRST_BUFFER + 17 * 4096;

/// The kernel runs tests as if the frame came in by loopback, whose number is 1.
const TEST_INTERFACE: u32 = 1;

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// Decides with the program that a guard attaches.
pub struct KernelEngine {
    rules: Rules,
    /// One for each kind of link, loaded when its first frame comes: the kind is a constant of the
    /// program.
    ethernet: Option<Loaded>,
    raw_ip: Option<Loaded>,
    /// Answers what the kernel cannot be asked.
    unasked: HostEngine,
    /// When the last frame was seen.
    now: Ticks,
    padded: Vec<u8>,
}

impl KernelEngine {
    /// An engine that holds segments against `rules`.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            ethernet: None,
            raw_ip: None,
            unasked: HostEngine::new(rules),
            now: Ticks(0),
            padded: Vec::new(),
        }
    }
}

impl Engine for KernelEngine {
    fn adjudicate(&mut self, frame: &Frame<'_>) -> Result<Adjudication> {
        self.now = frame.now;
        if !can_be_asked(frame) {
            return Ok(self.unasked.decide(frame));
        }
        let wire_len = frame.wire_len as usize;
        if wire_len > LONGEST {
            bail!(
                "{wire_len} octets are more than the kernel takes for a test run ({LONGEST}); \
                 use --engine host"
            );
        }
        let loaded = match frame.link {
            Link::Ethernet => &mut self.ethernet,
            Link::RawIp => &mut self.raw_ip,
        };
        let loaded = match loaded {
            Some(loaded) => loaded,
            None => loaded.insert(Loaded::new(frame.link, self.rules)?),
        };
        if !frame.is_cut() {
            return loaded.run(frame.octets, frame.now);
        }
        // What a capture cut off is payload, of which only the length is looked at.
        self.padded.clear();
        self.padded.extend_from_slice(frame.octets);
        self.padded.resize(wire_len, 0);
        loaded.run(&self.padded, frame.now)
    }

    fn counters(&self) -> Result<Counters> {
        let mut sum = *self.unasked.counted();
        for loaded in [&self.ethernet, &self.raw_ip].into_iter().flatten() {
            sum.add(&loaded.counters()?);
        }
        Ok(sum)
    }

    fn events(&self) -> Result<Events> {
        // What the kernel cannot be asked about gives no segment, and so no event.
        let mut sum = Events::ZERO;
        for loaded in [&self.ethernet, &self.raw_ip].into_iter().flatten() {
            sum.add(&loaded.events()?);
        }
        Ok(sum)
    }

    fn states(&self) -> Result<States> {
        let mut states = States::default();
        for loaded in [&self.ethernet, &self.raw_ip].into_iter().flatten() {
            loaded.count::<FlowKey4>(abi::FLOWS4, &mut states, self.now)?;
            loaded.count::<FlowKey6>(abi::FLOWS6, &mut states, self.now)?;
        }
        Ok(states)
    }
}

/// Whether the kernel can be given this frame as it was on the wire.
///
/// `BPF_PROG_TEST_RUN` refuses less than an Ethernet header, on raw links too, and no driver
/// delivers such; there is no IP header in it. And of headers that a capture cut off nobody knows
/// what they were.
fn can_be_asked(frame: &Frame<'_>) -> bool {
    let unreadable = Verdict::bypass(Bypass::Unreadable);
    let long_enough = frame.wire_len as usize >= ethernet::HEADER_LEN;
    long_enough && (!frame.is_cut() || judge(&mut frame.cursor(), frame.link).verdict != unreadable)
}

/// The programs for one kind of link, with their maps.
struct Loaded {
    object: Ebpf,
    adjudication: Array<MapData, Adjudication>,
    clock: Array<MapData, u32>,
}

impl Loaded {
    fn new(link: Link, rules: Rules) -> Result<Self> {
        Self::load(link, rules).map_err(|error| {
            if is_refused(&error) {
                error.context(
                    "--engine kernel loads the program into the kernel: run as root or with \
                     CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, or use --engine host",
                )
            } else {
                error.context("--engine kernel cannot load the program into the kernel")
            }
        })
    }

    fn load(link: Link, rules: Rules) -> Result<Self> {
        let mut interfaces = [Interface::default(); MAX_INTERFACES];
        interfaces[0] = Interface {
            index: TEST_INTERFACE,
            raw_ip: u16::from(link == Link::RawIp),
            inbound: 0,
        };
        let config = Config {
            ingress: rules.policy,
            transcript: Transcript::Adjudicate as u32,
            interface_count: 1,
            tracking: u32::from(rules.tracking.is_some()),
            learn_for: match rules.tracking {
                Some(Pickup::Always) => u32::MAX,
                Some(Pickup::Never) | None => 0,
            },
            // What a capture has goes through, as far as the engine can tell.
            transit: 1,
            sets: [table::sets_for(CONNECTIONS); 2],
            interfaces,
            ..Config::DEFAULT
        };
        let mut object = object::open(&config, Log::Off)?;
        let program = object
            .program_mut(abi::INGRESS_PROGRAM)
            .context("no ingress program")?;
        let program: &mut Xdp = program.try_into()?;
        program.load()?;
        let adjudication = object
            .take_map(abi::ADJUDICATION)
            .context("no map of judgements")?;
        let clock = object.take_map(abi::CLOCK).context("no clock")?;
        Ok(Self {
            object,
            adjudication: adjudication.try_into()?,
            clock: clock.try_into()?,
        })
    }

    fn run(&mut self, octets: &[u8], now: Ticks) -> Result<Adjudication> {
        self.clock
            .set(0, now.0, 0)
            .context("failed to set the clock")?;
        // What the frame before left behind must not be taken for an answer.
        self.adjudication
            .set(0, Adjudication::default(), 0)
            .context("failed to clear a map")?;
        let program = self
            .object
            .program(abi::INGRESS_PROGRAM)
            .context("no ingress program")?;
        let program: &Xdp = program.try_into()?;
        let options = TestRunOptions {
            data_in: Some(octets),
            ..TestRunOptions::new()
        };
        let run = program.test_run(options).with_context(|| {
            format!(
                "the kernel refuses to run the program on {} octets",
                octets.len()
            )
        })?;
        let judgement = self
            .adjudication
            .get(&0, 0)
            .context("failed to read the judgement")?;
        let verdict = Verdict::from_cell(judgement.cell.into())
            .context("the program ran but left no judgement")?;
        let action = if verdict.is_drop() {
            XDP_DROP
        } else {
            XDP_PASS
        };
        ensure!(
            run.return_value == action,
            "the program judges {verdict:?} but returns {}",
            run.return_value
        );
        Ok(judgement)
    }

    /// Sum over CPUs.
    fn counters(&self) -> Result<Counters> {
        let map = self
            .object
            .map(abi::COUNTERS)
            .context("no map of counters")?;
        let map: PerCpuArray<_, Counters> = map.try_into()?;
        let index = u32::try_from(counter_index(0, Hook::Ingress))?;
        let mut sum = Counters::ZERO;
        for counters in map
            .get(&index, 0)
            .context("failed to read the counters")?
            .iter()
        {
            sum.add(counters);
        }
        Ok(sum)
    }

    /// Sum over CPUs, of the program that is asked.
    fn events(&self) -> Result<Events> {
        let map = self.object.map(abi::EVENTS).context("no map of events")?;
        let map: PerCpuArray<_, Events> = map.try_into()?;
        let mut sum = Events::ZERO;
        let values = map.get(&(Hook::Ingress as u32), 0);
        let values = values.context("failed to read the events")?;
        values.iter().for_each(|events| sum.add(events));
        Ok(sum)
    }

    /// Counts the connections of a flow table.
    fn count<K: Copy>(&self, table: &str, states: &mut States, now: Ticks) -> Result<()>
    where
        Set<K>: Pod,
    {
        let map = self.object.map(table).context("no flow table")?;
        let map: Array<_, Set<K>> = map.try_into()?;
        for set in map.iter() {
            states.count_set(&set.context("failed to read a flow table")?, now);
        }
        Ok(())
    }
}

/// Whether the kernel refused for want of privilege. The verifier's own refusal is EACCES.
fn is_refused(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.raw_os_error() == Some(libc::EPERM))
    })
}
