//! Good traffic, and nothing else.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::{
    Timing,
    bulk::{Iperf, Way},
    filter::Filter,
    lab::{
        client::{Clients, Manner, Tally},
        cpus::Cpus,
        stage::Stage,
    },
};

/// What is measured, in this order.
pub(crate) const MEASURES: [&str; 4] = [
    "bulk to the server, Mbit/s",
    "bulk to the client, Mbit/s",
    "requests/s, kept connections",
    "new connections/s",
];

/// One turn of a filter. That a connection fails is an error: no filter may harm any.
pub(crate) fn measure(cpus: Cpus, filter: Filter, timing: Timing) -> Result<[f64; MEASURES.len()]> {
    let stage = Stage::new(cpus)?;
    let place = &stage.place;
    let _on = filter.put_on(place)?;
    let iperf = Iperf::start(place)?;
    let to_server = iperf.measure(Way::ToServer, timing.bulk_seconds)?;
    let to_client = iperf.measure(Way::ToClient, timing.bulk_seconds)?;
    drop(iperf);
    let mut clients = Clients::connect(place, Manner::HASTY)?;
    let requests = all_answered(clients.ask(timing.lasting)?)?;
    let connections = all_answered(clients.reconnect(place, timing.lasting)?)?;
    all_answered(clients.ask(Duration::ZERO)?)?;
    Ok([
        to_server,
        to_client,
        timing.a_second(requests),
        timing.a_second(connections),
    ])
}

/// How many, if none has failed.
fn all_answered(tally: Tally) -> Result<u32> {
    let failed = tally.failed;
    match tally.why {
        None => Ok(tally.answered),
        Some(why) => Err(why).with_context(|| format!("{failed} connections failed")),
    }
}
