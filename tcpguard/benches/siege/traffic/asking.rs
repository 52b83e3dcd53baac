//! Requests: on connections that are kept, on new ones, and after a long silence.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use xtask::lab::line::PATIENCE;

use crate::siege::lab::{
    client::{Clients, Manner, Tally},
    place::Place,
    web,
};

/// Between two looks whether it is over.
const SLICE: Duration = Duration::from_millis(250);
/// So many are asked that the machine has time for all else, and a filter that keeps up loses nothing.
const REQUESTS: Manner = Manner {
    patience: PATIENCE,
    pause: Duration::from_millis(2),
};
const CONNECTIONS: Manner = Manner {
    patience: PATIENCE,
    pause: Duration::from_millis(20),
};

/// Clients that ask on the connections that they have, and others that make new ones, and are silent on those that
/// they have.
pub(super) fn connect(place: &Place) -> Result<[Clients; 2]> {
    let kept = Clients::connect(place, REQUESTS)?;
    Ok([kept, Clients::connect(place, CONNECTIONS)?])
}

/// Asks until told to stop, and adds up the octets of answers.
pub(super) fn keep_asking(
    clients: &mut Clients,
    stop: &AtomicBool,
    octets: &AtomicU64,
) -> Result<Tally> {
    go_on(stop, octets, |lasting| clients.ask(lasting))
}

/// The same on a new connection each time.
pub(super) fn keep_connecting(
    clients: &Clients,
    place: &Place,
    stop: &AtomicBool,
    octets: &AtomicU64,
) -> Result<Tally> {
    go_on(stop, octets, |lasting| clients.reconnect(place, lasting))
}

fn go_on(
    stop: &AtomicBool,
    octets: &AtomicU64,
    mut ask: impl FnMut(Duration) -> Result<Tally>,
) -> Result<Tally> {
    let answer = web::answer().len() as u64;
    let mut all = Tally::default();
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        let tally = ask(SLICE)?;
        octets.fetch_add(u64::from(tally.answered) * answer, Ordering::Relaxed);
        all.add(tally);
        // When all connections are lost there is nothing to wait for.
        thread::sleep(SLICE.saturating_sub(start.elapsed()));
    }
    Ok(all)
}
