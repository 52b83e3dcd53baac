//! SYNs are answered by the very bytecode, octet by octet as they should be. Needs root.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

use aya::{
    Ebpf, TestRunOptions,
    maps::{Array, HashMap, MapData, PerCpuArray},
    programs::{TestRun as _, Xdp},
};
use tcpguard::{
    clock,
    object::{self, Log},
};
use tcpguard_common::{
    abi::{self, Config, Hook},
    cookie::{
        Means, When,
        listener::{Listener, Local},
        offer::Offer,
        pressure::Pressure,
    },
    counters::Events,
    craft::{Extension, TcpFrame},
    cursor::SliceCursor,
    flags::TcpFlags,
    flow::{FlowKey4, FlowKey6},
    parse::{Link, parse},
    segment::{Addresses, Segment},
};

const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;

const ALL: Means = Means::TIMESTAMPS
    .with(Means::SACK)
    .with(Means::SCALE)
    .with(Means::ECN);
/// MSS 1460, SACK, time stamp 7, window scale 9.
const LINUX: [u8; 20] = [
    2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 0, 1, 3, 3, 9,
];
/// What the stack offers where it listens.
const OWN: [u8; 8] = [2, 4, 5, 120, 1, 3, 3, 7];
/// Of an IPv4 header, in place of an offset.
const DO_NOT_FRAGMENT: u16 = 0x4000;
const OWN_MSS: u16 = 1400;
const OWN_WINDOW: u16 = 65_160;

/// A guard in memory, whose stack listens wherever frames are for.
struct Guard(Ebpf);

impl Guard {
    fn new(when: When, link: Link) -> Self {
        let config = Config {
            tracking: 1,
            connections: 1024,
            sets: [256, 256],
            interface_count: 1,
            interfaces: {
                let mut interfaces = Config::DEFAULT.interfaces;
                interfaces[0].index = 1;
                interfaces[0].raw_ip = u16::from(link == Link::RawIp);
                interfaces
            },
            cookies: when as u32,
            means: ALL,
            per_jiffy: clock::per_jiffy(),
            ..Config::DEFAULT
        };
        let mut object =
            object::open(&config, Log::Off).expect("this test loads programs: run it as root");
        ingress(&mut object).load().unwrap();
        Self(object)
    }

    /// Makes it believe that the stack has answered a SYN just now, and was asked just now.
    fn listen(&mut self, segment: &Segment) {
        let mut offer = Offer::NOTHING;
        offer.read(&&OWN[..]);
        let now = clock::now();
        let mut listener = Listener::NEW;
        listener.hear(&offer, OWN_WINDOW, now);
        listener.is_spared(now);
        let map = self.0.map_mut(abi::LISTENERS).unwrap();
        let mut map = HashMap::<&mut MapData, Local, Listener>::try_from(map).unwrap();
        map.insert(destination(segment), listener, 0).unwrap();
    }

    /// What becomes of a frame, and the frame.
    fn send(&mut self, frame: &[u8]) -> (u32, Vec<u8>) {
        let mut out = vec![0; 2048];
        let run = ingress(&mut self.0).test_run(TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ..TestRunOptions::new()
        });
        let run = run.unwrap();
        out.truncate(run.data_size_out.try_into().unwrap());
        (run.return_value, out)
    }

    /// Cookies that it has sent, and that came back.
    fn cookies(&self) -> (u64, u64) {
        let map = PerCpuArray::<_, Events>::try_from(self.0.map(abi::EVENTS).unwrap()).unwrap();
        let mut sum = Events::ZERO;
        for cpu in map.get(&(Hook::Ingress as u32), 0).unwrap().iter() {
            sum.add(cpu);
        }
        (sum.cookies_sent, sum.cookies_proved)
    }

    fn pressure(&self) -> Pressure {
        let map = Array::<_, Pressure>::try_from(self.0.map(abi::PRESSURE).unwrap()).unwrap();
        map.get(&0, 0).unwrap()
    }
}

fn ingress(object: &mut Ebpf) -> &mut Xdp {
    let program = object.program_mut(abi::INGRESS_PROGRAM).unwrap();
    program.try_into().unwrap()
}

fn read(link: Link, octets: &[u8]) -> Segment {
    let mut segment = Segment::EMPTY;
    parse(&mut SliceCursor::new(octets), link, &mut segment).unwrap();
    segment
}

fn destination(segment: &Segment) -> Local {
    let (from, to) = (segment.source_port, segment.destination_port);
    match segment.addresses {
        Addresses::V4 {
            source,
            destination,
        } => {
            let (key, way) = FlowKey4::new((source, from), (destination, to));
            Local::destination4(&key, way)
        }
        Addresses::V6 {
            source,
            destination,
        } => {
            let (key, way) = FlowKey6::new((source, from), (destination, to));
            Local::destination6(&key, way)
        }
    }
}

/// A SYN of each shape, by name.
fn syns() -> Vec<(&'static str, TcpFrame)> {
    let v4 = TcpFrame {
        options: LINUX.to_vec(),
        ..TcpFrame::ipv4()
    };
    let v6 = TcpFrame {
        options: LINUX.to_vec(),
        ..TcpFrame::ipv6()
    };
    let with = |base: &TcpFrame, change: fn(&mut TcpFrame)| {
        let mut frame = base.clone();
        change(&mut frame);
        frame
    };
    vec![
        ("IPv4", v4.clone()),
        ("IPv6", v6.clone()),
        ("no options", with(&v4, |it| it.options.clear())),
        ("no options, IPv6", with(&v6, |it| it.options.clear())),
        (
            "Ethernet padding",
            with(&v4, |it| {
                it.options.clear();
                it.padding = 6;
            }),
        ),
        ("IPv4 options", with(&v4, |it| it.ipv4_options = 10)),
        ("a tag", with(&v4, |it| it.tags = vec![(0x8100, 7)])),
        (
            "two tags, IPv6",
            with(&v6, |it| {
                it.tags = vec![(0x88a8, 7), (0x8100, 8)];
            }),
        ),
        (
            "extension headers",
            with(&v6, |it| {
                it.extensions = vec![Extension::Options(0, 8), Extension::Options(60, 24)];
            }),
        ),
        (
            "data (RFC 7413)",
            with(&v4, |it| it.payload = vec![b'!'; 500]),
        ),
        (
            "ECN",
            with(&v4, |it| {
                it.flags = it.flags.with(TcpFlags::ECE).with(TcpFlags::CWR);
            }),
        ),
        ("no link layer", with(&v4, |it| it.link = Link::RawIp)),
        ("no link layer, IPv6", with(&v6, |it| it.link = Link::RawIp)),
    ]
}

/// What an answer to `syn` has to be, but for its cookie and its time stamp.
fn expected(syn: &TcpFrame, answer: &Segment, octets: &[u8]) -> TcpFrame {
    let has_options = !syn.options.is_empty();
    let options = octets[octets.len() - if has_options { 20 } else { 4 }..].to_vec();
    let ecn = syn.flags.contains(TcpFlags::ECE) && has_options;
    let flags = TcpFlags::SYN.with(TcpFlags::ACK);
    TcpFrame {
        ipv4_fragment: (DO_NOT_FRAGMENT, false),
        macs: (syn.macs.1, syn.macs.0),
        source: syn.destination,
        destination: syn.source,
        ports: (syn.ports.1, syn.ports.0),
        ipv4_options: 0,
        extensions: Vec::new(),
        seq: answer.seq.0,
        ack: syn.seq + 1,
        flags: if ecn {
            flags.with(TcpFlags::ECE)
        } else {
            flags
        },
        window: OWN_WINDOW,
        options,
        payload: Vec::new(),
        padding: 0,
        ..syn.clone()
    }
}

#[test]
fn a_syn_of_any_shape_becomes_its_answer() {
    for link in [Link::Ethernet, Link::RawIp] {
        let mut guard = Guard::new(When::Always, link);
        let syns = syns().into_iter().filter(|(_, syn)| syn.link == link);
        for (sent, (name, syn)) in (1..).zip(syns) {
            let octets = syn.build();
            guard.listen(&read(link, &octets));
            let (action, answer) = guard.send(&octets);
            assert_eq!(action, XDP_TX, "{name}");
            let segment = read(link, &answer);
            assert_eq!(answer, expected(&syn, &segment, &answer).build(), "{name}");
            let mut offer = Offer::NOTHING;
            let options = usize::from(segment.options_at);
            offer.read(&&answer[options..options + usize::from(segment.options_len)]);
            assert_eq!(offer.mss, OWN_MSS, "{name}");
            assert_eq!(offer.has_timestamp(), !syn.options.is_empty(), "{name}");
            assert_eq!(guard.cookies(), (sent, 0), "{name}");
        }
    }
}

#[test]
fn what_the_guard_must_not_answer_passes_as_it_is() {
    let syn = TcpFrame {
        options: LINUX.to_vec(),
        ..TcpFrame::ipv4()
    };
    let mut guard = Guard::new(When::Always, Link::Ethernet);
    let mut signed = syn.clone();
    signed.options = [&[19, 18][..], &[0; 16], &[1, 1]].concat();
    let mut group = syn.clone();
    group.macs.0 = [0xff; 6];
    let mut elsewhere = syn.clone();
    elsewhere.ports.1 = 81;
    for (name, frame) in [
        ("a signature (RFC 2385)", signed),
        ("sent to everybody", group),
        ("a port that does not answer", elsewhere),
    ] {
        guard.listen(&read(Link::Ethernet, &syn.build()));
        let octets = frame.build();
        assert_eq!(guard.send(&octets), (XDP_PASS, octets), "{name}");
        assert_eq!(guard.cookies(), (0, 0), "{name}");
    }
}

#[test]
fn a_syn_that_opens_nothing_new_is_the_stacks() {
    let syn = TcpFrame {
        options: LINUX.to_vec(),
        ..TcpFrame::ipv4()
    };
    let octets = syn.build();
    let mut guard = Guard::new(When::Always, Link::Ethernet);
    // The other way around: the host has asked for the connection, and the peer asks as well.
    let own = TcpFrame {
        source: syn.destination,
        destination: syn.source,
        ports: (syn.ports.1, syn.ports.0),
        ..syn.clone()
    };
    assert_eq!(guard.send(&own.build()).0, XDP_PASS);
    guard.listen(&read(Link::Ethernet, &octets));
    assert_eq!(guard.send(&octets).0, XDP_PASS);
    assert_eq!(guard.cookies(), (0, 0));
}

#[test]
fn in_automatic_mode_cookies_come_with_a_quarter_of_the_table() {
    const QUARTER: u16 = 256;
    let syn = |port| TcpFrame {
        ports: (port, 80),
        ..TcpFrame::ipv4()
    };
    let mut guard = Guard::new(When::Auto, Link::Ethernet);
    let listening = read(Link::Ethernet, &syn(1).build());
    let answered = (1..=2 * QUARTER).filter(|port| {
        guard.listen(&listening);
        guard.send(&syn(*port).build()).0 == XDP_TX
    });
    let answered: Vec<_> = answered.collect();
    let first = answered.first().copied().unwrap();
    // Some are forgotten while it takes.
    assert!((QUARTER..QUARTER + 8).contains(&first), "{first}");
    assert_eq!(answered.len(), usize::from(2 * QUARTER - first + 1));
    assert!(guard.pressure().is_high());
}
