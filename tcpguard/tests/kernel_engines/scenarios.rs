//! Every conversation of the core's tests, in every world, through both engines.

use std::time::Duration;

use tcpguard::{
    cli::Pickup,
    engine::{Frame, Rules},
};
use tcpguard_common::{
    abi::Adjudication,
    conn::{
        ruling::Ruling,
        time::{SECOND, Ticks},
    },
    counters::{Counters, Events},
    parse::Link,
    policy::Policy,
    verdict::Verdict,
    wire::ethernet,
};

use crate::{
    Engines, assert_same_counters, count,
    script::{self, Expected, Scenario, Step, World},
};

/// When the first segment comes: at some time, and shortly before the clock wraps.
const STARTS: [Ticks; 2] = [Ticks(0x1234_5678), Ticks(u32::MAX - 3)];

/// The port that scenarios give the original side.
const PORT: [u8; 2] = 40_000_u16.to_be_bytes();

/// Both engines of one kind of pickup. Loading takes a second, so all scenarios share them, each with
/// a port of its own.
struct Stage {
    engines: Engines,
    port: u16,
    counters: Counters,
    events: Events,
    wrong: Vec<String>,
}

impl Stage {
    fn new(pickup: Pickup) -> Self {
        Self {
            engines: Engines::under(Rules::tracking(Policy::ENFORCE, pickup)),
            port: 1024,
            counters: Counters::ZERO,
            events: Events::ZERO,
            wrong: Vec::new(),
        }
    }

    /// A conversation in a world, until something goes wrong in it; whether nothing does.
    fn play(&mut self, scenario: &Scenario, world: &World) -> bool {
        let Some(steps) = scenario.steps(world) else {
            return true;
        };
        let start = STARTS[usize::from(self.port & 1)];
        self.port += 1;
        for step in &steps {
            let judgement = self.judge(step, start);
            let got = expectation(&judgement);
            if got != step.expected {
                let name = format!("{} ({}), {}", scenario.name, step.place, world.name);
                let text = &step.text;
                self.wrong.push(format!("{name}\n  {text}\n  not {got}"));
                return false;
            }
        }
        true
    }

    fn judge(&mut self, step: &Step, start: Ticks) -> Adjudication {
        let mut octets = step.frame.clone();
        change_port(&mut octets, self.port);
        let frame = Frame {
            now: ticks(start, step.at),
            ..Frame::whole(Link::Ethernet, &octets)
        };
        let judgement = self.engines.adjudicate(&step.text, &frame);
        count(&mut self.counters, &judgement, frame.wire_len);
        if judgement.ruling != 0 {
            self.events
                .count(Ruling::from_trusted_bits(judgement.ruling));
        }
        judgement
    }
}

/// What a scenario says of a segment, from what an engine says.
fn expectation(judgement: &Adjudication) -> Expected {
    let after = Ruling::from_trusted_bits(judgement.ruling).after();
    Expected {
        verdict: Verdict::from_cell(judgement.cell.into()).unwrap(),
        after,
    }
}

pub(crate) fn ticks(start: Ticks, at: Duration) -> Ticks {
    let quarters = at.as_millis() * u128::from(SECOND) / 1000;
    Ticks(start.0.wrapping_add(u32::try_from(quarters).unwrap()))
}

/// Gives the original side another port. Nobody looks at the checksum.
fn change_port(frame: &mut [u8], port: u16) {
    let ip_len = if frame[12..14] == ethernet::IPV4.to_be_bytes() {
        20
    } else {
        40
    };
    let ports = &mut frame[14 + ip_len..][..4];
    for end in ports.chunks_mut(2).filter(|end| **end == PORT) {
        end.copy_from_slice(&port.to_be_bytes());
    }
}

#[test]
fn kernel_and_host_tell_every_scenario_as_it_is_told() {
    let scenarios = script::every();
    for (pickup, picks_up) in [(Pickup::Never, false), (Pickup::Always, true)] {
        let mut stage = Stage::new(pickup);
        for scenario in scenarios.iter().filter(|it| it.picks_up == picks_up) {
            let _ = World::ALL.iter().all(|world| stage.play(scenario, world));
        }
        let Stage { engines, wrong, .. } = stage;
        assert!(
            wrong.is_empty(),
            "{} conversations:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        assert_same_counters(&engines.counters(), &stage.counters);
        assert_eq!(engines.events(), stage.events);
        assert!(stage.port > 1024 + 100, "{pickup:?}: few scenarios");
    }
}
