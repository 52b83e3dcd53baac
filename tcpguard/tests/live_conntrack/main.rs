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
#[expect(
    dead_code,
    reason = "what is right for each segment is for others to check"
)]
#[path = "../../../tcpguard-common/tests/scenarios/mod.rs"]
mod scenarios;
mod table;
mod told;

use std::{collections::BTreeMap, fmt::Write as _};

use tcpguard::cli::Pickup;
use tcpguard_common::{abi::Adjudication, conn::state::State, flags::TcpFlags, verdict::Verdict};
use xtask::lab::conntrack::{Conntrack, CtState, Observed, Side, entry::Tracked};

use self::{
    class::Class,
    ours::{Guard, Judged},
    peer::{Sent, Talk, Who},
    random::Random,
    table::Known,
};

const DISAGREEMENTS: &str = include_str!("disagreements.txt");
const PICKED_UP: &str = include_str!("picked_up.txt");

/// Conversations that are compared, by how many segments are forged into each.
const CONVERSATIONS: [(usize, u32); 3] = [(0, 2000), (1, 12_000), (3, 3000)];

/// Disagreements of one class: how many, and the shortest story that led to one.
#[derive(Default)]
struct Cases {
    count: u32,
    shortest: Vec<String>,
}

impl Cases {
    fn add(&mut self, title: &str, told: &[(&Sent, Judged, Observed)]) {
        self.count += 1;
        if self.shortest.is_empty() || told.len() < self.shortest.len() {
            let lines = told
                .iter()
                .map(|(sent, ours, kernels)| line(sent, ours, *kernels));
            self.shortest = vec![format!("  conversation {title}")];
            self.shortest.extend(lines);
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
    fn new(pickup: Pickup) -> Self {
        let kernel = Conntrack::new()
            .unwrap_or_else(|error| panic!("live tests need root and nftables: {error:#}"));
        kernel.pick_up(pickup == Pickup::Always).unwrap();
        Self {
            kernel,
            ours: Guard::new(pickup),
            seen: BTreeMap::new(),
            segments: 0,
        }
    }

    /// Plays a conversation and compares, up to where the two disagree. From there on it is only held
    /// against us if we drop what a sane stack sends, and nothing after a forgery that we believe.
    fn play(&mut self, title: &str, frames: &[Sent]) {
        let mut told = Vec::new();
        let (mut agreed, mut forged) = (true, false);
        self.ours.begin();
        for sent in frames {
            let ours = self.ours.judge(sent);
            let kernels = self.kernel.observe(sent.from, &sent.octets).unwrap();
            self.segments += 1;
            told.push((sent, ours, kernels));
            let verdict = ours.verdict;
            let who = if forged && sent.who == Who::Honest {
                Who::After
            } else {
                sent.who
            };
            let harm = who.is_sane() && verdict.is_drop();
            if (agreed || harm)
                && let Some(class) = Class::of(who, &ours, kernels)
            {
                agreed = false;
                self.seen.entry(class).or_default().add(title, &told);
            }
            forged |= sent.who == Who::Forged;
            if sent.who == Who::Forged && verdict == Verdict::ACCEPT {
                return;
            }
        }
    }

    /// Holds what was seen against a table, of which every line has to be of use.
    fn check(&self, table: &str) {
        let mut known = table::read(table);
        let mut complaints = self.complaints(&mut known);
        for known in known.iter().filter(|known| known.seen == 0) {
            writeln!(complaints, "listed, but never seen: {known}").unwrap();
        }
        assert!(complaints.is_empty(), "{complaints}");
    }

    /// What is not in a table, or must not be in any.
    fn complaints(&self, known: &mut [Known<'_>]) -> String {
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
            writeln!(complaints, "{complaint}: {class} ({count})").unwrap();
            writeln!(complaints, "{}", shortest.join("\n")).unwrap();
        }
        complaints
    }
}

/// A line of a story.
fn line(sent: &Sent, ours: &Judged, kernels: Observed) -> String {
    let Adjudication {
        flags,
        seq,
        ack,
        window,
        payload_len,
        ..
    } = ours.segment;
    let flags = TcpFlags::new(flags);
    let who = if sent.who == Who::Forged {
        "forged "
    } else {
        ""
    };
    let name = |state: Option<State>| state.map_or("-", State::as_str);
    let entry = kernels.entry.map_or("-", Tracked::as_str);
    format!(
        "    {who}{:?} {flags} seq {seq} ack {ack} len {payload_len} win {window}: {:?}, {} > {} | \
         {}, {entry}",
        sent.from,
        ours.verdict,
        name(ours.before()),
        name(ours.after()),
        kernels.verdict,
    )
}

#[test]
fn every_disagreement_with_the_kernels_tracker_has_a_reason() {
    let mut bench = Bench::new(Pickup::Never);
    let mut number = 0;
    for (forged, count) in CONVERSATIONS {
        for _ in 0..count {
            bench.play(&number.to_string(), &talk(number, forged).sent());
            number += 1;
        }
    }
    assert!(bench.segments > 200_000, "{}", bench.segments);
    bench.check(DISAGREEMENTS);
}

#[test]
fn what_is_picked_up_in_the_middle_differs_from_the_kernels_pickup_by_a_table() {
    let mut bench = Bench::new(Pickup::Always);
    for number in 0..2000 {
        let mut talk = talk(number, 0);
        let first = 1 + talk.random.below(12) as usize;
        let sent = talk.sent();
        bench.play(&number.to_string(), sent.get(first..).unwrap_or_default());
    }
    assert!(bench.segments > 20_000, "{}", bench.segments);
    bench.check(PICKED_UP);
}

#[test]
fn the_kernels_tracker_calls_the_same_sets_of_flags_invalid() {
    let mut bench = Bench::new(Pickup::Never);
    for (number, bits) in (0..1024).zip((0..512).cycle()) {
        let mut talk = Talk::new(number, Random(u64::from(number)));
        if number >= 512 {
            // On a connection. Before, there is none.
            honest::open(&mut talk);
        }
        let mut frame = talk.frame(Side::West, "A", 0);
        frame.flags = TcpFlags::new(bits);
        talk.put(Side::West, frame);
        bench.play(&number.to_string(), &talk.sent());
    }
    bench.check("");
}

#[test]
fn a_wrong_checksum_is_for_the_kernels_tracker_alone() {
    let mut bench = Bench::new(Pickup::Never);
    let mut talk = Talk::new(0, Random(0));
    talk.send(Side::West, "S", 0);
    let mut syn = talk.sent().remove(0);
    *syn.octets.last_mut().unwrap() ^= 0xff;
    let kernels = bench.kernel.observe(syn.from, &syn.octets).unwrap();
    assert_eq!(kernels.verdict, CtState::Invalid);
    // XDP cannot see what the hardware has verified, and between virtual machines it is left to the
    // receiver.
    assert_eq!(bench.ours.judge(&syn).verdict, Verdict::ACCEPT);
}

#[test]
fn real_stacks_are_judged_alike() {
    let mut bench = Bench::new(Pickup::Never);
    let frames = real::requests();
    assert!(frames.len() > 1000, "{}", frames.len());
    bench.play("requests", &frames);
    bench.check("");
}

#[test]
fn every_disagreement_about_a_scenario_has_a_reason() {
    let mut benches = [Bench::new(Pickup::Never), Bench::new(Pickup::Always)];
    for told in told::every() {
        benches[usize::from(told.picks_up)].play(&told.name, &told.frames);
    }
    let tables = DISAGREEMENTS.to_owned() + PICKED_UP;
    for bench in &benches {
        let complaints = bench.complaints(&mut table::read(&tables));
        assert!(complaints.is_empty(), "{complaints}");
    }
}
