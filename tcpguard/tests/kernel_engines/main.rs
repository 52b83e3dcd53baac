//! The very bytecode in the kernel against the core in this process: every vector, many random
//! frames and every policy. Needs root.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, in its helpers as well"
)]

#[path = "../captures/mod.rs"]
mod captures;
mod conversations;
mod egress;
mod fuzz;
mod learning;
mod mutated;
#[path = "../random/mod.rs"]
mod random;
mod replays;
mod scenarios;
#[path = "../../../tcpguard-common/tests/scenarios/mod.rs"]
#[expect(dead_code, reason = "the tests of the core read other texts too")]
mod script;
mod untouched;
#[path = "../../../tcpguard-common/tests/vectors/mod.rs"]
mod vectors;

use std::{fs, os::unix::fs::MetadataExt as _};

use aya::programs::{SchedClassifier, Xdp};
use tcpguard::{
    engine::{
        Engine, FIRST_BUFFER, Frame, Rules,
        host::HostEngine,
        kernel::{KernelEngine, LONGEST},
    },
    object::{self, Log},
};
use tcpguard_common::{
    abi::{self, Adjudication, Config, Interface, MAX_INTERFACES, Transcript},
    counters::{Counters, Events},
    craft::{Extension, TcpFrame},
    flags::TcpFlags,
    parse::Link,
    policy::{Policy, ReasonSet},
    reason::{Group, Reason},
    verdict::{Bypass, Verdict},
};

use self::vectors::Vector;

/// Both engines under the same rules.
struct Engines {
    host: HostEngine,
    kernel: KernelEngine,
}

impl Engines {
    /// Of what stands in a segment alone.
    fn new(policy: Policy) -> Self {
        Self::under(Rules::stateless(policy))
    }

    fn under(rules: Rules) -> Self {
        require_root();
        Self {
            host: HostEngine::new(rules),
            kernel: KernelEngine::new(rules),
        }
    }

    /// What both say.
    fn adjudicate(&mut self, name: &str, frame: &Frame<'_>) -> Adjudication {
        let host = self
            .host
            .adjudicate(frame)
            .expect("the host engine does not fail");
        let kernel = self.kernel.adjudicate(frame);
        let kernel = kernel.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        assert_eq!(
            kernel,
            host,
            "{name}: kernel and host, {:02x?}",
            first(frame)
        );
        host
    }

    /// What both have counted.
    fn counters(&self) -> Counters {
        let host = self.host.counters().expect("the host engine does not fail");
        let kernel = self
            .kernel
            .counters()
            .expect("the maps of a loaded program can be read");
        assert_same_counters(&kernel, &host);
        host
    }

    /// What both say has happened to connections.
    fn events(&self) -> Events {
        let host = self.host.events().expect("the host engine does not fail");
        let kernel = self.kernel.events();
        let kernel = kernel.expect("the maps of a loaded program can be read");
        assert_eq!(kernel, host, "events of kernel and host");
        host
    }
}

fn require_root() {
    let user = fs::metadata("/proc/self").expect("/proc is mounted").uid();
    assert_eq!(
        user, 0,
        "these tests load programs: run them as root, or `cargo xtask test`"
    );
}

fn first<'a>(frame: &Frame<'a>) -> &'a [u8] {
    frame.octets.get(..128).unwrap_or(frame.octets)
}

fn frame(vector: &Vector) -> Frame<'_> {
    Frame::captured(vector.link, &vector.frame, vector.wire_len)
}

/// What a vector has to give under a policy.
fn expected(vector: &Vector, policy: &Policy) -> Adjudication {
    let verdict = policy.apply(vector.verdict);
    let cell = u16::try_from(verdict.cell()).unwrap();
    match vector.segment {
        None => Adjudication {
            cell,
            ..Adjudication::default()
        },
        Some(segment) => Adjudication {
            cell,
            segment: 1,
            flags: segment.flags.bits(),
            window: segment.window,
            seq: segment.seq,
            ack: segment.ack,
            payload_len: segment.payload_len,
            ruling: 0,
        },
    }
}

/// Counts by hand, so that not even `Counters` is taken at its word.
fn count(counters: &mut Counters, adjudication: &Adjudication, octets: u32) {
    let cell = &mut counters.cells[usize::from(adjudication.cell)].tally;
    cell.packets += 1;
    cell.bytes += u64::from(octets);
    counters.flags[usize::from(adjudication.flags)] += u64::from(adjudication.segment);
}

fn assert_same_counters(left: &Counters, right: &Counters) {
    for (cell, (left, right)) in left.cells.iter().zip(&right.cells).enumerate() {
        assert_eq!(left, right, "cell of {:?}", Verdict::from_cell(cell));
    }
    for (bits, (left, right)) in (0..).zip(left.flags.iter().zip(&right.flags)) {
        assert_eq!(left, right, "flags {}", TcpFlags::new(bits));
    }
}

/// Every vector under a policy, in both engines.
fn hold(vectors: &[Vector], policy: Policy) {
    let mut engines = Engines::new(policy);
    let mut counters = Counters::ZERO;
    for vector in vectors {
        let frame = frame(vector);
        let right = expected(vector, &policy);
        assert_eq!(
            engines.adjudicate(&vector.name, &frame),
            right,
            "{}",
            vector.name
        );
        count(&mut counters, &right, frame.wire_len);
    }
    assert_same_counters(&engines.counters(), &counters);
}

#[test]
fn kernel_gives_every_vector_its_verdict_segment_and_count() {
    hold(&vectors::every(), Policy::ENFORCE);
}

#[test]
fn kernel_drops_nothing_under_observe() {
    hold(&vectors::every(), Policy::OBSERVE);
}

#[test]
fn kernel_drops_one_group_and_observes_the_others() {
    for group in Group::ALL {
        hold(
            &vectors::parser(),
            Policy::enforce_only(ReasonSet::EMPTY.with_group(group)),
        );
    }
}

#[test]
fn kernel_accepts_what_is_switched_off() {
    let off = [Reason::FlagsSynFin, Reason::PortZero, Reason::TinyFragment];
    let drop = off.into_iter().fold(ReasonSet::ALL, ReasonSet::without);
    hold(
        &vectors::every(),
        Policy {
            drop,
            observe: ReasonSet::EMPTY,
        },
    );
}

#[test]
fn kernel_finds_headers_beyond_the_first_buffer_unreadable() {
    let unreadable = Verdict::bypass(Bypass::Unreadable);
    let mut engines = Engines::new(Policy::ENFORCE);
    // The TCP header ends with the first buffer, or one octet behind it.
    for (options, verdict) in [(0, Verdict::ACCEPT), (8, unreadable)] {
        let room = FIRST_BUFFER - 14 - 40 - 20;
        let chain = [
            Extension::Options(60, 2048),
            Extension::Options(60, u16::try_from(room / 8 * 8 - 2048).unwrap() + options),
        ];
        let crafted = TcpFrame {
            payload: vec![0; 1000],
            ..TcpFrame::ipv6()
        };
        let octets = crafted.with_extensions(&chain).build();
        let name = format!(
            "extension headers of {} octets",
            room / 8 * 8 + usize::from(options)
        );
        let judgement = engines.adjudicate(&name, &Frame::whole(Link::Ethernet, &octets));
        assert_eq!(
            Verdict::from_cell(judgement.cell.into()),
            Some(verdict),
            "{name}"
        );
    }
    engines.counters();
}

#[test]
fn kernel_takes_frames_up_to_the_limit_and_says_so_beyond() {
    let mut engines = Engines::new(Policy::ENFORCE);
    let mut octets = TcpFrame::ipv4().build();
    octets[16..18].fill(0);
    octets.resize(LONGEST, 0);
    let judgement = engines.adjudicate("the longest", &Frame::whole(Link::Ethernet, &octets));
    assert_eq!(judgement.payload_len as usize, LONGEST - 14 - 40);
    octets.push(0);
    let longer = Frame::whole(Link::Ethernet, &octets);
    let error = engines
        .kernel
        .adjudicate(&longer)
        .expect_err("longer than the limit");
    assert!(error.to_string().contains("--engine host"), "{error:#}");
}

#[test]
fn kernel_loads_both_programs_whatever_they_write_down() {
    require_root();
    for transcript in [Transcript::Off, Transcript::Adjudicate, Transcript::Log] {
        for raw_ip in [0, 1] {
            let mut interfaces = [Interface::default(); MAX_INTERFACES];
            interfaces[0] = Interface {
                index: 1,
                raw_ip,
                inbound: 1,
            };
            let transcript = transcript as u32;
            let config = Config {
                transcript,
                interface_count: 1,
                inbound: 1,
                interfaces,
                ..Config::DEFAULT
            };
            let mut object = object::open(&config, Log::Off).unwrap();
            let ingress = object.program_mut(abi::INGRESS_PROGRAM).unwrap();
            let ingress: &mut Xdp = ingress.try_into().unwrap();
            ingress
                .load()
                .unwrap_or_else(|error| panic!("{config:?}: {error}"));
            let egress = object.program_mut(abi::EGRESS_PROGRAM).unwrap();
            let egress: &mut SchedClassifier = egress.try_into().unwrap();
            egress
                .load()
                .unwrap_or_else(|error| panic!("{config:?}: {error}"));
        }
    }
}
