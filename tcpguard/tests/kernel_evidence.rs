//! Frames that are objected to are kept by the very bytecode, and read while it goes on. Needs root.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

use std::time::{Duration, SystemTime};

use aya::{
    Ebpf, TestRunOptions,
    programs::{TestRun as _, Xdp},
};
use tcpguard::{
    clock,
    evidence::Evidence,
    object::{self, Log},
};
use tcpguard_common::{
    abi::{self, Config, Hook},
    conn::time::SECOND,
    craft::TcpFrame,
    evidence::{KEPT, SNAP},
    flags::TcpFlags,
    parse::Link,
    reason::Reason,
    verdict::Verdict,
};

fn open(evidence: u32) -> Ebpf {
    let config = Config {
        evidence,
        per_jiffy: clock::per_jiffy(),
        ..Config::DEFAULT
    };
    let mut object =
        object::open(&config, Log::Off).expect("this test loads programs: run it as root");
    let program: &mut Xdp = ingress(&mut object);
    program.load().unwrap();
    object
}

fn ingress(object: &mut Ebpf) -> &mut Xdp {
    let program = object.program_mut(abi::INGRESS_PROGRAM).unwrap();
    program.try_into().unwrap()
}

fn send(object: &mut Ebpf, frame: &[u8], times: usize) {
    for _ in 0..times {
        let options = TestRunOptions {
            data_in: Some(frame),
            ..TestRunOptions::new()
        };
        ingress(object).test_run(options).unwrap();
    }
}

fn frame(flags: TcpFlags, seq: u32, payload: usize) -> Vec<u8> {
    TcpFrame {
        seq,
        payload: vec![0x5a; payload],
        ..TcpFrame::ipv4().with_flags(flags)
    }
    .build()
}

#[test]
fn a_dropped_frame_is_kept_as_it_was() {
    let mut object = open(1);
    let mut evidence = Evidence::new(object.map(abi::EVIDENCE).unwrap()).unwrap();
    let (short, long) = (frame(TcpFlags::NULL, 7, 0), frame(TcpFlags::NULL, 8, 1000));
    let before = SystemTime::now();
    send(&mut object, &short, 1);
    send(&mut object, &long, 1);
    send(&mut object, &frame(TcpFlags::ACK, 9, 0), 1);
    let [first, second] = <[_; 2]>::try_from(evidence.read()).unwrap();
    assert_eq!(first.verdict, Verdict::dropped(Reason::FlagsNull));
    assert_eq!((first.slot, first.hook), (0, Hook::Ingress));
    assert_eq!((&first.frame, first.octets), (&short, 54));
    assert_eq!((&*second.frame, second.octets), (&long[..SNAP], 1054));
    let segment = second.segment(Link::Ethernet).unwrap();
    assert_eq!((segment.seq.0, segment.payload_len), (8, 1000));
    let age = first
        .time
        .duration_since(before - Duration::from_millis(10));
    assert!(age.unwrap() < Duration::from_secs(5));
    assert_eq!(evidence.read(), [], "what has been read is not read again");
}

#[test]
fn of_a_flood_some_are_kept_and_the_others_are_reckoned() {
    let mut object = open(1);
    let mut evidence = Evidence::new(object.map(abi::EVIDENCE).unwrap()).unwrap();
    let mut late = Evidence::new(object.map(abi::EVIDENCE).unwrap()).unwrap();
    let mut quiet = Evidence::from_now(object.map(abi::EVIDENCE).unwrap()).unwrap();
    send(&mut object, &frame(TcpFlags::FIN, 1, 0), 1);
    let (mut kept, mut told) = (0, 0);
    let mut ticks = 0;
    let start = clock::now();
    // On a slow machine a round takes a while, and ends with some that nothing has told of yet.
    while ticks < SECOND || (told <= 4_000 && ticks < 30 * SECOND) {
        send(&mut object, &frame(TcpFlags::NULL, 1, 0), 5_000);
        let read = evidence.read();
        let floods = read
            .iter()
            .filter(|it| it.verdict.reason() == Some(Reason::FlagsNull));
        kept += floods.clone().count();
        told += floods.map(|it| it.skipped + 1).sum::<u64>();
        ticks = clock::now().since(start);
    }
    let cpus = std::thread::available_parallelism().unwrap().get();
    let most = KEPT * cpus * (ticks as usize + 1);
    assert!((KEPT..=most).contains(&kept), "{kept} of at most {most}");
    assert!(told > 4_000, "{told}");
    // What came before the flood is still there, on a shelf of its own.
    let reasons: Vec<_> = late.read().iter().map(|it| it.verdict.reason()).collect();
    assert!(reasons.contains(&Some(Reason::FlagsFinNoAck)));
    assert!(reasons.len() <= 1 + KEPT * cpus);
    assert!(quiet.read().len() <= 1 + KEPT * cpus);
}

#[test]
fn nothing_is_kept_where_nothing_is_to_be() {
    let mut object = open(0);
    let mut evidence = Evidence::new(object.map(abi::EVIDENCE).unwrap()).unwrap();
    send(&mut object, &frame(TcpFlags::NULL, 1, 0), 10);
    assert_eq!(evidence.read(), []);
}
