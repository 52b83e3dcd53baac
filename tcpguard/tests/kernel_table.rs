//! Two CPUs at work on one flow table, through the very bytecode: no connection is lost, entered twice
//! or mixed up with another. Needs root.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{
        Barrier,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use aya::{
    Ebpf, TestRunOptions,
    maps::Array,
    programs::{TestRun as _, Xdp},
};
use tcpguard::{
    clock,
    object::{self, Log},
};
use tcpguard_common::{
    abi::{self, Config},
    conn::{half::Half, state::State},
    craft::TcpFrame,
    flags::TcpFlags,
    flow::FlowKey4,
    table::{Set, VAIN, key::Seed, sets_for},
};

const PASS: u32 = 2;
/// Connections that each CPU has to itself, and that both share, one direction each.
const OWN: u16 = 1500;
const SHARED: u16 = 500;
/// Small, so that both are in the same sets all the time; but not so small that in one order of a thousand both sets
/// of somebody are full, who then passes and is not remembered.
const LIMIT: u32 = 5120;
const ROUNDS: u32 = 20;
const CLIENT_ISN: u32 = 1000;
const SERVER_ISN: u32 = 5000;
const OCTETS: u32 = 100;

fn open() -> Ebpf {
    let config = Config {
        tracking: 1,
        sets: [sets_for(LIMIT), sets_for(16)],
        per_jiffy: clock::per_jiffy(),
        seed: Seed::known(1),
        ..Config::DEFAULT
    };
    let mut object =
        object::open(&config, Log::Off).expect("this test loads programs: run it as root");
    let program = object.program_mut(abi::INGRESS_PROGRAM).unwrap();
    let program: &mut Xdp = program.try_into().unwrap();
    program.load().unwrap();
    object
}

/// A segment of the connection `number`, from the client or from the server.
fn segment(number: u16, up: bool, flags: TcpFlags, seq: u32, ack: u32, len: u32) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    let client = Ipv4Addr::new(10, 0, high, low);
    let server = Ipv4Addr::new(10, 9, 9, 9);
    let (from, to) = if up {
        (client, server)
    } else {
        (server, client)
    };
    let ports = if up { (1025, 80) } else { (80, 1025) };
    TcpFrame {
        ports,
        seq,
        ack,
        payload: vec![0; usize::try_from(len).unwrap()],
        ..TcpFrame::between(from.into(), to.into()).with_flags(flags)
    }
    .build()
}

/// Runs the program; counts what it does not let pass.
struct Runner<'a> {
    program: &'a Xdp,
    stopped: &'a AtomicU32,
}

impl Runner<'_> {
    fn send(&self, frame: &[u8]) {
        let options = TestRunOptions {
            data_in: Some(frame),
            ..TestRunOptions::new()
        };
        if self.program.test_run(options).unwrap().return_value != PASS {
            self.stopped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn handshake(&self, number: u16) {
        let syn_ack = TcpFlags::SYN.with(TcpFlags::ACK);
        self.send(&segment(number, true, TcpFlags::SYN, CLIENT_ISN, 0, 0));
        self.send(&segment(
            number,
            false,
            syn_ack,
            SERVER_ISN,
            CLIENT_ISN + 1,
            0,
        ));
        self.send(&segment(
            number,
            true,
            TcpFlags::ACK,
            CLIENT_ISN + 1,
            SERVER_ISN + 1,
            0,
        ));
    }

    fn data(&self, number: u16, up: bool, round: u32) {
        let (isn, other) = if up {
            (CLIENT_ISN, SERVER_ISN)
        } else {
            (SERVER_ISN, CLIENT_ISN)
        };
        let seq = isn + 1 + round * OCTETS;
        self.send(&segment(number, up, TcpFlags::ACK, seq, other + 1, OCTETS));
    }
}

/// One CPU's part: connections of its own from the first segment on, and one direction of the others.
fn work(runner: &Runner<'_>, own: std::ops::Range<u16>, up: bool, start: &Barrier) {
    start.wait();
    for number in own.clone() {
        runner.handshake(number);
        runner.data(number, up, 0);
    }
    for round in 0..ROUNDS {
        for number in 0..SHARED {
            runner.data(number, up, round);
        }
        own.clone()
            .for_each(|number| runner.data(number, up, round));
    }
}

#[test]
fn two_cpus_lose_and_mix_up_no_connection() {
    let object = open();
    let program: &Xdp = object
        .program(abi::INGRESS_PROGRAM)
        .unwrap()
        .try_into()
        .unwrap();
    let stopped = AtomicU32::new(0);
    let runner = Runner {
        program,
        stopped: &stopped,
    };
    (0..SHARED).for_each(|number| runner.handshake(number));
    let start = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| work(&runner, SHARED..SHARED + OWN, true, &start));
        scope.spawn(|| work(&runner, SHARED + OWN..SHARED + 2 * OWN, false, &start));
    });
    assert_eq!(stopped.load(Ordering::Relaxed), 0, "segments were dropped");

    let ends = entries(&object);
    let sent = 1 + ROUNDS * OCTETS;
    for number in 0..SHARED + 2 * OWN {
        let (client, server) = ends.get(&number).copied().unwrap();
        let up = number < SHARED + OWN;
        let down = number < SHARED || !up;
        assert_eq!(
            client,
            CLIENT_ISN + if up { sent } else { 1 },
            "client {number}"
        );
        assert_eq!(
            server,
            SERVER_ISN + if down { sent } else { 1 },
            "server {number}"
        );
    }
    assert_eq!(
        ends.len(),
        usize::from(SHARED + 2 * OWN),
        "strangers in the table"
    );
}

/// The highest sequence end of client and server of every connection in the table.
fn entries(object: &Ebpf) -> HashMap<u16, (u32, u32)> {
    let table: Array<_, Set<FlowKey4>> = object.map(abi::FLOWS4).unwrap().try_into().unwrap();
    let mut ends = HashMap::new();
    for set in table.iter().map(Result::unwrap) {
        for (tag, entry) in set.tags.into_iter().zip(set.entries) {
            if tag <= VAIN {
                continue;
            }
            assert_eq!(entry.conn.state(), State::Established);
            // The client's address is the lower one.
            let [client, server]: [Half; 2] = entry.conn.halves;
            let number = u16::try_from(entry.key.addresses[0] & 0xffff).unwrap();
            let twice = ends.insert(number, (client.end.0, server.end.0));
            assert_eq!(twice, None, "connection {number} is in the table twice");
        }
    }
    ends
}
