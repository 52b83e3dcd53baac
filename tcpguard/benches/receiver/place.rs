//! Two hosts and a cable, and one thread that does all that a frame costs the second host.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read as _, Seek as _},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    net::if_::if_nametoindex,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use xtask::{
    lab::{
        link::{Station, VethOptions, veth},
        namespace::Namespace,
        packet::{Mac, mac},
    },
    process::output,
};

/// The interface of the sender, and that of the receiver.
pub(crate) const SENDING: &str = "flood0";
pub(crate) const RECEIVING: &str = "flood1";

/// What the kernel says of the receiver until one moment.
pub(crate) struct Counts {
    /// What its thread has had of a CPU.
    pub(crate) spent: Duration,
    /// Frames that its interface has taken, whatever became of them.
    pub(crate) taken: u64,
    /// Packets that its IP has delivered to TCP.
    pub(crate) delivered: u64,
}

/// Sender and receiver.
pub(crate) struct Place {
    pub(crate) sender: Namespace,
    pub(crate) receiver: Namespace,
    /// The kernel's thread that takes frames off the receiver's interface.
    poller: Pid,
    /// What the kernel counts of the receiver's interfaces, and of its IP.
    interfaces: File,
    protocols: File,
}

impl Place {
    /// A thread of its own deals with what the receiver gets, and another one with its answers, on another
    /// CPU if there are two.
    pub(crate) fn new() -> Result<Self> {
        let (sender, receiver) = (Namespace::new("flooding")?, Namespace::new("flooded")?);
        veth(
            (&sender, SENDING),
            (&receiver, RECEIVING),
            VethOptions::default(),
        )?;
        // All but the sender is behind it, and nobody is asked for an address: answers find their way at once.
        sender.configure(&format!("address add 10.9.0.1/32 dev {SENDING}\n"))?;
        receiver.configure(&format!(
            "address add 10.9.0.2/32 dev {RECEIVING}\n\
             route add 10.9.0.1 dev {RECEIVING}\n\
             route add default via 10.9.0.1\n"
        ))?;
        let station = Station {
            namespace: &receiver,
            interface: RECEIVING,
            addresses: Vec::new(),
        };
        station.knows_as(&[[10, 9, 0, 1].into()], mac(&sender, SENDING)?)?;
        let answered = own_thread(&sender, SENDING)?;
        let poller = own_thread(&receiver, RECEIVING)?;
        let cpus = cpus()?;
        let (first, last) = (cpus[0], cpus[cpus.len() - 1]);
        pin(Pid::from_raw(0), first)?;
        pin(answered, first)?;
        pin(poller, last)?;
        let open = |name: &str| {
            let path = format!("/proc/thread-self/net/{name}");
            let file = receiver.within(|| File::open(&path))?;
            file.with_context(|| format!("failed to open {path}"))
        };
        Ok(Self {
            poller,
            interfaces: open("dev")?,
            protocols: open("snmp")?,
            sender,
            receiver,
        })
    }

    /// The kernel's number of the interface that frames are sent by.
    pub(crate) fn sending(&self) -> Result<u32> {
        Ok(self.sender.within(|| if_nametoindex(SENDING))??)
    }

    /// Ethernet addresses of receiver and sender.
    pub(crate) fn macs(&self) -> Result<(Mac, Mac)> {
        Ok((mac(&self.receiver, RECEIVING)?, mac(&self.sender, SENDING)?))
    }

    pub(crate) fn counts(&mut self) -> Result<Counts> {
        Ok(Counts {
            spent: self.spent()?,
            taken: self.taken()?,
            delivered: self.delivered()?,
        })
    }

    fn spent(&self) -> Result<Duration> {
        let schedstat = fs::read_to_string(format!("/proc/{}/schedstat", self.poller))?;
        let nanos = schedstat.split_whitespace().next();
        let nanos = nanos.context("the kernel keeps no times of threads (SCHED_INFO)")?;
        Ok(Duration::from_nanos(nanos.parse()?))
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

/// Runs a command in a namespace with a /sys of its own, and expects success.
pub(crate) fn call(namespace: &Namespace, words: &[&str]) -> Result<()> {
    let mut ip = Command::new("ip");
    ip.args(["netns", "exec", namespace.name()]).args(words);
    output(&mut ip).map(drop)
}

/// Makes the kernel deal with what arrives at an interface in a thread of its own, and returns that.
fn own_thread(namespace: &Namespace, interface: &str) -> Result<Pid> {
    // NAPI, as a network card has it: without it there is nothing that could be a thread's.
    call(namespace, &["ethtool", "-K", interface, "gro", "on"])?;
    let name = format!("napi/{interface}-");
    let others = named(&name)?;
    let switch = format!("echo 1 > /sys/class/net/{interface}/threaded");
    call(namespace, &["sh", "-c", &switch])
        .context("the kernel has no threads for NAPI (before Linux 5.12)")?;
    let threads = named(&name)?;
    let mut own = threads.difference(&others).copied();
    own.next().context("NAPI has got no thread")
}

/// Processes whose names begin so, by their numbers.
fn named(name: &str) -> Result<BTreeSet<Pid>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Ok(number) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if comm.starts_with(name) {
            found.insert(Pid::from_raw(number));
        }
    }
    Ok(found)
}

/// The CPUs that this process may run on.
fn cpus() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    let has = |cpu: &usize| set.is_set(*cpu).unwrap_or(false);
    let cpus: Vec<_> = (0..CpuSet::count()).filter(has).collect();
    ensure!(!cpus.is_empty(), "this process may run on no CPU");
    Ok(cpus)
}

fn pin(process: Pid, cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(process, &set).context("failed to give a thread a CPU of its own")
}
