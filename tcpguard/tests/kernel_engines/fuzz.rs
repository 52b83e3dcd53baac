//! Both engines against each other for as long as one likes: `cargo xtask fuzz engines`.
//!
//! Segments of conversations by chance, some of them mutated, and mutated vectors. The first answer that
//! differs ends it, with the shortest sequence of frames found that still makes it differ.

use std::{env, fmt::Write as _, mem, thread, time::Instant};

use tcpguard::{
    cli::Pickup,
    engine::{Engine as _, Frame, Rules},
};
use tcpguard_common::{conn::time::Ticks, parse::Link, policy::Policy};

use crate::{
    Engines,
    conversations::{Conversation, pause},
    mutated::mutated,
    random::XorShift,
    vectors::{self, Vector},
};

/// Frames before both begin anew, with empty tables; all counters are compared then.
const ROUND: u64 = 100_000;

/// One frame, and when it comes.
struct Sent {
    link: Link,
    octets: Vec<u8>,
    now: Ticks,
}

impl Sent {
    fn frame(&self) -> Frame<'_> {
        Frame {
            now: self.now,
            ..Frame::whole(self.link, &self.octets)
        }
    }
}

#[test]
fn kernel_and_host_agree_on_whatever_comes() {
    let frames = variable("TCPGUARD_FUZZ_FRAMES", 2 * ROUND);
    let seed = variable("TCPGUARD_FUZZ_SEED", 1);
    let start = Instant::now();
    let cpus = thread::available_parallelism().map_or(1, usize::from) as u64;
    thread::scope(|scope| {
        for cpu in 0..cpus {
            scope.spawn(move || {
                for round in (cpu..frames.div_ceil(ROUND)).step_by(usize::try_from(cpus).unwrap()) {
                    hold(seed + round, ROUND.min(frames - round * ROUND));
                }
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    println!("{frames} frames from seed {seed} on, no difference, {seconds:.0} s");
}

fn variable(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |value| {
        value
            .parse()
            .unwrap_or_else(|error| panic!("{name}={value}: {error}"))
    })
}

/// One round. Every other one takes connections over in their middle.
fn hold(seed: u64, frames: u64) {
    let pickup = [Pickup::Never, Pickup::Always][usize::from(seed % 2 == 1)];
    let mut engines = engines(pickup);
    let mut source = Source::new(seed);
    let mut sent = Vec::new();
    for number in 0..frames {
        sent.push(source.next());
        if differ(&mut engines, sent.last().unwrap()) {
            let sent = shortened(sent, pickup);
            panic!(
                "seed {seed}, frame {number}: kernel and host differ after these {} frames\n{}",
                sent.len(),
                told(&sent)
            );
        }
    }
    println!("seed {seed}: {frames} frames");
    engines.counters();
    engines.events();
}

fn engines(pickup: Pickup) -> Engines {
    Engines::under(Rules::tracking(Policy::ENFORCE, pickup))
}

fn differ(engines: &mut Engines, sent: &Sent) -> bool {
    let frame = sent.frame();
    let host = engines.host.adjudicate(&frame).unwrap();
    host != engines.kernel.adjudicate(&frame).unwrap()
}

/// Leaves out what is not needed for the last frame to differ: halves, then quarters, then single frames.
fn shortened(mut sent: Vec<Sent>, pickup: Pickup) -> Vec<Sent> {
    let mut part = sent.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at + part < sent.len() {
            let rest = sent.split_off(at + part);
            let left_out = sent.split_off(at);
            let kept = mem::replace(&mut sent, rest);
            let mut anew = engines(pickup);
            let still = kept.iter().chain(&sent).any(|one| differ(&mut anew, one));
            let tail = mem::replace(&mut sent, kept);
            if !still {
                sent.extend(left_out);
                at += part;
            }
            sent.extend(tail);
        }
        part /= 2;
    }
    sent
}

fn told(sent: &[Sent]) -> String {
    let mut text = String::new();
    for Sent { link, octets, now } in sent {
        let _ = write!(text, "{link:?} at tick {}: ", now.0);
        for octet in octets {
            let _ = write!(text, "{octet:02x}");
        }
        text.push('\n');
    }
    text
}

/// Where frames come from.
struct Source {
    random: XorShift,
    conversations: Vec<Conversation>,
    vectors: Vec<Vector>,
    now: Ticks,
    number: usize,
}

impl Source {
    fn new(seed: u64) -> Self {
        let mut vectors = vectors::every();
        vectors.retain(|vector| vector.frame.len() < 3000);
        Self {
            random: XorShift(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            conversations: Conversation::every(),
            vectors,
            now: Ticks(u32::MAX - 100_000),
            number: 0,
        }
    }

    fn next(&mut self) -> Sent {
        let random = &mut self.random;
        self.now.0 = self.now.0.wrapping_add(pause(random));
        self.number += 1;
        let mut link = Link::Ethernet;
        let octets = if random.below(8) == 0 {
            let base = &self.vectors[random.below(self.vectors.len())];
            link = base.link;
            mutated(&base.frame, random)
        } else {
            // A few at a time, so that most get somewhere before something goes wrong.
            let active = (self.number / 200 + random.below(4)) % self.conversations.len();
            let octets = self.conversations[active].say(random);
            if random.below(16) == 0 {
                mutated(&octets, random)
            } else {
                octets
            }
        };
        Sent {
            link,
            octets,
            now: self.now,
        }
    }
}
