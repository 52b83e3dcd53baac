//! The same segments through the kernel's own tracker and through ours: where the two disagree, a
//! table has to say why (`disagreements.txt`).
//!
//! The kernel's tracker runs in a namespace and is asked about every single segment. Conversations
//! of sane stacks are compared as they are, and with segments forged into them. What the kernel's
//! tracker calls INVALID, we have to drop; what it lets pass, we have to let pass; and both have to
//! mean the same connection then.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test relies on fails it by panicking"
)]

mod class;
mod forged;
mod honest;
mod ours;
mod peer;
mod random;
mod real;
mod table;

use std::{collections::BTreeMap, fmt::Write as _};

use tcpguard_common::{
    conn::{state::State, time::Ticks},
    flags::TcpFlags,
    segment::Segment,
    seq::SeqNum,
    verdict::Verdict,
};
use xtask::lab::conntrack::{Conntrack, CtState, Observed, Side, entry::Tracked};

use self::{
    class::Class,
    ours::{Guard, Judged, options},
    peer::{Sent, Talk},
    random::Random,
};

const DISAGREEMENTS: &str = include_str!("disagreements.txt");
const PICKED_UP: &str = include_str!("picked_up.txt");

/// Conversations that are compared, by how many segments are forged into each.
const CONVERSATIONS: [(usize, u32); 3] = [(0, 3000), (1, 12_000), (3, 3000)];

/// Disagreements of one class: how many, and the shortest story that led to one.
#[derive(Default)]
struct Cases {
    count: u32,
    shortest: String,
}

impl Cases {
    fn add(&mut self, story: &str) {
        self.count += 1;
        if self.shortest.is_empty() || story.len() < self.shortest.len() {
            story.clone_into(&mut self.shortest);
        }
    }
}

/// The conversation of a number, which is unlike that of any other.
fn talk(number: u32, forged: usize) -> Talk {
    let mut talk = Talk::new(number, Random(u64::from(number)));
    honest::converse(&mut talk, number / 2);
    forged::forge(&mut talk, forged);
    talk
}

/// Both trackers, side by side.
struct Bench {
    kernel: Conntrack,
    ours: Guard,
    seen: BTreeMap<Class, Cases>,
    segments: u32,
}

impl Bench {
    fn new(pick_up: bool) -> Self {
        let kernel = Conntrack::new()
            .unwrap_or_else(|error| panic!("live tests need root and nftables: {error:#}"));
        kernel.pick_up(pick_up).unwrap();
        Self {
            kernel,
            ours: Guard::new(pick_up),
            seen: BTreeMap::new(),
            segments: 0,
        }
    }

    /// Plays a conversation and compares, up to where the two disagree. From there on it is only held
    /// against us if we drop what a sane stack sends, and nothing after a forgery that we believe.
    fn play(&mut self, frames: &[Sent]) {
        let mut story = String::new();
        let mut agreed = true;
        for (now, sent) in (1000..).zip(frames) {
            // Sixteen segments in a tick of a quarter of a second.
            let ours = self.ours.judge(&sent.octets, Ticks(now / 16));
            let kernels = self.kernel.observe(sent.from, &sent.octets).unwrap();
            self.segments += 1;
            story.push_str(&told(sent, ours, kernels));
            let verdict = ours.ruling.verdict();
            let harm = sent.honest && verdict.is_drop();
            if (agreed || harm)
                && let Some(class) = Class::of(sent.honest, ours, kernels)
            {
                agreed = false;
                self.seen.entry(class).or_default().add(&story);
            }
            if !sent.honest && verdict == Verdict::ACCEPT {
                return;
            }
        }
    }

    /// Holds what was seen against the table.
    fn check(&self, table: &str) {
        let mut known = table::read(table);
        let mut complaints = String::new();
        for (class, Cases { count, shortest }) in &self.seen {
            let known = known
                .iter_mut()
                .find(|known| known.explains(&class.to_string()));
            let complaint = match known {
                _ if class.is_harm() => "a good segment is dropped",
                None => "not listed",
                Some(known) => {
                    known.seen += count;
                    continue;
                }
            };
            write!(complaints, "{complaint}: {class} ({count})\n{shortest}").unwrap();
        }
        for known in known.iter().filter(|known| known.seen == 0) {
            writeln!(complaints, "listed, but never seen: {known}").unwrap();
        }
        assert!(complaints.is_empty(), "{complaints}");
    }
}

/// A line of a story.
fn told(sent: &Sent, ours: Judged, kernels: Observed) -> String {
    let Segment {
        flags,
        seq: SeqNum(seq),
        ack: SeqNum(ack),
        window,
        payload_len,
        ..
    } = ours.segment;
    let who = if sent.honest { "" } else { "forged " };
    let name = |state: Option<State>| state.map_or("-", State::as_str);
    let entry = kernels.entry.map_or("-", Tracked::as_str);
    format!(
        "    {who}{:?} {flags} seq {seq} ack {ack} len {payload_len} win {window} options {:?}: \
         {:?}, {} > {} | {}, {entry}\n",
        sent.from,
        options(&sent.octets, &ours.segment),
        ours.ruling.verdict(),
        name(ours.ruling.before()),
        name(ours.ruling.after()),
        kernels.verdict,
    )
}

#[test]
fn every_disagreement_with_the_kernels_tracker_has_a_reason() {
    let mut bench = Bench::new(false);
    let mut number = 0;
    for (forged, count) in CONVERSATIONS {
        for _ in 0..count {
            bench.play(&talk(number, forged).sent());
            number += 1;
        }
    }
    assert!(bench.segments > 300_000, "{}", bench.segments);
    bench.check(DISAGREEMENTS);
}

#[test]
fn what_is_picked_up_in_the_middle_differs_from_the_kernels_pickup_by_a_table() {
    let mut bench = Bench::new(true);
    for number in 0..3000 {
        let mut talk = talk(number, 0);
        let first = 1 + talk.random.below(12) as usize;
        let sent = talk.sent();
        bench.play(sent.get(first..).unwrap_or_default());
    }
    assert!(bench.segments > 30_000, "{}", bench.segments);
    bench.check(PICKED_UP);
}

#[test]
fn the_kernels_tracker_calls_the_same_sets_of_flags_invalid() {
    let mut bench = Bench::new(false);
    for (number, bits) in (0..1024).zip((0..512).cycle()) {
        let mut talk = Talk::new(number, Random(u64::from(number)));
        if number >= 512 {
            // On a connection. Before, there is none.
            honest::open(&mut talk);
        }
        let mut frame = talk.frame(Side::West, "A", 0);
        frame.flags = TcpFlags::new(bits);
        talk.put(Side::West, frame);
        bench.play(&talk.sent());
    }
    bench.check("");
}

#[test]
fn a_wrong_checksum_is_for_the_kernels_tracker_alone() {
    let bench = Bench::new(false);
    let mut syn = Talk::new(0, Random(0)).frame(Side::West, "S", 0).build();
    *syn.last_mut().unwrap() ^= 0xff;
    let kernels = bench.kernel.observe(Side::West, &syn).unwrap();
    assert_eq!(kernels.verdict, CtState::Invalid);
    // XDP cannot see what the hardware has verified, and between virtual machines it is left to the
    // receiver.
    let ours = bench.ours.judge(&syn, Ticks(0));
    assert_eq!(ours.ruling.verdict(), Verdict::ACCEPT);
}

#[test]
fn real_stacks_are_judged_alike() {
    let mut bench = Bench::new(false);
    let frames = real::requests();
    assert!(frames.len() > 1000, "{}", frames.len());
    bench.play(&frames);
    bench.check("");
}
