//! The path between two peers, with the guard in its middle.

use std::{collections::BTreeMap, fmt};

use tcpguard_common::{
    conn::{
        ruling::Ruling,
        seen::{Seen, Voice},
        state::State,
        time::Ticks,
        witness::{Plea, learn},
    },
    flags::TcpFlags,
    flow::{FlowKey4, Way},
    seq::SeqNum,
    table::{host::Table, key::Seed},
};

use super::peer::{Peer, Segment};

/// More than so many segments of a peer are not lost in a row.
const MOST_LOST: u32 = 4;

/// Where chance comes from.
pub(crate) type Chance = Box<dyn FnMut() -> u32>;

/// A connection on its way through the guard.
pub(crate) struct Path {
    peers: [Peer; 2],
    guard: Table<FlowKey4>,
    chance: Chance,
    /// Segments lost of a thousand, on either side of the guard, and the longest delay of a hop in
    /// milliseconds.
    loss: u64,
    delay: u64,
    /// How many of each peer were lost in a row.
    lost: [u32; 2],
    /// When the guard begins to look; what it has not seen the begin of it takes over.
    begins: u64,
    now: u64,
    /// What happens, by time and order.
    queue: BTreeMap<(u64, u64), Event>,
    events: u64,
    /// Whether somebody forges segments of the connection.
    attacked: bool,
    log: Vec<Logged>,
}

/// What was said to a segment, which is `None` if it was forged.
struct Logged {
    now: u64,
    by: usize,
    flags: TcpFlags,
    segment: Option<Segment>,
    ruling: Ruling,
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
    /// One that half of the time somebody forges segments of.
    pub(crate) fn new(seed: u64) -> Self {
        let mut path = Self::by(xorshift(seed));
        path.attacked = path.draw(2) == 0;
        path
    }

    /// One that nobody forges segments of: whoever has chance in his hands is not blind.
    pub(crate) fn by(chance: Chance) -> Self {
        let mut path = Self {
            peers: [Peer::new(0, 0, true, 0), Peer::new(0, 0, false, 0)],
            guard: Table::new(1, Seed::known(3)),
            chance,
            loss: 0,
            delay: 0,
            lost: [0; 2],
            begins: 0,
            now: 0,
            queue: BTreeMap::new(),
            events: 0,
            attacked: false,
            log: Vec::new(),
        };
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

    /// Lets both talk for so many steps: whether they come to their end, or what harm was done.
    pub(crate) fn talk(mut self, steps: usize) -> Result<bool, String> {
        for _ in 0..steps {
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
                self.hop(i, |s| Event::AtPeer(i, s), segment);
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

    /// Whether a segment of the handshake comes to a guard that began to look after it, or for which the
    /// connection is over. Such a late duplicate would pass for the begin of a connection.
    fn is_stale(&self, i: usize, segment: &Segment) -> bool {
        let missed = self.begins > 0 && self.peers[i].is_open();
        let entry = self.guard.entry(&key(i).0);
        let state = entry.map(|entry| entry.conn.state());
        let is_over = matches!(state, Some(State::TimeWait | State::Closed));
        segment.flags.contains(TcpFlags::SYN) && (missed || is_over)
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
        self.log(i, seen.flags, None, ruling);
    }

    fn log(&mut self, by: usize, flags: TcpFlags, segment: Option<Segment>, ruling: Ruling) {
        self.log.push(Logged {
            now: self.now,
            by,
            flags,
            segment,
            ruling,
        });
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
        let (key, way) = key(i);
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
        self.log(i, segment.flags, Some(*segment), ruling);
        if ruling.verdict().is_drop() {
            let last = self.log.iter().rev().take(40).rev();
            let lines: Vec<_> = last.map(ToString::to_string).collect();
            return Err(lines.join("\n"));
        }
        Ok(())
    }

    fn sent(&mut self, i: usize, segments: Vec<Segment>) {
        for segment in segments {
            self.hop(i, |s| Event::AtGuard(i, s), segment);
        }
    }

    fn hop(&mut self, i: usize, arrives: impl Fn(Segment) -> Event, segment: Segment) {
        // However bad the luck, it outlasts the memory of no state.
        if (self.draw(1000) as u64) < self.loss && self.lost[i] < MOST_LOST {
            self.lost[i] += 1;
            return;
        }
        self.lost[i] = 0;
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

    /// A number below `bound`.
    fn draw(&mut self, bound: usize) -> usize {
        usize::try_from((self.chance)()).expect("32 bits") % bound
    }
}

impl fmt::Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (now, name, flags) = (self.now, ["orig", "reply"][self.by], self.flags);
        let Some(segment) = self.segment else {
            return write!(
                f,
                "{now:>7} ms forged {name:5} {flags} -> {:?}",
                self.ruling
            );
        };
        let Segment {
            seq,
            ack,
            len,
            window,
            ..
        } = segment;
        let after = self.ruling.after().map_or("-", |state| state.as_str());
        let verdict = self.ruling.verdict();
        write!(
            f,
            "{now:>7} ms {name:5} {flags} {seq} ack {ack} len {len} win {window} -> {verdict:?} {after}"
        )
    }
}

/// Chance that a seed determines (xorshift64*).
pub(crate) fn xorshift(seed: u64) -> Chance {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    Box::new(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let [.., a, b, c, d] = state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    })
}

/// The connection, and which way a segment of peer `i` goes.
fn key(i: usize) -> (FlowKey4, Way) {
    let ends = [(1, 40000), (2, 80)];
    FlowKey4::new(ends[i], ends[1 - i])
}

fn word(number: usize) -> u32 {
    u32::try_from(number).expect("drawn below 2^32")
}
