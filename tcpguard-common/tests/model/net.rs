//! Two peers and the path between them, as a model that can be searched.

use stateright::{Model, Property};
use tcpguard_common::{
    conn::{
        ruling::Ruling,
        seen::{Seen, Voice},
        state::State,
        time::{QUIET, Ticks},
        witness::{LISTEN, Plea, plead},
    },
    reason::Reason,
    seq::SeqNum,
};

use super::{forged::Forged, guard::Guard};
use crate::peer::{Peer, Segment};

/// Where the guard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the host of the first peer: it sees what that one says when it says it, and the kernel knows
    /// its sockets.
    Host,
    /// Between both, and nobody else knows anything.
    Router,
}

/// What can happen at most.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) place: Place,
    pub(crate) opens: [bool; 2],
    /// Octets that each peer has to say.
    pub(crate) totals: [u32; 2],
    /// Octets that each has room for.
    pub(crate) buffer: u32,
    /// How many different segments of a peer are under way at once on either side of the guard; what comes
    /// on top is lost.
    pub(crate) room: usize,
    /// How often each peer may send something again.
    pub(crate) resends: u8,
    /// How many segments the path may double.
    pub(crate) doubles: u8,
    /// How many forged segments may change what the guard remembers.
    pub(crate) forgeries: u8,
    /// How often nothing happens for longer than the guard is sure.
    pub(crate) pauses: u8,
}

/// One moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Net {
    pub(crate) peers: [Peer; 2],
    pub(crate) guard: Guard,
    /// What is on its way to the guard, and from there on, by sender.
    before: [Vec<Segment>; 2],
    behind: [Vec<Segment>; 2],
    now: Ticks,
    resends: [u8; 2],
    doubles: u8,
    forgeries: u8,
    pauses: u8,
    /// Why a segment of a peer was dropped.
    pub(crate) harm: Option<Reason>,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// A peer's user opens the connection.
    Open(usize),
    Write(usize),
    Read(usize),
    /// A peer's retransmission timer runs out.
    Resend(usize),
    /// A segment of this peer comes to the guard, and is there twice if the path has doubled it.
    Guard(usize, Segment, bool),
    /// It comes to the other peer.
    Arrive(usize, Segment, bool),
    /// It is lost, before the guard or behind.
    Lose(usize, Segment),
    Forge(Forged),
    Pause,
}

impl Model for World {
    type State = Net;
    type Action = Step;

    fn init_states(&self) -> Vec<Net> {
        vec![Net::new(self)]
    }

    fn actions(&self, net: &Net, steps: &mut Vec<Step>) {
        for i in 0..2 {
            net.steps_of(i, self, steps);
        }
        if net.forgeries > 0 {
            steps.extend(Forged::blind().map(Step::Forge));
        }
        if net.pauses > 0 {
            steps.push(Step::Pause);
        }
    }

    fn next_state(&self, net: &Net, step: Step) -> Option<Net> {
        let mut after = net.clone();
        after.take(self, step);
        (after != *net).then_some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no segment of a peer is dropped", |_, net: &Net| {
                net.harm.is_none()
            }),
            Property::always(
                "what lies beyond the windows changes nothing",
                |_, net: &Net| net.is_indifferent(),
            ),
            Property::sometimes("a connection is closed", |_, net: &Net| {
                let conn = net.guard.0;
                conn.is_some_and(|conn| conn.state() == State::TimeWait)
            }),
            Property::sometimes("both peers come to their end", |_, net: &Net| {
                net.peers.iter().all(Peer::is_done)
            }),
        ]
    }

    fn within_boundary(&self, net: &Net) -> bool {
        net.harm.is_none()
    }
}

impl Net {
    fn new(world: &World) -> Self {
        // Numbers that wrap early, and that cross half of the space.
        let isns = [u32::MAX - 500, (1 << 31) - 500];
        let peer =
            |i: usize| Peer::new(isns[i], world.totals[i], world.opens[i], world.buffer).silent();
        Self {
            peers: [peer(0), peer(1)],
            guard: Guard::default(),
            before: Default::default(),
            behind: Default::default(),
            now: Ticks(0),
            resends: [world.resends; 2],
            doubles: world.doubles,
            forgeries: world.forgeries,
            pauses: world.pauses,
            harm: None,
        }
    }

    fn steps_of(&self, i: usize, world: &World, steps: &mut Vec<Step>) {
        let peer = &self.peers[i];
        if peer.next() == 0 && world.opens[i] {
            steps.push(Step::Open(i));
        } else if peer.alarm.is_some() && self.resends[i] > 0 {
            steps.push(Step::Resend(i));
        }
        if peer.may_write() {
            steps.push(Step::Write(i));
        }
        if peer.may_read() {
            steps.push(Step::Read(i));
        }
        let legs = [&self.before[i], &self.behind[i]];
        for doubled in [false, true]
            .into_iter()
            .take(1 + usize::from(self.doubles > 0))
        {
            let guard = |segment: &Segment| Step::Guard(i, *segment, doubled);
            steps.extend(legs[0].iter().map(guard));
            let arrive = |segment: &Segment| Step::Arrive(i, *segment, doubled);
            steps.extend(legs[1].iter().map(arrive));
        }
        for leg in legs.into_iter().filter(|leg| leg.len() == world.room) {
            steps.extend(leg.iter().map(|segment| Step::Lose(i, *segment)));
        }
    }

    fn take(&mut self, world: &World, step: Step) {
        let mut out = Vec::new();
        match step {
            Step::Open(i) => self.peers[i].retransmit(0, &mut out),
            Step::Write(i) => self.peers[i].write(&mut out),
            Step::Read(i) => self.peers[i].read(&mut out),
            Step::Resend(i) => {
                self.resends[i] -= 1;
                self.peers[i].retransmit(0, &mut out);
            }
            Step::Guard(i, segment, doubled) => {
                self.leave(doubled, |net| &mut net.before[i], &segment);
                self.judge(world, i, &segment);
            }
            Step::Arrive(i, segment, doubled) => {
                self.leave(doubled, |net| &mut net.behind[i], &segment);
                self.arrive(world, i, &segment);
            }
            Step::Lose(i, segment) => {
                self.before[i].retain(|there| *there != segment);
                self.behind[i].retain(|there| *there != segment);
            }
            Step::Forge(forged) => self.forge(world, &forged),
            Step::Pause => {
                self.pauses -= 1;
                self.now.0 += QUIET + 1;
            }
        }
        if let Step::Open(i) | Step::Write(i) | Step::Read(i) | Step::Resend(i) = step {
            self.send(world, i, out);
        }
    }

    /// Takes a segment off the path, unless it is there twice.
    fn leave(
        &mut self,
        doubled: bool,
        leg: impl Fn(&mut Self) -> &mut Vec<Segment>,
        segment: &Segment,
    ) {
        if doubled {
            self.doubles -= 1;
        } else {
            leg(self).retain(|there| there != segment);
        }
    }

    fn send(&mut self, world: &World, i: usize, segments: Vec<Segment>) {
        self.peers[i].settle();
        for segment in segments {
            if world.place == Place::Host && i == 0 {
                self.judge(world, i, &segment);
            } else {
                put(world, &mut self.before[i], segment);
            }
        }
    }

    /// A segment of peer `i` is at the guard.
    fn judge(&mut self, world: &World, i: usize, segment: &Segment) {
        let voice = match (world.place, i) {
            (Place::Host, 0) => Voice::LOCAL,
            _ => Voice::FOREIGN,
        };
        let seen = Seen {
            voice,
            ..segment.seen(self.peers[i].isn, self.peers[1 - i].isn)
        };
        let verdict = self.ask(world, i, seen).verdict();
        if verdict.is_drop() {
            self.harm = verdict.reason();
        } else if world.place == Place::Host && i == 1 {
            self.arrive(world, i, segment);
        } else {
            put(world, &mut self.behind[i], *segment);
        }
    }

    fn ask(&mut self, world: &World, i: usize, seen: Seen) -> Ruling {
        let seen = Seen {
            now: self.now,
            ..seen
        };
        let socket = socket(&self.peers[0]);
        self.guard.decide(i, &seen, || match world.place {
            Place::Host => plead(&seen, socket),
            Place::Router => Plea::Refuse,
        })
    }
    fn arrive(&mut self, world: &World, i: usize, segment: &Segment) {
        let mut out = Vec::new();
        self.peers[1 - i].take(segment, 0, &mut out);
        self.send(world, 1 - i, out);
    }

    /// Whether the peers take what passes is not asked: they would answer it like a duplicate.
    fn forge(&mut self, world: &World, forged: &Forged) {
        let before = self.guard;
        let _ = self.ask(world, forged.by, forged.seen(self.isns()));
        self.forgeries -= u8::from(self.guard != before);
    }

    /// Whether what is forged beyond the windows leaves the guard as it is.
    fn is_indifferent(&self) -> bool {
        if self.guard.sure(self.now).is_none() {
            return true;
        }
        (0..2).all(|i| {
            Forged::beyond(i, &self.peers[i], &self.peers[1 - i]).all(|forged| {
                let mut guard = self.guard;
                let seen = Seen {
                    now: self.now,
                    ..forged.seen(self.isns())
                };
                let _ = guard.decide(i, &seen, || Plea::Refuse);
                guard == self.guard
            })
        })
    }

    fn isns(&self) -> [SeqNum; 2] {
        [self.peers[0].isn, self.peers[1].isn]
    }
}

/// Adds a segment to others in an order that does not tell which came first.
fn put(world: &World, leg: &mut Vec<Segment>, segment: Segment) {
    if leg.len() == world.room || leg.contains(&segment) {
        return;
    }
    leg.push(segment);
    leg.sort_unstable_by_key(|s| (s.seq, s.ack, s.len, s.flags.bits(), s.window));
}

/// The state of a host's socket, by the kernel's numbers (`include/net/tcp_states.h`).
fn socket(peer: &Peer) -> u32 {
    const ESTABLISHED: u32 = 1;
    const SYN_SENT: u32 = 2;
    const TIME_WAIT: u32 = 6;
    const NEW_SYN_RECV: u32 = 12;
    if peer.is_gone() {
        0
    } else if peer.is_done() {
        TIME_WAIT
    } else if peer.is_open() {
        ESTABLISHED
    } else if peer.expected() > 0 {
        NEW_SYN_RECV
    } else if peer.next() > 0 {
        SYN_SENT
    } else {
        LISTEN
    }
}
