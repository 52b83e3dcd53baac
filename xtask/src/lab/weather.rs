//! A cable that is long, or rough: frames take their time, get lost, come twice or out of order.
//!
//! For kernels without netem. LIMIT: threads copy the frames, so speed is not its purpose. Both ends
//! compute checksums themselves and send no frame longer than their MTU (`ethtool -K tx off`).

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    background::Background,
    forge::Dice,
    link::{VethOptions, veth},
    namespace::Namespace,
    packet::PacketSocket,
};

/// How often a thread that waits looks whether it should end.
const POLL: Duration = Duration::from_millis(50);
/// A frame that is late is overtaken by those of so many delays.
const LATE: u32 = 3;

/// What happens to frames. Of a thousand frames so many are lost, doubled, late.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Time to the other end.
    pub delay: Duration,
    /// How many do not come.
    pub lost: u32,
    /// How many come twice, the second time late.
    pub doubled: u32,
    /// How many are overtaken by others.
    pub late: u32,
}

impl Weather {
    /// Nothing but a long way.
    #[must_use]
    pub fn far(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// When a frame that sets out at `start` comes in, each time that it does.
    fn arrivals(&self, start: Instant, dice: &mut Dice) -> Vec<Instant> {
        let (due, late) = (start + self.delay, start + self.delay * LATE);
        let fate = dice.throw() % 1000;
        let (doubled, overtaken) = (self.lost + self.doubled, self.late);
        if fate < self.lost {
            vec![]
        } else if fate < doubled {
            vec![due, late]
        } else if fate < doubled + overtaken {
            vec![late]
        } else {
            vec![due]
        }
    }
}

/// A cable under a weather, until it is dropped.
pub struct Cable {
    // Threads end before the namespace that their sockets are in.
    _threads: Vec<Background>,
    _middle: Namespace,
}

impl Cable {
    /// Connects two namespaces.
    pub fn new(ends: [(&Namespace, &str); 2], weather: Weather) -> Result<Self> {
        let middle = Namespace::new("cable")?;
        let mut sockets = Vec::new();
        for ((namespace, interface), port) in ends.into_iter().zip(["near", "far"]) {
            let end = (namespace, interface);
            veth(end, (&middle, port), VethOptions::default())?;
            let mut ethtool = namespace.command("ethtool");
            let told = ethtool.args(["-K", interface, "tx", "off"]).output();
            let told = told.context("failed to start ethtool (is it installed?)")?;
            ensure!(told.status.success(), "ethtool on {interface}: {told:?}");
            sockets.push(Arc::new(PacketSocket::receiving(&middle, port)?));
        }
        let mut threads = Vec::new();
        for (from, to) in [(0, 1), (1, 0)] {
            threads.extend(relay(&sockets[from], &sockets[to], weather)?);
        }
        Ok(Self {
            _threads: threads,
            _middle: middle,
        })
    }
}

/// A frame on its way: when it is due, and its number, so that frames of one time stay in order.
type OnItsWay = Reverse<(Instant, u64, Vec<u8>)>;

/// One direction: a thread that takes frames up and one that delivers them.
fn relay(
    from: &Arc<PacketSocket>,
    to: &Arc<PacketSocket>,
    weather: Weather,
) -> Result<[Background; 2]> {
    let (sender, receiver) = mpsc::channel();
    let (from, to) = (Arc::clone(from), Arc::clone(to));
    let take = Background::start("cable-in", move |stop| {
        let (mut dice, mut number) = (Dice::new(2), 0);
        let mut buffer = vec![0; 1 << 16];
        while !stop.load(Ordering::Relaxed) {
            let Ok(Some(len)) = from.receive(&mut buffer) else {
                continue;
            };
            for due in weather.arrivals(Instant::now(), &mut dice) {
                number += 1;
                // Whoever delivers ends when this thread does.
                let _ = sender.send(Reverse((due, number, buffer[..len].to_vec())));
            }
        }
    })?;
    let deliver = Background::start("cable-out", move |stop| deliver(&receiver, &to, stop))?;
    Ok([take, deliver])
}

fn deliver(frames: &Receiver<OnItsWay>, to: &PacketSocket, stop: &AtomicBool) {
    let mut waiting: BinaryHeap<OnItsWay> = BinaryHeap::new();
    while !stop.load(Ordering::Relaxed) {
        let patience = waiting.peek().map_or(POLL, |Reverse((due, ..))| {
            due.saturating_duration_since(Instant::now()).min(POLL)
        });
        match frames.recv_timeout(patience) {
            Ok(frame) => waiting.push(frame),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        while waiting.peek().is_some_and(|Reverse((due, ..))| *due <= now) {
            if let Some(Reverse((_, _, frame))) = waiting.pop() {
                // As on any wire, a frame can get lost; TCP notices.
                let _ = to.send(&frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fate_befalls_its_share_of_the_frames() {
        let weather = Weather {
            delay: Duration::from_millis(1),
            lost: 20,
            doubled: 30,
            late: 40,
        };
        let (start, mut dice) = (Instant::now(), Dice::new(1));
        let fates: Vec<_> = (0..100_000)
            .map(|_| weather.arrivals(start, &mut dice))
            .collect();
        let share = |fate: &[u32]| {
            let times = fate.iter().map(|n| start + weather.delay * *n);
            let times: Vec<_> = times.collect();
            fates.iter().filter(|found| **found == times).count() / 100
        };
        for (fate, expected) in [(&[][..], 20), (&[1, LATE], 30), (&[LATE], 40), (&[1], 910)] {
            assert!(
                share(fate).abs_diff(expected) <= 3,
                "{fate:?}: {}",
                share(fate)
            );
        }
    }
}
