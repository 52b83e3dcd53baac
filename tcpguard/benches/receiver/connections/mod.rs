//! Segments of connections that go on, each of one by chance: what it costs to follow them.
//!
//! Every tracker has a receiver of its own, because its connections must last over all rounds. None of them
//! drops anything. Behind each the segment comes to the same end, a rule that drops and counts it at the
//! place where the kernel's tracker has done its work: whatever the stack would do is not measured, but the
//! way to that place is, of which most is the making of a socket buffer. So what matters is by how much a
//! segment costs more than behind an XDP program that does nothing: that is the same way for all, where without
//! a program the driver's part of it jumps, on a virtual machine, between once and twice as much.

mod handshake;
mod host;
mod limits;
mod report;

use anyhow::{Result, ensure};

pub(crate) use self::report::{json, text};
use self::{
    host::{Host, Tracker},
    limits::Limits,
};
use crate::{
    Args,
    lab::{interrupts::Interrupts, meter::nanos},
    shuffle::Shuffle,
};

/// What the command line calls this part.
pub(crate) const NAME: &str = "established connections";

/// Connections that the segments are of.
const CONNECTIONS: [(&str, u32); 4] = [
    ("1", 1),
    ("1 Ki", 1 << 10),
    ("128 Ki", 1 << 17),
    ("1 Mi", 1 << 20),
];
/// Those of a quick run.
const QUICK: usize = 3;
/// One of so many frames comes before those that are measured.
const WARMING: u32 = 8;
/// The first far end's number: behind the addresses of receiver and sender.
const BASE: u32 = 1 << 23;

/// Nanoseconds a segment among so many connections: of each tracker, of each round.
pub(crate) struct Figures {
    connections: &'static str,
    nanos: [Vec<f64>; Tracker::ALL.len()],
}

/// All of them.
pub(crate) fn run(args: &Args, interrupts: &Interrupts) -> Result<Vec<Figures>> {
    let sizes = &CONNECTIONS[..if args.quick { QUICK } else { CONNECTIONS.len() }];
    let most = sizes[sizes.len() - 1].1;
    // An operator leaves room, and the receivers' few other connections want a little.
    let _limits = Limits::raise(most + most / 8)?;
    let mut hosts = Vec::new();
    for tracker in Tracker::ALL {
        hosts.push(Host::new(tracker, most)?);
    }
    let mut all = Vec::new();
    let mut known = 0;
    for (connections, number) in sizes.iter().copied() {
        for host in &mut hosts {
            interrupts.check()?;
            host.establish(BASE, known, number)?;
        }
        known = number;
        let mut nanos = [const { Vec::new() }; Tracker::ALL.len()];
        // The first round warms up. Each begins with another tracker: what the last one has left in the
        // caches is nobody's for good.
        for round in 0..=args.rounds as usize {
            for turn in 0..hosts.len() {
                interrupts.check()?;
                let at = (round + turn) % hosts.len();
                let measured = measure(&mut hosts[at], number, args.frames)?;
                if round > 0 {
                    nanos[at].push(measured);
                }
            }
        }
        all.push(Figures { connections, nanos });
    }
    Ok(all)
}

/// Nanoseconds a segment; fails if not all that got to the receiver came to their end.
fn measure(host: &mut Host, connections: u32, frames: u32) -> Result<f64> {
    Shuffle::among(BASE, connections).set(&mut host.generator.object)?;
    let segment = handshake::arriving(BASE);
    host.generator
        .send(&host.place, &segment, frames / WARMING)?;
    host.meter.settle()?;
    let met = host.met()?;
    let before = host.meter.counts()?;
    host.generator.send(&host.place, &segment, frames)?;
    host.meter.settle()?;
    let after = host.meter.counts()?;
    let met = host.met()? - met;
    let (taken, nanos) = nanos(&before, &after, frames)?;
    ensure!(
        met.abs_diff(taken) <= taken / 1000,
        "{}: {met} of {taken} segments of established connections got through",
        host.tracker.name()
    );
    Ok(nanos)
}
