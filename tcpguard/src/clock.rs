//! The kernel's clock as the programs read it: jiffies, from user space.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_getres, clock_gettime};
use tcpguard_common::conn::time::{SECOND, Ticks};

/// Before the clock starts to count, jiffies stand 300 seconds before 2^32 (`INITIAL_JIFFIES`).
const HEAD_START_S: u64 = 300;

/// Jiffies a second of the running kernel. Its coarse clocks advance with each of them, and say so.
fn hz() -> u64 {
    let tick = duration(clock_getres(ClockId::MonotonicCoarse));
    let nanos = tick.as_nanos().max(1);
    u64::try_from((1_000_000_000 + nanos / 2) / nanos)
        .unwrap_or(1)
        .max(1)
}

/// What the programs multiply jiffies with.
#[must_use]
pub fn per_jiffy() -> u64 {
    Ticks::per_jiffy(hz())
}

/// The moment as the programs see it, or a tick or two ahead: jiffies begin to count when the boot has come to its
/// timers (240 ms late were seen, `/proc/timer_list`), and each is counted when it is over.
#[must_use]
pub fn now() -> Ticks {
    let hz = hz();
    let up = duration(clock_gettime(ClockId::Monotonic));
    let nanos = u128::from(hz) * up.as_nanos();
    let jiffies = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    let start = (1_u64 << 32).wrapping_sub(HEAD_START_S * hz);
    Ticks::from_jiffies(start.wrapping_add(jiffies), Ticks::per_jiffy(hz))
}

/// Ticks of a time, as many as there can be at most.
#[must_use]
pub fn ticks(time: Duration) -> u32 {
    let ticks = time.as_millis() * u128::from(SECOND) / 1000;
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// The time of so many ticks.
#[must_use]
pub fn time(ticks: u32) -> Duration {
    Duration::from_millis(u64::from(ticks) * 1000 / u64::from(SECOND))
}

/// When the machine was started, by the clock on the wall as it goes now: what the kernel's boot clock counts
/// from, which goes on while the machine sleeps.
#[must_use]
pub fn boot() -> SystemTime {
    let up = duration(clock_gettime(ClockId::Boottime));
    let now = SystemTime::now();
    now.checked_sub(up).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// What this thread has had of a CPU so far.
#[must_use]
pub fn spent() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

fn duration(time: rustix::time::Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}
