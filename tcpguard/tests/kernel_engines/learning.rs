//! When connections are learned that were there before the guard.

use tcpguard_common::{
    conn::time::{SECOND, Ticks},
    craft::TcpFrame,
    flags::TcpFlags,
    verdict::Verdict,
};

use crate::untouched::Guard;

const FROM: Ticks = Ticks(1 << 20);
const MINUTE: u32 = 60 * SECOND;

/// Whether a segment from the middle of a connection passes at a moment, if [`FROM`] a minute is for learning.
fn learns(now: Ticks) -> bool {
    let segment = TcpFrame::ipv4().with_flags(TcpFlags::ACK).build();
    Guard::load(FROM, MINUTE).judge(&segment, now) == Verdict::ACCEPT
}

#[test]
fn kernel_learns_for_as_long_as_it_is_told_to() {
    assert!(learns(FROM));
    assert!(learns(Ticks(FROM.0 + MINUTE - 1)));
    assert!(!learns(Ticks(FROM.0 + MINUTE)));
    assert!(!learns(Ticks(FROM.0 + 10 * MINUTE)));
}

/// The loader's clock is ahead of the kernel's by what passed at boot before that began to count: 240 ms were seen,
/// and the first segments may be there sooner.
#[test]
fn kernel_learns_before_its_clock_has_come_to_the_loaders() {
    for ahead in 1..=2 {
        assert!(learns(Ticks(FROM.0 - ahead)), "{ahead} ticks");
    }
}
