//! Conversations that nobody thought of: a few dozen at once, most of whose segments are right and
//! some of whose are not.

use std::collections::HashSet;

use tcpguard::{
    cli::Pickup,
    engine::{Frame, Rules},
};
use tcpguard_common::{
    conn::{
        ruling::Ruling,
        state::State,
        time::{SECOND, Ticks},
    },
    craft::TcpFrame,
    flags::TcpFlags,
    parse::Link,
    policy::Policy,
    reason::Reason,
    verdict::{Verdict, VerdictKind},
};

use crate::{Engines, random::XorShift};

/// Segments of a test.
const SEGMENTS: usize = 20_000;
/// Connections of each version of IP.
const CONNECTIONS: usize = 16;

const SYN_ACK: TcpFlags = TcpFlags::SYN.with(TcpFlags::ACK);
const FIN_ACK: TcpFlags = TcpFlags::FIN.with(TcpFlags::ACK);
const RST_ACK: TcpFlags = TcpFlags::RST.with(TcpFlags::ACK);

/// One end, as far as its own numbers go.
#[derive(Clone, Copy, Default)]
struct End {
    isn: u32,
    next: u32,
}

/// Two ends that may or may not talk as they should.
pub(crate) struct Conversation {
    frame: TcpFrame,
    ends: [End; 2],
}

impl Conversation {
    pub(crate) fn every() -> Vec<Self> {
        let of = |frame: TcpFrame| {
            (0..CONNECTIONS).map(move |number| {
                let mut frame = frame.clone();
                frame.ports.0 = 2000 + u16::try_from(number).unwrap();
                if number % 2 == 1 {
                    (frame.source, frame.destination) = (frame.destination, frame.source);
                }
                Self {
                    frame,
                    ends: [End::default(); 2],
                }
            })
        };
        of(TcpFrame::ipv4()).chain(of(TcpFrame::ipv6())).collect()
    }

    /// The next segment of either end.
    pub(crate) fn say(&mut self, random: &mut XorShift) -> Vec<u8> {
        let by = random.below(2);
        let mut frame = self.frame.clone();
        if by == 1 {
            (frame.source, frame.destination) = (frame.destination, frame.source);
            frame.ports = (frame.ports.1, frame.ports.0);
        }
        let other = self.ends[1 - by];
        frame.ack = other.next;
        frame.window = [0, 1, 500, 8000, 65_535][random.below(5)];
        self.ends[by].choose(&mut frame, other, random);
        if random.below(8) == 0 {
            distort(&mut frame, random);
        }
        if frame.flags.contains(TcpFlags::ACK) || random.below(4) == 0 {
            add_options(&mut frame, random);
        }
        frame.build()
    }
}

impl End {
    /// What a stack might send at some time: most of all data, now and then a turn.
    fn choose(&mut self, frame: &mut TcpFrame, other: Self, random: &mut XorShift) {
        let mut payload = 0;
        frame.seq = self.next;
        frame.flags = TcpFlags::ACK;
        match random.below(24) {
            0 | 1 => {
                self.isn = number(random);
                self.next = self.isn.wrapping_add(1);
                (frame.flags, frame.seq, frame.ack) = (TcpFlags::SYN, self.isn, 0);
                payload = [0, 0, 0, 10][random.below(4)];
            }
            2..=4 => {
                self.isn = number(random);
                self.next = self.isn.wrapping_add(1);
                (frame.flags, frame.seq) = (SYN_ACK, self.isn);
            }
            5 | 6 => {
                frame.flags = FIN_ACK;
                self.next = self.next.wrapping_add(1);
            }
            7 => frame.flags = [TcpFlags::RST, RST_ACK][random.below(2)],
            8 => frame.seq = self.isn,
            9 => frame.ack = other.isn.wrapping_add(1),
            10..=16 => payload = [1, 100, 1448][random.below(3)],
            _ => {}
        }
        if payload > 0 {
            self.next = self.next.wrapping_add(payload);
            frame.payload = vec![b'x'; payload as usize];
        }
    }
}

/// Often where numbers wrap.
fn number(random: &mut XorShift) -> u32 {
    let near = u32::try_from(random.below(2000)).unwrap();
    match random.below(4) {
        0 => near.wrapping_sub(1000),
        1 => (1 << 31) + near - 1000,
        _ => near * 2_000_003,
    }
}

/// Makes a lie of a segment, or an old one, or one of another stack.
fn distort(frame: &mut TcpFrame, random: &mut XorShift) {
    let by = [1, 10, 60_000, 100_000, 200_000, 1 << 24, 1 << 30][random.below(7)];
    let by = if random.below(2) == 0 {
        by
    } else {
        u32::wrapping_neg(by)
    };
    match random.below(5) {
        0 | 1 => frame.seq = frame.seq.wrapping_add(by),
        2 | 3 => frame.ack = frame.ack.wrapping_add(by),
        _ => frame.flags = TcpFlags::new(u16::try_from(random.below(512)).unwrap()),
    }
}

/// Window scale, time stamps, SACK blocks or what looks like an option.
fn add_options(frame: &mut TcpFrame, random: &mut XorShift) {
    let scale = [1, 3, 3, u8::try_from(random.below(16)).unwrap()];
    let stamps = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    frame.options = match random.below(8) {
        0 | 1 => scale.to_vec(),
        2 => [&stamps[..], &scale].concat(),
        3 => stamps.to_vec(),
        4 => [&stamps[..], &sack(frame.ack, random)].concat(),
        5 => sack(frame.ack, random),
        6 => {
            let octets = random.next().to_le_bytes();
            [&octets[..4 * random.below(3)], &sack(frame.ack, random)].concat()
        }
        _ => Vec::new(),
    };
}

/// One or two blocks behind an acknowledgment, seldom far behind.
fn sack(ack: u32, random: &mut XorShift) -> Vec<u8> {
    let blocks = 1 + random.below(2);
    let mut octets = vec![1, 1, 5, u8::try_from(2 + 8 * blocks).unwrap()];
    for _ in 0..blocks {
        let reach = [100, 100, 3000, 200_000][random.below(4)];
        let left = ack.wrapping_add(u32::try_from(random.below(reach)).unwrap());
        let right = left.wrapping_add(u32::try_from(random.below(reach)).unwrap());
        octets.extend_from_slice(&left.to_be_bytes());
        octets.extend_from_slice(&right.to_be_bytes());
    }
    octets
}

/// Ticks until the next segment: seldom long enough that something is forgotten.
pub(crate) fn pause(random: &mut XorShift) -> u32 {
    const HOUR: u32 = 3600 * SECOND;
    match random.below(1000) {
        0 => 6 * 24 * HOUR,
        1 => 13 * HOUR,
        2..=4 => 301 * SECOND,
        5..=10 => 61 * SECOND,
        11..=30 => 11 * SECOND,
        31..=300 => 1,
        _ => 0,
    }
}

/// What came of a test, to know that chance went everywhere.
#[derive(Default)]
struct Reached {
    states: HashSet<State>,
    verdicts: HashSet<Verdict>,
    resync: bool,
}

fn converse(pickup: Pickup, seed: u64) -> Reached {
    let mut engines = Engines::under(Rules::tracking(Policy::ENFORCE, pickup));
    let mut random = XorShift(seed);
    let mut conversations = Conversation::every();
    let mut reached = Reached::default();
    // It wraps on the way.
    let mut now = Ticks(u32::MAX - 100_000);
    for segment in 0..SEGMENTS {
        // A few at a time, so that most get somewhere before something goes wrong.
        let active = (segment / 200 + random.below(4)) % conversations.len();
        now.0 = now.0.wrapping_add(pause(&mut random));
        let octets = conversations[active].say(&mut random);
        let frame = Frame {
            now,
            ..Frame::whole(Link::Ethernet, &octets)
        };
        let name = format!("segment {segment} of seed {seed:#x}");
        let judgement = engines.adjudicate(&name, &frame);
        let ruling = Ruling::from_trusted_bits(judgement.ruling);
        reached.states.extend(ruling.after());
        let verdict = Verdict::from_cell(judgement.cell.into());
        reached.verdicts.insert(verdict.unwrap());
    }
    engines.counters();
    let events = engines.events();
    assert_eq!(events.adopted > 0, pickup == Pickup::Always);
    reached.resync = events.resync > 0;
    reached
}

#[test]
fn kernel_and_host_agree_on_conversations_by_chance() {
    let reached = converse(Pickup::Never, 0x9e37_79b9_7f4a_7c15);
    for state in State::ALL {
        assert!(reached.states.contains(&state), "{}", state.as_str());
    }
    let of_the_tracker = Reason::SynackBadAck as usize..=Reason::RstOutOfWindow as usize;
    for reason in Reason::ALL[of_the_tracker].iter().copied() {
        let dropped = Verdict::dropped(reason);
        assert!(reached.verdicts.contains(&dropped), "{reason}");
    }
    let ignored = |verdict: &Verdict| verdict.kind() == VerdictKind::Ignore;
    assert!(reached.verdicts.iter().any(ignored));
    assert!(reached.resync);
}

#[test]
fn kernel_and_host_agree_on_conversations_that_are_picked_up() {
    converse(Pickup::Always, 0x0123_4567_89ab_cdef);
}
