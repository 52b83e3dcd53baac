//! A segment that is dropped or ignored leaves no trace in the table.

use aya::{
    Ebpf, TestRunOptions,
    maps::{Array, MapData},
    programs::{TestRun as _, Xdp},
};
use tcpguard::object::{self, Log};
use tcpguard_common::{
    abi::{self, Adjudication, Config, Interface, MAX_INTERFACES, Transcript},
    conn::time::Ticks,
    flow::{FlowKey4, FlowKey6},
    table::Set,
    verdict::{Verdict, VerdictKind},
};

use crate::{
    require_root,
    scenarios::ticks,
    script::{self, Scenario, Step, World},
};

/// A set in words.
type Words4 = [u64; size_of::<Set<FlowKey4>>() / 8];
type Words6 = [u64; size_of::<Set<FlowKey6>>() / 8];

/// Sets of either table: few, so that all of it is compared.
const SETS: u32 = 2;

/// The program with small tables, and these in words.
pub(crate) struct Guard {
    object: Ebpf,
    adjudication: Array<MapData, Adjudication>,
    clock: Array<MapData, u32>,
    flows4: Array<MapData, Words4>,
    flows6: Array<MapData, Words6>,
}

/// All that the tables hold.
#[derive(PartialEq)]
struct Contents([Words4; SETS as usize], [Words6; SETS as usize]);

impl Guard {
    /// One that learns from a moment on, for so many ticks.
    pub(crate) fn load(learn_from: Ticks, learn_for: u32) -> Self {
        require_root();
        let mut interfaces = [Interface::default(); MAX_INTERFACES];
        interfaces[0].index = 1;
        let config = Config {
            transcript: Transcript::Adjudicate as u32,
            interface_count: 1,
            tracking: 1,
            learn_from,
            learn_for,
            sets: [SETS; 2],
            interfaces,
            ..Config::DEFAULT
        };
        let mut object = object::open(&config, Log::Off).unwrap();
        let program = object.program_mut(abi::INGRESS_PROGRAM).unwrap();
        let program: &mut Xdp = program.try_into().unwrap();
        program.load().unwrap();
        let mut take = |name| object.take_map(name).unwrap();
        Self {
            adjudication: take(abi::ADJUDICATION).try_into().unwrap(),
            clock: take(abi::CLOCK).try_into().unwrap(),
            flows4: take(abi::FLOWS4).try_into().unwrap(),
            flows6: take(abi::FLOWS6).try_into().unwrap(),
            object,
        }
    }

    fn contents(&self) -> Contents {
        let at = |set: usize| u32::try_from(set).unwrap();
        Contents(
            std::array::from_fn(|set| self.flows4.get(&at(set), 0).unwrap()),
            std::array::from_fn(|set| self.flows6.get(&at(set), 0).unwrap()),
        )
    }

    fn clear(&mut self) {
        for set in 0..SETS {
            self.flows4.set(set, [0; _], 0).unwrap();
            self.flows6.set(set, [0; _], 0).unwrap();
        }
    }

    pub(crate) fn judge(&mut self, frame: &[u8], now: Ticks) -> Verdict {
        self.clock.set(0, now.0, 0).unwrap();
        let program = self.object.program(abi::INGRESS_PROGRAM).unwrap();
        let program: &Xdp = program.try_into().unwrap();
        let options = TestRunOptions {
            data_in: Some(frame),
            ..TestRunOptions::new()
        };
        program.test_run(options).unwrap();
        let judgement = self.adjudication.get(&0, 0).unwrap();
        Verdict::from_cell(judgement.cell.into()).unwrap()
    }

    /// Plays a conversation; how many of its segments left a trace, and how many must not.
    fn play(&mut self, scenario: &Scenario, steps: &[Step]) -> [usize; 2] {
        self.clear();
        let [mut traced, mut untraced] = [0; 2];
        for step in steps {
            let before = self.contents();
            let verdict = self.judge(&step.frame, ticks(Ticks(1 << 20), step.at));
            let traceless = self.contents() == before;
            if matches!(verdict.kind(), VerdictKind::Drop | VerdictKind::Ignore) {
                let Scenario { name, .. } = scenario;
                assert!(traceless, "{name}: {}: {}", step.place, step.text);
                untraced += 1;
            }
            traced += usize::from(!traceless);
        }
        [traced, untraced]
    }
}

#[test]
fn kernel_remembers_nothing_of_a_segment_that_is_dropped_or_ignored() {
    let scenarios = script::every();
    for picks_up in [false, true] {
        let mut guard = Guard::load(Ticks(0), if picks_up { u32::MAX } else { 0 });
        let [mut traced, mut untraced] = [0; 2];
        for scenario in scenarios.iter().filter(|it| it.picks_up == picks_up) {
            for world in &World::ALL {
                if let Some(steps) = scenario.steps(world) {
                    let [more_traced, more_untraced] = guard.play(scenario, &steps);
                    traced += more_traced;
                    untraced += more_untraced;
                }
            }
        }
        // Or the tables that are compared are not those that are written.
        assert!(traced > 100 && untraced > 100, "{traced}, {untraced}");
    }
}
