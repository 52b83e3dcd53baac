//! The debug records of the kernel programs, on stderr.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{LevelFilter, Log, Metadata, Record};
use tcpguard_common::verdict::Verdict;
use tokio::{
    io::{Interest, unix::AsyncFd},
    task::JoinHandle,
};

/// Prints records of programs as they come, until it is dropped.
pub(crate) struct Follower(JoinHandle<()>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Follows the records of these programs.
pub(crate) fn follow(ebpf: &mut Ebpf) -> Result<Follower> {
    // It has been set if others were followed before.
    let _ = log::set_logger(&Stderr);
    log::set_max_level(LevelFilter::Debug);
    let logger = EbpfLogger::init(ebpf).context("failed to open the log of the programs")?;
    #[expect(
        deprecated,
        reason = "its successor is unsafe; the logger owns its descriptor"
    )]
    let mut records = AsyncFd::with_interest(logger, Interest::READABLE)
        .context("failed to wait for the log of the programs")?;
    Ok(Follower(tokio::spawn(async move {
        while let Ok(mut guard) = records.readable_mut().await {
            guard.get_inner_mut().flush();
            guard.clear_ready();
        }
    })))
}

/// A record with the name of the verdict whose number it begins with.
fn with_name(record: &str) -> String {
    let named = record.split_once(' ').and_then(|(number, frame)| {
        let verdict = Verdict::from_cell(number.parse().ok()?)?;
        Some(format!(
            "{} {}: {frame}",
            verdict.kind().as_str(),
            verdict.cause()
        ))
    });
    named.unwrap_or_else(|| record.to_owned())
}

struct Stderr;

impl Log for Stderr {
    /// Ours and those of the programs, not what libraries say about themselves.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tcpguard")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let _ = writeln!(io::stderr(), "{}", with_name(&record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use tcpguard_common::reason::Reason;

    use super::*;

    #[test]
    fn a_record_gets_the_name_of_its_verdict() {
        let cell = Verdict::dropped(Reason::FlagsNull).cell();
        let named = with_name(&format!("{cell} 10.0.0.1:1025 > 10.0.0.2:80"));
        assert_eq!(named, "drop flags-null: 10.0.0.1:1025 > 10.0.0.2:80");
        assert_eq!(with_name("something else"), "something else");
    }
}
