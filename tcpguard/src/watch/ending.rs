//! What ends a watch: a signal, or the time.

use std::{
    fs::{self, File},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep_until},
};

/// Why a watch is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By a signal or a key.
    Asked,
    /// The terminal or the connection to it is gone.
    HungUp,
    /// All the time that was asked for has passed.
    Elapsed,
}

/// Waits for the end.
pub(crate) struct Ending {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
    deadline: Option<Instant>,
}

impl Ending {
    /// From now on signals end the watch instead of the process.
    pub(crate) fn new(limit: Option<Duration>) -> Result<Self> {
        let ignored = Ignored::by_this_process();
        Ok(Self {
            interrupt: ignored.unless(SignalKind::interrupt())?,
            terminate: ignored.unless(SignalKind::terminate())?,
            hang_up: ignored.unless(SignalKind::hangup())?,
            // A limit beyond what the clock can count is none.
            deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
        })
    }

    /// The same, but SIGHUP is for somebody else here.
    pub(crate) fn but_for_hang_up(self) -> Self {
        Self {
            hang_up: None,
            ..self
        }
    }

    /// Waits for whatever comes first; may be cancelled and asked again.
    pub(crate) async fn comes(&mut self) -> End {
        tokio::select! {
            () = arrives(&mut self.interrupt) => End::Asked,
            () = arrives(&mut self.terminate) => End::Asked,
            () = arrives(&mut self.hang_up) => End::HungUp,
            () = passes(self.deadline) => End::Elapsed,
        }
    }
}

/// SIGHUP, for who makes something else of it than the end; `None` if it was ignored when the process was
/// started.
pub(crate) fn hang_up() -> Result<Option<Signal>> {
    Ignored::by_this_process().unless(SignalKind::hangup())
}

/// Whether the process belongs to a terminal, which says by SIGHUP that it goes away.
pub(crate) fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

async fn arrives(signal: &mut Option<Signal>) {
    let received = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if received.is_none() {
        std::future::pending::<()>().await;
    }
}

async fn passes(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Signals that were ignored when the process was started: `nohup` means SIGHUP to be survived, and
/// a script's `&` means that Ctrl-C is for somebody else.
struct Ignored(u64);

impl Ignored {
    fn by_this_process() -> Self {
        // Without /proc nothing counts as ignored, which only makes the guard easier to end.
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self(mask(&status).unwrap_or(0))
    }

    fn contains(&self, kind: SignalKind) -> bool {
        // Bit 0 is signal 1.
        (self.0 >> (kind.as_raw_value() - 1)) & 1 != 0
    }

    fn unless(&self, kind: SignalKind) -> Result<Option<Signal>> {
        if self.contains(kind) {
            return Ok(None);
        }
        signal(kind)
            .map(Some)
            .context("failed to listen for the signals that end the guard")
    }
}

fn mask(status: &str) -> Option<u64> {
    let digits = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_found_in_the_status_of_the_process() {
        let status = "Name:\ttcpguard\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        let ignored = Ignored(mask(status).unwrap());
        assert!(ignored.contains(SignalKind::hangup()));
        assert!(!ignored.contains(SignalKind::interrupt()));
        assert!(!ignored.contains(SignalKind::terminate()));
    }

    #[tokio::test]
    async fn the_time_that_was_asked_for_ends_it() {
        let mut ending = Ending::new(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(ending.comes().await, End::Elapsed);
    }
}
