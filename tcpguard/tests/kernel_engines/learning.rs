//! When connections are learned that were there before the guard.

use aya::{
    TestRunOptions,
    maps::Array,
    programs::{TestRun as _, Xdp},
};
use tcpguard::object::{self, Log};
use tcpguard_common::{
    abi::{self, Config, Transcript},
    conn::time::{SECOND, Ticks},
    craft::TcpFrame,
    flags::TcpFlags,
};

use crate::require_root;

const FROM: Ticks = Ticks(1 << 20);
const MINUTE: u32 = 60 * SECOND;
const PASS: u32 = 2;

/// Whether a segment from the middle of a connection passes at a moment, if [`FROM`] a minute is for learning.
fn learns(now: Ticks) -> bool {
    let config = Config {
        transcript: Transcript::Adjudicate as u32,
        tracking: 1,
        learn_from: FROM,
        learn_for: MINUTE,
        sets: [2; 2],
        ..Config::DEFAULT
    };
    let mut object = object::open(&config, Log::Off).unwrap();
    let mut clock: Array<_, u32> = object.take_map(abi::CLOCK).unwrap().try_into().unwrap();
    clock.set(0, now.0, 0).unwrap();
    let program: &mut Xdp = object
        .program_mut(abi::INGRESS_PROGRAM)
        .unwrap()
        .try_into()
        .unwrap();
    program.load().unwrap();
    let segment = TcpFrame::ipv4().with_flags(TcpFlags::ACK).build();
    let options = TestRunOptions {
        data_in: Some(&segment),
        ..TestRunOptions::new()
    };
    program.test_run(options).unwrap().return_value == PASS
}

#[test]
fn kernel_learns_for_as_long_as_it_is_told_to() {
    require_root();
    assert!(learns(FROM));
    assert!(learns(Ticks(FROM.0 + MINUTE - 1)));
    assert!(!learns(Ticks(FROM.0 + MINUTE)));
    assert!(!learns(Ticks(FROM.0 + 10 * MINUTE)));
}

/// The loader's clock is ahead of the kernel's by what passed at boot before that began to count: 240 ms were seen,
/// and the first segments may be there sooner.
#[test]
fn kernel_learns_before_its_clock_has_come_to_the_loaders() {
    require_root();
    for ahead in 1..=2 {
        assert!(learns(Ticks(FROM.0 - ahead)), "{ahead} ticks");
    }
}
