//! The time until frames are judged.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use aya::programs::{SchedClassifier, Xdp};
use tcpguard::object::{self, Log};
use tcpguard_common::{
    abi::{Config, EGRESS_PROGRAM, INGRESS_PROGRAM},
    craft::TcpFrame,
    flags::TcpFlags,
};
use xtask::lab::packet::PacketSocket;

use crate::{
    Args,
    figures::median,
    place::{GUARDED, Place, STREET},
    report::{Column, Section},
    tracked::objects,
};

/// Between two frames, and so how exactly the first one is known that is judged.
const PACE: Duration = Duration::from_micros(200);
/// Octets of payload that no other frame has.
const PAYLOAD: usize = 77;

/// From the start of `tcpguard attach` on, and of what is known of it.
pub(crate) fn measure(place: &Place, args: &Args) -> Result<Section> {
    let room = [args.connections; 2];
    let tracking = objects::tracking(room);
    let mut rounds = [const { Vec::new() }; 6];
    for _ in 0..args.rounds {
        let [returned, judged] = attach(place, args.connections)?;
        let [opened, ingress, egress] = load(&tracking)?;
        let without = load(&Config::DEFAULT)?.iter().sum();
        let times = [returned, judged, opened, ingress, egress, without];
        for (all, time) in rounds.iter_mut().zip(times) {
            all.push(time.as_secs_f64() * 1e3);
        }
    }
    let names = [
        "tcpguard attach has returned",
        "the first frame was judged",
        "  of which: maps made and object relocated",
        "  of which: ingress program loaded",
        "  of which: egress program loaded",
        "all three, without tracking",
    ];
    let rows = names.into_iter().zip(rounds);
    Ok(Section {
        columns: vec![Column::new("ms", "ms")],
        rows: rows
            .map(|(name, times)| (name.into(), vec![median(times)]))
            .collect(),
    })
}

/// Attaches while frames come that will be dropped: until that returns, and until none passes any more.
fn attach(place: &Place, connections: u32) -> Result<[Duration; 2]> {
    let mut frame = TcpFrame::ipv4().with_flags(TcpFlags::NULL);
    frame.payload = vec![0; PAYLOAD];
    let frame = frame.build();
    let sender = PacketSocket::sending(&place.peer, STREET)?;
    let receiver = PacketSocket::receiving(&place.host, GUARDED)?;
    let stop = AtomicBool::new(false);
    let (attached, start, returned, sent) = thread::scope(|scope| -> Result<_> {
        let sending = scope.spawn(|| send(&sender, &frame, &stop));
        thread::sleep(PACE * 100);
        let start = Instant::now();
        let attached = place.attach(connections);
        let returned = start.elapsed();
        thread::sleep(PACE * 100);
        stop.store(true, Ordering::Relaxed);
        let sent = sending.join().ok().context("the sender panicked")??;
        Ok((attached?, start, returned, sent))
    })?;
    let passed = received(&receiver, frame.len())?;
    drop(attached);
    ensure!(passed > 0, "no frame passed while nothing was attached");
    let judged = sent.get(passed).context("no frame was dropped")?;
    Ok([returned, judged.saturating_duration_since(start)])
}

/// Sends frames until it is told to stop, and returns when.
fn send(socket: &PacketSocket, frame: &[u8], stop: &AtomicBool) -> Result<Vec<Instant>> {
    let mut sent = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        sent.push(Instant::now());
        socket.send(frame)?;
        thread::sleep(PACE);
    }
    Ok(sent)
}

/// How many frames of this length have passed.
fn received(socket: &PacketSocket, length: usize) -> Result<usize> {
    let mut buffer = [0; 256];
    let mut passed = 0;
    while let Some(received) = socket.receive(&mut buffer)? {
        passed += usize::from(received == length);
    }
    Ok(passed)
}

/// Until the maps are made, and then until the kernel has checked each program.
fn load(config: &Config) -> Result<[Duration; 3]> {
    let start = Instant::now();
    let mut object = object::open(config, Log::Off)?;
    let opened = start.elapsed();
    let ingress = object.program_mut(INGRESS_PROGRAM);
    let ingress: &mut Xdp = ingress.context("no ingress program")?.try_into()?;
    ingress.load()?;
    let ingress = start.elapsed();
    let egress = object.program_mut(EGRESS_PROGRAM);
    let egress: &mut SchedClassifier = egress.context("no egress program")?.try_into()?;
    egress.load()?;
    let egress = start.elapsed();
    Ok([
        opened,
        ingress.saturating_sub(opened),
        egress.saturating_sub(ingress),
    ])
}
