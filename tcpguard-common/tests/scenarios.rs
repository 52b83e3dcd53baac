//! Every conversation through the core, in every world.
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on panics, in its helpers as well"
)]

#[path = "scenarios/mod.rs"]
mod script;

use std::{collections::HashSet, fs, path::Path, time::Duration};

use tcpguard_common::{
    conn::{
        ruling::Ruling,
        seen::{Seen, Voice},
        state::State,
        time::{SECOND, Ticks},
        witness::{Plea, learn},
    },
    cursor::SliceCursor,
    flags::TcpFlags,
    flow::{FlowKey4, FlowKey6},
    judge::judge_flags,
    parse::{Link, parse},
    reason::{Group, Reason},
    segment::{Addresses, Segment},
    table::{host::Table, key::Seed},
    verdict::Verdict,
};

use self::script::{Expected, FILES, Scenario, Step, World};

/// When the first segment comes: at some time, and shortly before the clock wraps.
const STARTS: [Ticks; 2] = [Ticks(0x1234_5678), Ticks(u32::MAX - 3)];

/// What decides in the kernel, without a kernel.
struct Guard {
    ipv4: Table<FlowKey4>,
    ipv6: Table<FlowKey6>,
    picks_up: bool,
}

impl Guard {
    fn new(picks_up: bool) -> Self {
        Self {
            ipv4: Table::new(1, Seed::known(1)),
            ipv6: Table::new(1, Seed::known(1)),
            picks_up,
        }
    }

    fn decide(&self, frame: &[u8], now: Ticks) -> Expected {
        let mut segment = Segment::EMPTY;
        let parsed = parse(&mut SliceCursor::new(frame), Link::Ethernet, &mut segment);
        parsed.expect("a scenario sends TCP");
        let verdict = judge_flags(segment.flags);
        if verdict != Verdict::ACCEPT {
            return Expected {
                verdict,
                after: None,
            };
        }
        let voice = if self.picks_up && segment.flags.contains(TcpFlags::SYN) {
            Voice::FOREIGN.learning()
        } else {
            Voice::FOREIGN
        };
        let ruling = self.track(&segment, &seen(frame, &segment, now, voice));
        Expected {
            verdict: ruling.verdict(),
            after: ruling.after(),
        }
    }

    fn track(&self, segment: &Segment, seen: &Seen) -> Ruling {
        let plead = || {
            if self.picks_up {
                learn(seen)
            } else {
                Plea::Refuse
            }
        };
        let (source_port, destination_port) = (segment.source_port, segment.destination_port);
        match segment.addresses {
            Addresses::V4 {
                source,
                destination,
            } => {
                let (key, way) =
                    FlowKey4::new((source, source_port), (destination, destination_port));
                self.ipv4.decide(&key, way, seen, plead)
            }
            Addresses::V6 {
                source,
                destination,
            } => {
                let (key, way) =
                    FlowKey6::new((source, source_port), (destination, destination_port));
                self.ipv6.decide(&key, way, seen, plead)
            }
        }
    }
}

fn seen(frame: &[u8], segment: &Segment, now: Ticks, voice: Voice) -> Seen {
    let begin = usize::from(segment.options_at);
    let options = &frame[begin..begin + usize::from(segment.options_len)];
    Seen::new(segment, now, voice).with_options(&options)
}

fn ticks(start: Ticks, at: Duration) -> Ticks {
    let quarters = at.as_millis() * u128::from(SECOND) / 1000;
    let quarters = u32::try_from(quarters).expect("no scenario lasts for years");
    Ticks(start.0.wrapping_add(quarters))
}

/// The first step that goes wrong, and how.
fn play(scenario: &Scenario, steps: &[Step], start: Ticks) -> Option<String> {
    let guard = Guard::new(scenario.picks_up);
    steps.iter().find_map(|step| {
        let got = guard.decide(&step.frame, ticks(start, step.at));
        (got != step.expected).then(|| format!("{}: {}\n      not {got}", step.place, step.text))
    })
}

#[test]
fn every_scenario_goes_as_it_is_told_in_every_world() {
    let mut wrong = Vec::new();
    for scenario in script::every() {
        for world in &World::ALL {
            let Some(steps) = scenario.steps(world) else {
                continue;
            };
            let fault = STARTS
                .into_iter()
                .find_map(|start| play(&scenario, &steps, start));
            if let Some(fault) = fault {
                let Scenario { name, clause, .. } = &scenario;
                wrong.push(format!("{name} ({clause})\n  {}: {fault}", world.name));
                break;
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} scenarios:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn no_two_scenarios_share_a_name() {
    let mut names = HashSet::new();
    for scenario in script::every() {
        let Scenario { name, place, .. } = scenario;
        assert!(names.insert(name.clone()), "{place}: {name}");
    }
}

#[test]
fn every_file_of_scenarios_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let there: HashSet<String> = fs::read_dir(folder)
        .expect("the folder is beside this file")
        .map(|entry| entry.expect("a readable folder").file_name())
        .filter_map(|name| name.into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "scn"))
        .collect();
    assert_eq!(there, FILES.map(|(name, _)| name.into()).into());
}

#[test]
fn the_scenarios_reach_every_state_and_every_reason_of_the_tracker() {
    let expected: Vec<Expected> = script::every()
        .iter()
        .filter_map(|scenario| scenario.steps(&World::PLAIN))
        .flatten()
        .map(|step| step.expected)
        .collect();
    for state in State::ALL {
        let is_reached = expected.iter().any(|right| right.after == Some(state));
        assert!(is_reached, "{}", state.as_str());
    }
    let of_the_tracker = |reason: &Reason| {
        reason.group() != Group::Flags
            && !reason.clause().starts_with("policy")
            && *reason != Reason::CookieInvalid
    };
    for reason in Reason::ALL.into_iter().filter(of_the_tracker) {
        let dropped = Verdict::dropped(reason);
        assert!(
            expected.iter().any(|right| right.verdict == dropped),
            "{reason}"
        );
    }
}

#[test]
fn a_scenario_is_read_as_it_is_written() {
    let text = "# one\n\nscenario it works\nclause RFC 9293\nclause and more\npickup always\n\
        orig S 0 win 5 -> accept SYN-SENT\n+1.5 reply SA 7 ack 1 len 3 -> drop synack-bad-ack -\n";
    let read = script::read("some.scn", text).expect("the grammar");
    let [scenario] = &read[..] else {
        panic!("{read:?}");
    };
    assert_eq!(scenario.name, "it works");
    assert_eq!(scenario.clause, "RFC 9293; and more");
    assert_eq!(scenario.place.to_string(), "some.scn:3");
    assert!(scenario.picks_up);
    let steps = scenario.steps(&World::PLAIN).expect("no number is fixed");
    assert_eq!(steps.len(), 2);
    assert_eq!(steps[0].at, Duration::ZERO);
    assert_eq!(steps[1].at, Duration::from_millis(1500));
    assert_eq!(steps[1].expected.to_string(), "drop synack-bad-ack -");
    let segment = segment(&steps[1]);
    assert_eq!((segment.seq.0, segment.ack.0), (50_000_007, 1_000_001));
    assert_eq!((segment.window, segment.payload_len), (10000, 3));
}

#[test]
fn options_stand_in_the_header_as_they_are_told() {
    let text = "scenario s\nclause c\n\
        orig A 1 ack 2 nop wscale 7 mss 1460 sack 3-4 len 9 option ab 01 -> accept -\n";
    let read = script::read("some.scn", text).expect("the grammar");
    let steps = read[0].steps(&World::PLAIN).expect("no number is fixed");
    let segment = segment(&steps[0]);
    let begin = usize::from(segment.options_at);
    let options = &steps[0].frame[begin..begin + usize::from(segment.options_len)];
    let edge = |n: u32| (50_000_000 + n).to_be_bytes();
    let right = [
        &[1, 3, 3, 7, 2, 4, 5, 180, 5, 10][..],
        &edge(3),
        &edge(4),
        &[0xab, 1],
    ];
    assert_eq!(options, right.concat());
    assert_eq!(segment.payload_len, 9);
}

#[test]
fn a_number_as_it_stands_belongs_to_one_world() {
    let text = "scenario s\nclause c\norig S =5 -> accept -\n\
        scenario t\nclause c\nisn 4 5\norig S =5 -> accept -\n";
    let read = script::read("some.scn", text).expect("the grammar");
    let worlds = |scenario: &Scenario| {
        let steps = World::ALL.iter().filter_map(|w| scenario.steps(w));
        steps.map(|steps| segment(&steps[0]).seq.0).collect()
    };
    let [one, two]: [Vec<u32>; 2] = [worlds(&read[0]), worlds(&read[1])];
    assert_eq!(one, [5; 4], "both families, both orders of addresses");
    assert_eq!(two, [5; 8]);
}

#[test]
fn what_cannot_be_read_is_told_with_its_file_and_line() {
    let bad = [
        (
            "orig S 0 -> accept -",
            "some.scn:1: this belongs to a scenario",
        ),
        (
            "scenario s\norig S 0",
            "some.scn:2: a segment needs '->' and a verdict",
        ),
        (
            "scenario s\nclient S 0 -> accept -",
            "some.scn:2: neither orig nor reply: 'client'",
        ),
        (
            "scenario s\norig XY 0 -> accept -",
            "some.scn:2: no flags: 'XY'",
        ),
        (
            "scenario s\norig S -> accept -",
            "some.scn:2: ends where a sequence number should be",
        ),
        (
            "scenario s\norig S z -> accept -",
            "some.scn:2: no number that fits here: 'z'",
        ),
        (
            "scenario s\norig A 0 -> accept -",
            "some.scn:2: a segment with ACK needs 'ack'",
        ),
        (
            "scenario s\norig S 0 win 65536 -> accept -",
            "some.scn:2: no number that fits here: '65536'",
        ),
        (
            "scenario s\norig S 0 wind 1 -> accept -",
            "some.scn:2: no part of a segment: 'wind'",
        ),
        (
            "scenario s\norig S 0 -> pass -",
            "some.scn:2: no verdict: 'pass'",
        ),
        (
            "scenario s\norig S 0 -> drop it -",
            "some.scn:2: no reason: 'it'",
        ),
        (
            "scenario s\norig S 0 -> accept OPEN",
            "some.scn:2: no state: 'OPEN'",
        ),
        (
            "scenario s\norig S 0 -> accept - -",
            "some.scn:2: behind the state: '-'",
        ),
        (
            "scenario s\n+1y orig S 0 -> accept -",
            "some.scn:2: no time: '+1y'",
        ),
        ("scenario s\nafter t", "some.scn:2: no opening 't'"),
        (
            "opening t\nscenario s\norig S 0 -> accept -\nafter t",
            "some.scn:4: an opening comes first",
        ),
        (
            "opening t\nclause c",
            "some.scn:2: this belongs to a scenario",
        ),
        ("scenario s\nisn 1", "some.scn:2: two numbers: isn 7 9"),
        (
            "scenario s\norig S 0 -> accept -",
            "some.scn:1: a scenario needs a clause and a segment",
        ),
        (
            "scenario s\nclause c",
            "some.scn:1: a scenario needs a clause and a segment",
        ),
    ];
    for (text, what) in bad {
        let fault = script::read("some.scn", text).err();
        assert_eq!(fault.map(|fault| fault.to_string()).as_deref(), Some(what));
    }
}

fn segment(step: &Step) -> Segment {
    let mut segment = Segment::EMPTY;
    let mut cursor = SliceCursor::new(&step.frame);
    parse(&mut cursor, Link::Ethernet, &mut segment).expect("a scenario sends TCP");
    segment
}
