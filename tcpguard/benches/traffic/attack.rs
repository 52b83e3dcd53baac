//! Good traffic while there is a flood.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow, ensure};

use crate::{
    Timing,
    filter::{COOKIES, Filter, TCPGUARD},
    lab::{
        client::{Clients, Manner, Tally},
        cpus::Cpus,
        flood::{Flood, Origin},
        generator::Generator,
        means::absorb_answers,
        place::Place,
        stage::Stage,
    },
};

pub(crate) const FLOODS: [Flood; 3] = [Flood::Null, Flood::Ack, Flood::Syn];

/// A flood and how many frames a second there are of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attack {
    pub(crate) flood: Flood,
    pub(crate) rate: u32,
}

/// What became of honest clients in one turn of a filter.
pub(crate) struct Turn {
    /// Frames of the flood a second.
    pub(crate) sent: f64,
    /// Answers a second on kept connections, and on new ones.
    pub(crate) requests: f64,
    pub(crate) connections: f64,
    /// Kept connections that did not outlast the flood.
    pub(crate) lost: u32,
    /// New connections that failed.
    pub(crate) failed: u32,
}

/// One turn. That tcpguard loses a connection is an error.
pub(crate) fn measure(cpus: Cpus, filter: Filter, attack: Attack, timing: Timing) -> Result<Turn> {
    let stage = Stage::new(cpus)?;
    let place = &stage.place;
    let _absorbing = absorb_answers(place)?;
    let _on = filter.put_on(place)?;
    let mut clients = Clients::connect(place, Manner::HASTY)?;
    let generator = Generator::new(place, Origin::Everywhere.program())?;
    let frame = attack.flood.frame();
    let stop = AtomicBool::new(false);
    let (sent, told) = thread::scope(|scope| {
        let send = || generator.send_until(&stop, place, &frame, attack.rate);
        let flooding = scope.spawn(send);
        let told = ask_and_reconnect(&mut clients, place, timing);
        stop.store(true, Ordering::Relaxed);
        (flooding.join(), told)
    });
    let sent = sent.map_err(|_| anyhow!("the flood has panicked"))??;
    let (mut kept, new) = told?;
    let requests = timing.a_second(kept.answered);
    kept.add(clients.ask(Duration::ZERO)?);
    ensure!(
        !matches!(filter, TCPGUARD | COOKIES) || kept.failed == 0,
        "tcpguard lost {} connections that were established before the flood ({}): {:#}",
        kept.failed,
        attack.flood.name(),
        kept.why.unwrap_or_else(|| anyhow!("no reason is known"))
    );
    Ok(Turn {
        sent,
        requests,
        connections: timing.a_second(new.answered),
        lost: kept.failed,
        failed: new.failed,
    })
}

/// Under the flood, once it is at its height.
fn ask_and_reconnect(
    clients: &mut Clients,
    place: &Place,
    timing: Timing,
) -> Result<(Tally, Tally)> {
    const RISE: Duration = Duration::from_millis(100);
    thread::sleep(RISE);
    let kept = clients.ask(timing.lasting)?;
    let new = clients.reconnect(place, timing.lasting)?;
    Ok((kept, new))
}
