//! Two sane stacks that talk to each other: what they send is what no tracker may object to.

use std::time::Duration;

use tcpguard_common::{craft::TcpFrame, flags::TcpFlags};
use xtask::lab::conntrack::Side;

use super::random::Random;

/// Time from one segment to the next.
const PACE: Duration = Duration::from_millis(16);
/// The second host behind either end; the first is the router.
const HOST: u8 = 2;

/// One side of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// ISS
    pub(crate) isn: u32,
    /// SND.NXT
    pub(crate) next: u32,
    /// RCV.NXT, and what it acknowledges.
    pub(crate) expects: u32,
    /// The window as it stands in its segments.
    pub(crate) window: u16,
    /// One behind the last octet that it has offered room for.
    pub(crate) edge: u32,
    /// The window scale that it offers.
    pub(crate) scale: Option<u8>,
    /// Whether it offers SACK.
    pub(crate) sack: bool,
}

/// Whose idea a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// That of a sane stack in its state.
    Honest,
    /// The same, after a forged segment.
    After,
    /// That of nobody in the conversation.
    Forged,
    /// That of a scenario.
    Told,
}

impl Who {
    /// Whether it may not be dropped.
    pub(crate) const fn is_sane(self) -> bool {
        matches!(self, Self::Honest | Self::After)
    }
}

/// A segment, which way it goes, and whose idea it is.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) from: Side,
    pub(crate) frame: TcpFrame,
    pub(crate) who: Who,
}

/// A frame as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) from: Side,
    pub(crate) octets: Vec<u8>,
    pub(crate) who: Who,
    /// Since some start.
    pub(crate) now: Duration,
}

/// A connection in the making: every segment that was sent on it so far.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) random: Random,
    pub(crate) peers: [Peer; 2],
    pub(crate) steps: Vec<Step>,
    /// Both peers as they were before each step.
    pub(crate) history: Vec<[Peer; 2]>,
    family: usize,
    port: u16,
}

impl Talk {
    /// Both sides closed. `number` is unlike that of any other, below 2^16.
    pub(crate) fn new(number: u32, mut random: Random) -> Self {
        let peers = [random_peer(&mut random), random_peer(&mut random)];
        #[expect(clippy::cast_possible_truncation, reason = "sixteen bits are left")]
        let port = 1024 + (number >> 1) as u16;
        Self {
            random,
            peers,
            steps: Vec::new(),
            history: Vec::new(),
            family: number as usize & 1,
            port,
        }
    }

    /// Everything that was said, as it is sent.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        let sent = |(number, step): (u32, &Step)| Sent {
            from: step.from,
            octets: step.frame.build(),
            who: step.who,
            now: PACE * number,
        };
        (0..).zip(&self.steps).map(sent).collect()
    }

    pub(crate) fn peer(&mut self, side: Side) -> &mut Peer {
        &mut self.peers[side as usize]
    }

    /// The scale that both agreed on for the windows of a side.
    pub(crate) fn scale(&self, side: Side) -> u8 {
        match (self.peers[0].scale, self.peers[1].scale) {
            (Some(_), Some(_)) => self.peers[side as usize].scale.unwrap_or(0).min(14),
            _ => 0,
        }
    }

    /// Octets that a side may have in flight now.
    pub(crate) fn room(&self, from: Side) -> u32 {
        let (me, other) = (
            self.peers[from as usize],
            self.peers[from.opposite() as usize],
        );
        let room = other.edge.wrapping_sub(me.next);
        // An edge that has moved back leaves more in flight than there is room for.
        if room > i32::MAX as u32 { 0 } else { room }
    }

    /// A frame with the numbers that come next.
    pub(crate) fn frame(&self, from: Side, flags: &str, len: u32) -> TcpFrame {
        let [source, destination] =
            [from, from.opposite()].map(|side| side.addresses(HOST)[self.family]);
        let flags: TcpFlags = flags.parse().expect("letters of flags");
        let mut frame = TcpFrame::between(source, destination).with_flags(flags);
        frame.ports = match from {
            Side::West => (self.port, 80),
            Side::East => (80, self.port),
        };
        let me = self.peers[from as usize];
        frame.seq = me.next;
        frame.ack = if flags.contains(TcpFlags::ACK) {
            me.expects
        } else {
            0
        };
        frame.window = me.window;
        frame.payload = vec![b'.'; len as usize];
        if flags.contains(TcpFlags::SYN) {
            frame.seq = me.isn;
            frame.options = syn_options(&me);
        }
        frame
    }

    /// Sends a frame that changes nothing at its sender but the room that it offers.
    pub(crate) fn put(&mut self, from: Side, frame: TcpFrame) {
        self.history.push(self.peers);
        let syn = frame.flags.contains(TcpFlags::SYN);
        let window = u32::from(frame.window) << if syn { 0 } else { self.scale(from) };
        let other = self.peers[from.opposite() as usize];
        let next = if frame.flags.contains(TcpFlags::ACK) {
            frame.ack
        } else {
            other.isn.wrapping_add(1)
        };
        if !frame.flags.contains(TcpFlags::RST) {
            self.peer(from).edge = next.wrapping_add(window);
        }
        self.steps.push(Step {
            from,
            frame,
            who: Who::Honest,
        });
    }

    /// Sends the next octets, SYN and FIN of a side.
    pub(crate) fn send(&mut self, from: Side, flags: &str, len: u32) {
        let frame = self.frame(from, flags, len);
        self.put(from, frame);
        let turns = u32::from(flags.contains('S')) + u32::from(flags.contains('F'));
        let me = self.peer(from);
        if flags.contains('S') {
            me.next = me.isn;
        }
        me.next = me.next.wrapping_add(len + turns);
    }

    /// A side gets everything that the other has sent.
    pub(crate) fn hear(&mut self, side: Side) {
        self.peer(side).expects = self.peers[side.opposite() as usize].next;
    }

    /// It gets that and says so.
    pub(crate) fn acknowledge(&mut self, side: Side) {
        self.hear(side);
        self.send(side, "A", 0);
    }

    /// Sends something again that was sent before.
    pub(crate) fn again(&mut self, back: usize) {
        if let Some(index) = self.steps.len().checked_sub(back) {
            self.history.push(self.peers);
            self.steps.push(self.steps[index].clone());
        }
    }
}

fn random_peer(random: &mut Random) -> Peer {
    // Often near the wrap, where comparisons go wrong.
    let isn = match random.below(3) {
        0 => u32::MAX - random.below(3000),
        1 => 0x7fff_ffff - random.below(3000),
        _ => random.word(),
    };
    Peer {
        isn,
        next: isn,
        expects: 0,
        edge: 0,
        window: random.pick(&[512, 1000, 5840, 14600, 64240, 65535]),
        scale: random.pick(&[None, Some(0), Some(2), Some(7), Some(14), Some(15)]),
        sack: !random.once_in(4),
    }
}

fn syn_options(peer: &Peer) -> Vec<u8> {
    let mut options = vec![2, 4, 0x05, 0xb4];
    if peer.sack {
        options.extend([4, 2, 1, 1]);
    }
    if let Some(scale) = peer.scale {
        options.extend([1, 3, 3, scale]);
    }
    options
}
