//! Legitimate traffic of several kinds, of which every octet is compared and every connection has to last.

mod asking;
mod idle;
mod transfer;

use std::{
    net::IpAddr,
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Error, Result, anyhow};
use xtask::lab::{
    line::{Line, Pair},
    site::Family,
};

use self::{idle::Idle, transfer::Transfers};
use super::lab::{
    client::Tally,
    place::{Place, server},
};

/// Connections that were lost.
pub(crate) struct Loss {
    /// What was done with them.
    pub(crate) kind: &'static str,
    pub(crate) number: u32,
    /// Of the first one.
    pub(crate) why: Error,
}

/// What became of the traffic.
pub(crate) struct Fate {
    /// Octets a second that came and were right, in both directions.
    pub(crate) goodput: f64,
    /// New connections that were made meanwhile, and served.
    pub(crate) made: u32,
    pub(crate) lost: Vec<Loss>,
}

/// Something happens while there is traffic of all kinds: says what came of it, and of the traffic.
pub(crate) fn around<T>(place: &Place, work: impl FnOnce() -> T) -> Result<(T, Fate)> {
    // Those last that say something at once: others are still being connected.
    let idle = Idle::start(place)?;
    let mut clients = asking::connect(place)?;
    let transfers = Transfers::start(place)?;
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let octets = || transfers.octets() + answered.load(Ordering::Relaxed);
    let [kept, fresh] = &mut clients;
    let (done, goodput, told) = thread::scope(|scope| {
        let asking = scope.spawn(|| asking::keep_asking(kept, &stop, &answered));
        let connecting = scope.spawn(|| asking::keep_connecting(fresh, place, &stop, &answered));
        let (start, before) = (Instant::now(), octets());
        let done = work();
        let goodput = rate(octets() - before, start);
        stop.store(true, Ordering::Relaxed);
        (done, goodput, [joined(asking), joined(connecting)])
    });
    let [asked, made] = told;
    let (asked, made) = (asked?, made?);
    let mut fate = Fate {
        goodput,
        made: made.answered,
        lost: Vec::new(),
    };
    fate.lose("new connections", made);
    fate.lose("requests", asked);
    fate.lose("silent", clients[1].ask(Duration::ZERO)?);
    fate.add(transfers.end());
    fate.add(idle.end());
    Ok((done, fate))
}

impl Fate {
    fn lose(&mut self, kind: &'static str, tally: Tally) {
        let number = tally.failed;
        self.lost
            .extend(tally.why.map(|why| Loss { kind, number, why }));
    }

    fn add(&mut self, ends: impl IntoIterator<Item = (&'static str, Result<()>)>) {
        let ends = ends.into_iter();
        let lost = ends.filter_map(|(kind, end)| Some((kind, end.err()?)));
        let number = 1;
        self.lost
            .extend(lost.map(|(kind, why)| Loss { kind, number, why }));
    }
}

fn joined(thread: ScopedJoinHandle<'_, Result<Tally>>) -> Result<Tally> {
    let told = thread.join();
    told.map_err(|_| anyhow!("a thread that asks has panicked"))?
}

#[expect(clippy::cast_precision_loss, reason = "far less than 2^52 octets")]
fn rate(octets: u64, since: Instant) -> f64 {
    octets as f64 / since.elapsed().as_secs_f64()
}

/// A connection over each version of IP to each of these ports of the server, of which both ends are here.
fn pairs(place: &Place, ports: Range<u16>) -> Result<Vec<Pair>> {
    let ends = ports.flat_map(|port| Family::ALL.map(|family| (server(family), port)));
    let connect =
        |end: (IpAddr, u16)| Line::open(&place.receiver, end.into())?.connect(&place.sender);
    // At the same time: behind the kernel's proxy of SYNs each of them takes a second.
    thread::scope(|scope| {
        let threads: Vec<_> = ends.map(|end| scope.spawn(move || connect(end))).collect();
        let pairs = threads.into_iter().map(|thread| {
            let pair = thread.join();
            pair.map_err(|_| anyhow!("a thread that connects has panicked"))?
        });
        pairs.collect()
    })
}
