//! Segments that nobody in the conversation has sent: old, made up, or by somebody else.

use tcpguard_common::craft::TcpFrame;
use xtask::lab::conntrack::Side;

use super::peer::{Peer, Step, Talk, Who};

/// How far a number is from the one that comes next, in octets or, times 1000, in windows.
const DISTANCES: [i64; 22] = [
    0,
    0,
    0,
    0,
    1,
    -1,
    2,
    500,
    -500,
    1400,
    -1400,
    -5000,
    66_000,
    -66_000,
    -70_000,
    140_000,
    -140_000,
    1_000_000_000,
    -1_000_000_000,
    1 << 31,
    100_000_000,
    -100_000_000,
];
const FLAGS: [&str; 12] = [
    "S", "S", "SA", "SA", "A", "PA", "PA", "FA", "R", "R", "RA", "RA",
];

/// Puts `count` forged segments into a conversation, each by the numbers that hold at its place.
pub(crate) fn forge(talk: &mut Talk, count: usize) {
    for _ in 0..count {
        let places = u32::try_from(talk.steps.len()).expect("a short conversation");
        let place = talk.random.below(places + 1) as usize;
        let peers = talk.history.get(place).copied().unwrap_or(talk.peers);
        let from = talk.random.pick(&[Side::West, Side::East]);
        let frame = forged(talk, from, peers);
        talk.history.insert(place, peers);
        talk.steps.insert(
            place,
            Step {
                from,
                frame,
                who: Who::Forged,
            },
        );
    }
}

fn forged(talk: &mut Talk, from: Side, peers: [Peer; 2]) -> TcpFrame {
    let flags = talk.random.pick(&FLAGS);
    let len = match flags {
        "PA" => 1 + talk.random.below(1400),
        "R" | "RA" | "A" => 0,
        _ if talk.random.once_in(8) => talk.random.below(100),
        _ => 0,
    };
    let mut frame = talk.frame(from, flags, len);
    let (me, other) = (peers[from as usize], peers[from.opposite() as usize]);
    let window = u32::from(other.window) << talk.scale(from.opposite());
    let syn = flags.contains('S');
    let begin = if syn && talk.random.once_in(2) {
        me.isn
    } else {
        me.next
    };
    frame.seq = begin.wrapping_add(distance(talk, window));
    let next = if talk.random.once_in(3) {
        other.next
    } else {
        me.expects
    };
    if flags.contains('A') {
        frame.ack = next.wrapping_add(distance(talk, window));
    }
    if flags.starts_with('R') && talk.random.once_in(6) {
        frame.seq = 0;
    }
    if talk.random.once_in(10) {
        frame.window = talk.random.pick(&[0, 1, 65_535]);
    }
    frame
}

fn distance(talk: &mut Talk, window: u32) -> u32 {
    match talk.random.below(8) {
        0 => window,
        1 => window.wrapping_add(1),
        2 => {
            let bits = talk.random.below(32);
            talk.random.word() >> bits
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "distances wrap as sequence numbers do"
        )]
        _ => talk.random.pick(&DISTANCES) as u32,
    }
}
