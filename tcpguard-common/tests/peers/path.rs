//! The path between two peers, with the guard in its middle.

use std::{collections::BTreeMap, fmt::Write as _};

use tcpguard_common::{
    conn::{
        ruling::Ruling,
        seen::{Seen, Voice},
        time::Ticks,
        witness::{Plea, learn},
    },
    flags::TcpFlags,
    flow::FlowKey4,
    seq::SeqNum,
    table::{host::Table, key::Seed},
};

use super::peer::{Peer, Segment};

/// A connection on its way through the guard.
#[derive(Debug)]
pub(crate) struct Path {
    peers: [Peer; 2],
    guard: Table<FlowKey4>,
    chance: u64,
    /// Segments lost of a thousand, on either side of the guard, and the longest delay of a hop in
    /// milliseconds.
    loss: u64,
    delay: u64,
    /// When the guard begins to look; what it has not seen the begin of it takes over.
    begins: u64,
    now: u64,
    /// What happens, by time and order.
    queue: BTreeMap<(u64, u64), Event>,
    events: u64,
    /// Whether somebody forges segments of the connection.
    attacked: bool,
    log: String,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A segment of this peer is at the guard.
    AtGuard(usize, Segment),
    /// It is at the other peer.
    AtPeer(usize, Segment),
    /// The user of this peer reads.
    Read(usize),
}

impl Path {
    pub(crate) fn new(seed: u64) -> Self {
        let mut path = Self {
            peers: [Peer::new(0, 0, true, 0), Peer::new(0, 0, false, 0)],
            guard: Table::new(1, Seed::known(3)),
            chance: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            loss: 0,
            delay: 0,
            begins: 0,
            now: 0,
            queue: BTreeMap::new(),
            events: 0,
            attacked: false,
            log: String::new(),
        };
        path.attacked = path.draw(2) == 0;
        path.loss = [0, 10, 50, 200][path.draw(4)];
        path.delay = [1, 20, 200, 2000][path.draw(4)];
        path.begins = [0, path.draw(3000) as u64][path.draw(2)];
        path.peers = [true, false].map(|opens| {
            let total = [0, 1, 500, 20_000, 300_000][path.draw(5)];
            let buffer = [1280, 10_240, 65_536, 1 << 20][path.draw(4)];
            let extra = path.draw(2);
            let isn = path.draw(1 << 32);
            Peer::new(word(isn), total + word(extra), opens, buffer)
        });
        path
    }

    /// Lets both talk to their end: whether they reach it, or what harm was done.
    pub(crate) fn talk(mut self) -> Result<bool, String> {
        const STEPS: usize = 20_000;
        for _ in 0..STEPS {
            if self.peers.iter().all(Peer::is_done) && self.queue.is_empty() {
                return Ok(true);
            }
            let timer = (0..2)
                .filter_map(|i| self.peers[i].alarm.map(|alarm| (alarm, i)))
                .min();
            let next = self.queue.first_key_value().map(|(key, _)| key.0);
            match (timer, next) {
                (Some((alarm, i)), next) if next.is_none_or(|next| alarm < next) => {
                    self.now = self.now.max(alarm);
                    let mut out = Vec::new();
                    self.peers[i].retransmit(self.now, &mut out);
                    self.sent(i, out);
                }
                (_, Some(_)) => self.event()?,
                (_, None) => return Ok(true),
            }
        }
        Ok(false)
    }

    fn event(&mut self) -> Result<(), String> {
        let Some(((at, _), event)) = self.queue.pop_first() else {
            return Ok(());
        };
        self.now = self.now.max(at);
        match event {
            Event::AtGuard(i, segment) if self.is_stale(i, &segment) => {}
            Event::AtGuard(i, segment) => {
                self.forge();
                self.judge(i, &segment)?;
                self.hop(|s| Event::AtPeer(i, s), segment);
            }
            Event::AtPeer(i, segment) => {
                let mut out = Vec::new();
                self.peers[1 - i].take(&segment, self.now, &mut out);
                self.sent(1 - i, out);
                if self.draw(4) == 0 {
                    let pause = self.draw(500) as u64;
                    self.put(pause, Event::Read(1 - i));
                }
            }
            Event::Read(i) => {
                let mut out = Vec::new();
                self.peers[i].read(&mut out);
                self.sent(i, out);
            }
        }
        Ok(())
    }

    /// Whether a segment of the handshake comes to a guard that began to look after it. Such a late
    /// duplicate would pass for the begin of a connection.
    fn is_stale(&self, i: usize, segment: &Segment) -> bool {
        self.begins > 0 && segment.flags.contains(TcpFlags::SYN) && self.peers[i].is_open()
    }

    /// Segments in the name of either side, from somebody who knows their addresses and ports and sees
    /// nothing of what they say. Whether they pass is not asked: the peers would not take them.
    fn forge(&mut self) {
        const SETS: [TcpFlags; 6] = [
            TcpFlags::SYN,
            TcpFlags::SYN.with(TcpFlags::ACK),
            TcpFlags::ACK,
            TcpFlags::FIN.with(TcpFlags::ACK),
            TcpFlags::RST,
            TcpFlags::RST.with(TcpFlags::ACK),
        ];
        if !self.attacked || self.draw(3) > 0 {
            return;
        }
        let numbers = [self.draw(1 << 32), self.draw(1 << 32)].map(|number| SeqNum(word(number)));
        let seen = Seen {
            seq: numbers[0],
            ack: numbers[1],
            sacked: numbers[1],
            payload_len: word([0, 0, 1, 1460][self.draw(4)]),
            now: self.ticks(),
            window: 65_535,
            flags: SETS[self.draw(SETS.len())],
            ..Seen::NOTHING
        };
        let i = self.draw(2);
        let ruling = self.ask(i, &seen);
        let (now, name) = (self.now, ["orig", "reply"][i]);
        let _ = writeln!(
            self.log,
            "{now:>7} ms forged {name:5} {} -> {ruling:?}",
            seen.flags
        );
    }

    fn ticks(&self) -> Ticks {
        Ticks(u32::try_from(self.now / 250).expect("no connection lasts for years"))
    }

    /// What the guard says to a segment of peer `i`.
    fn ask(&self, i: usize, seen: &Seen) -> Ruling {
        let learning = self.begins > 0 && seen.flags.contains(TcpFlags::SYN);
        let seen = &Seen {
            voice: if learning {
                Voice::FOREIGN.learning()
            } else {
                Voice::FOREIGN
            },
            ..*seen
        };
        let ends = [(1, 40000), (2, 80)];
        let (key, way) = FlowKey4::new(ends[i], ends[1 - i]);
        self.guard.decide(&key, way, seen, || {
            if self.begins > 0 {
                learn(seen)
            } else {
                Plea::Refuse
            }
        })
    }

    fn judge(&mut self, i: usize, segment: &Segment) -> Result<(), String> {
        if self.now < self.begins {
            return Ok(());
        }
        let seen = Seen {
            now: self.ticks(),
            ..segment.seen(self.peers[i].isn, self.peers[1 - i].isn)
        };
        let ruling = self.ask(i, &seen);
        let after = ruling.after().map_or("-", |state| state.as_str());
        let verdict = ruling.verdict();
        let (now, name) = (self.now, ["orig", "reply"][i]);
        let Segment {
            seq,
            ack,
            len,
            flags,
            window,
        } = segment;
        let _ = writeln!(
            self.log,
            "{now:>7} ms {name:5} {flags} {seq} ack {ack} len {len} win {window} -> {verdict:?} {after}"
        );
        if verdict.is_drop() {
            let lines: Vec<&str> = self.log.lines().collect();
            return Err(lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        Ok(())
    }

    fn sent(&mut self, i: usize, segments: Vec<Segment>) {
        for segment in segments {
            self.hop(|s| Event::AtGuard(i, s), segment);
        }
    }

    fn hop(&mut self, arrives: impl Fn(Segment) -> Event, segment: Segment) {
        if (self.draw(1000) as u64) < self.loss {
            return;
        }
        // One in fifty is doubled on the way.
        let copies = 1 + usize::from(self.draw(50) == 0);
        for _ in 0..copies {
            let delay = 1 + self.draw(1000) as u64 * self.delay / 1000;
            self.put(delay, arrives(segment));
        }
    }

    fn put(&mut self, delay: u64, event: Event) {
        self.events += 1;
        self.queue.insert((self.now + delay, self.events), event);
    }

    /// A number below `bound` (xorshift64*).
    fn draw(&mut self, bound: usize) -> usize {
        self.chance ^= self.chance >> 12;
        self.chance ^= self.chance << 25;
        self.chance ^= self.chance >> 27;
        let drawn = self.chance.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(drawn).expect("32 bits") % bound
    }
}

fn word(number: usize) -> u32 {
    u32::try_from(number).expect("drawn below 2^32")
}
