//! How it is going, in one line.

use std::{
    io::{self, IsTerminal, Write},
    time::Instant,
};

use serde_json::Value;
use tcpguard_common::reason::Reason;
use xtask::lab::{client::Client, guard::dropped, path::Path, witness::Witness};

/// Seconds between two lines where they stay: in a log.
const LOG_SECONDS: u64 = 5;

/// A line on stderr: on a terminal it is written over each second.
pub(super) struct Progress {
    start: Instant,
    shown: u64,
    on_terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            shown: 0,
            on_terminal: io::stderr().is_terminal(),
        }
    }

    /// Says how it is going, if it is time to.
    pub(super) fn tell(
        &mut self,
        clients: &[(Path, Client)],
        witness: &Witness,
        guard: Option<&Value>,
    ) {
        let elapsed = self.start.elapsed().as_secs();
        let every = if self.on_terminal { 1 } else { LOG_SECONDS };
        if elapsed < self.shown + every {
            return;
        }
        self.shown = elapsed;
        let line = format!("{elapsed:>4} s  {}", state(clients, witness, guard));
        if self.on_terminal {
            eprint!("\r{line}\x1b[K");
        } else {
            eprintln!("{line}");
        }
        // A progress that cannot be shown is no reason to stop.
        let _ = io::stderr().flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on_terminal && self.shown > 0 {
            eprint!("\r\x1b[K");
        }
    }
}

fn state(clients: &[(Path, Client)], witness: &Witness, guard: Option<&Value>) -> String {
    let (mut answered, mut failed) = (0, 0);
    for (_, client) in clients {
        let requests = client.requests();
        answered += requests.answered;
        failed += requests.failed();
    }
    let passed = witness.seen().illegal();
    let dropped = guard.map(|reading| {
        let dropped: u64 = Reason::ALL
            .iter()
            .map(|reason| dropped(reading, reason.as_str()))
            .sum();
        format!("{dropped} dropped, ")
    });
    format!(
        "requests: {answered} answered, {failed} failed   illegal segments: {}{passed} passed",
        dropped.unwrap_or_default()
    )
}
