//! The debug records of the kernel programs, on stderr.

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{LevelFilter, Log, Metadata, Record};
use tokio::io::{Interest, unix::AsyncFd};

/// Prints records as they come, until the runtime ends.
pub(crate) fn follow(ebpf: &mut Ebpf) -> Result<()> {
    log::set_logger(&Stderr).context("failed to start the log")?;
    log::set_max_level(LevelFilter::Debug);
    let logger = EbpfLogger::init(ebpf).context("failed to open the log of the programs")?;
    #[expect(
        deprecated,
        reason = "its successor is unsafe; the logger owns its descriptor"
    )]
    let mut records = AsyncFd::with_interest(logger, Interest::READABLE)
        .context("failed to wait for the log of the programs")?;
    tokio::spawn(async move {
        while let Ok(mut guard) = records.readable_mut().await {
            guard.get_inner_mut().flush();
            guard.clear_ready();
        }
    });
    Ok(())
}

struct Stderr;

impl Log for Stderr {
    /// Ours and those of the programs, not what libraries say about themselves.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tcpguard")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("{}", record.args());
        }
    }

    fn flush(&self) {}
}
