//! What the kernel counts of the receiver.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;
use xtask::process::time_on_cpu;

use super::place::{Place, RECEIVING};

/// What the kernel says of the receiver until one moment.
pub(crate) struct Counts {
    /// What its thread has had of a CPU.
    pub(crate) spent: Duration,
    /// Frames that its interface has taken, whatever became of them.
    pub(crate) taken: u64,
    /// Packets that its IP has delivered to TCP.
    pub(crate) delivered: u64,
}

/// Reads it.
pub(crate) struct Meter {
    poller: Pid,
    /// What the kernel counts of the receiver's interfaces, and of its IP.
    interfaces: File,
    protocols: File,
}

impl Meter {
    pub(crate) fn of(place: &Place) -> Result<Self> {
        let open = |name: &str| {
            let path = format!("/proc/thread-self/net/{name}");
            let file = place.receiver.within(|| File::open(&path))?;
            file.with_context(|| format!("failed to open {path}"))
        };
        Ok(Self {
            poller: place.poller,
            interfaces: open("dev")?,
            protocols: open("snmp")?,
        })
    }

    pub(crate) fn counts(&mut self) -> Result<Counts> {
        Ok(Counts {
            spent: self.spent()?,
            taken: self.taken()?,
            delivered: self.delivered()?,
        })
    }

    fn spent(&self) -> Result<Duration> {
        time_on_cpu(format!("/proc/{}/schedstat", self.poller).as_ref())
    }

    /// Waits until the receiver has nothing to do any more.
    pub(crate) fn settle(&self) -> Result<()> {
        const QUIET: Duration = Duration::from_millis(10);
        let mut before = self.spent()?;
        loop {
            thread::sleep(QUIET);
            let now = self.spent()?;
            if now == before {
                return Ok(());
            }
            before = now;
        }
    }

    pub(crate) fn taken(&mut self) -> Result<u64> {
        let text = read(&mut self.interfaces)?;
        let mut lines = text.lines().map(str::trim);
        let counts = lines.find_map(|line| line.strip_prefix(RECEIVING)?.strip_prefix(':'));
        let packets = counts.and_then(|counts| counts.split_whitespace().nth(1));
        Ok(packets
            .context("the receiver's interface is gone")?
            .parse()?)
    }

    fn delivered(&mut self) -> Result<u64> {
        let text = read(&mut self.protocols)?;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip: "));
        let (names, counts) = (lines.next(), lines.next());
        let columns = names
            .unwrap_or_default()
            .split(' ')
            .zip(counts.unwrap_or_default().split(' '));
        let delivered = columns.into_iter().find(|(name, _)| *name == "InDelivers");
        Ok(delivered
            .context("the kernel counts no packets of IP")?
            .1
            .parse()?)
    }
}

/// Frames that the receiver has taken between two moments, and nanoseconds of its CPU for each; fails if of
/// the `made` ones nearly none got there.
pub(crate) fn nanos(before: &Counts, after: &Counts, made: u32) -> Result<(u64, f64)> {
    let taken = after.taken - before.taken;
    ensure!(
        taken > u64::from(made) / 100,
        "{taken} of {made} frames got to the receiver: the flood goes astray"
    );
    let spent = after.spent.saturating_sub(before.spent);
    #[expect(clippy::cast_precision_loss, reason = "millions")]
    Ok((taken, spent.as_secs_f64() * 1e9 / taken as f64))
}

/// What it says now.
fn read(file: &mut File) -> Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}
