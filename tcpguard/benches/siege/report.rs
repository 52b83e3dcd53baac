//! The result: a table for each flood, one of all together, and what has gone wrong; or one JSON object.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    battle::Turn,
    filter::{self, Filter},
    lab::figures::{machine, median, rounded},
    wave,
};

/// All turns, in order: for each flood one of each filter.
pub(crate) struct Siege {
    seed: u64,
    turn: Duration,
    pub(super) turns: Vec<Turn>,
}

impl Siege {
    pub(super) const fn new(seed: u64, turn: Duration) -> Self {
        let turns = Vec::new();
        Self { seed, turn, turns }
    }

    /// Everything that tcpguard has done wrong, a line each.
    pub(crate) fn defects(&self) -> Vec<String> {
        let ours = self.turns.iter().filter(|turn| turn.filter.is_tcpguard());
        ours.flat_map(Turn::defects).collect()
    }

    /// Of what comes through where there is neither filter nor flood.
    fn kept(&self, turn: &Turn) -> f64 {
        let peace = self.turns.first().map_or(f64::NAN, |it| it.fate.goodput);
        turn.fate.goodput / peace
    }

    pub(crate) fn text(&self) {
        for turns in self.turns.chunk_by(|one, other| one.wave == other.wave) {
            let name = turns.first().map(|turn| wave::name(turn.wave));
            println!("{:<42} {HEAD}  faults", name.unwrap_or_default());
            for turn in turns {
                let faults: Vec<_> = turn.faults.iter().map(|fault| fault.name()).collect();
                println!(
                    "{:<42} {}  {}",
                    turn.filter.name,
                    self.row(turn),
                    faults.join(", ")
                );
            }
            println!();
        }
        println!("{:<42} {HEAD}  faults", "all floods");
        for (filter, sum) in self.sums() {
            println!("{:<42} {}", filter.name, sum.text());
        }
        println!(
            "\nk/s: frames of the flood that were sent; goodput: of what comes without filter and flood; new: \
             connections that were made and served;\nlost: connections that did not last, or were not made; \
             passed: frames of the flood behind the filter, * where they are illegal"
        );
        println!(
            "{} floods of {:.1} s, seed {}; {}",
            self.turns
                .chunk_by(|one, other| one.wave == other.wave)
                .count()
                - 1,
            self.turn.as_secs_f64(),
            self.seed,
            machine()
        );
        let counted = self.turns.iter().filter(|turn| turn.is_counted).count();
        println!("tcpguard's counters agreed with the interface's in {counted} turns");
        for defect in self.defects() {
            println!("WRONG: {defect}");
        }
    }

    fn row(&self, turn: &Turn) -> String {
        let is_illegal = turn.wave.is_some_and(|wave| wave.flood.is_illegal());
        format!(
            "{:>6.0} {:>8.1} {:>6} {:>5} {:>10}{} {:>7.3}",
            turn.sent / 1000.0,
            self.kept(turn) * 100.0,
            turn.fate.made,
            turn.lost(),
            turn.passed,
            if is_illegal { '*' } else { ' ' },
            turn.share * 100.0
        )
    }

    /// Of the filters that have stood against a flood.
    fn sums(&self) -> impl Iterator<Item = (Filter, Sum)> {
        let stood =
            |filter: Filter| move |turn: &Turn| turn.filter == filter && turn.wave.is_some();
        let filters = filter::ALL.into_iter();
        let filters = filters.filter(move |filter| self.turns.iter().any(stood(*filter)));
        filters.map(|filter| (filter, self.sum(filter)))
    }

    fn sum(&self, filter: Filter) -> Sum {
        let turns = self.turns.iter().filter(|turn| turn.filter == filter);
        let turns: Vec<_> = turns.filter(|turn| turn.wave.is_some()).collect();
        let of_illegal = turns
            .iter()
            .filter(|turn| turn.wave.is_some_and(|it| it.flood.is_illegal()));
        let kept: Vec<_> = turns.iter().map(|turn| self.kept(turn)).collect();
        Sum {
            sent: median(turns.iter().map(|turn| turn.sent)),
            kept: median(kept.iter().copied()),
            least: kept.iter().copied().fold(f64::INFINITY, f64::min),
            made: turns.iter().map(|turn| u64::from(turn.fate.made)).sum(),
            lost: turns.iter().map(|turn| turn.lost()).sum(),
            passed: of_illegal.clone().map(|turn| turn.passed).sum(),
            share: median(of_illegal.map(|turn| turn.share)),
            faults: turns.iter().map(|turn| turn.faults.len()).sum(),
        }
    }

    pub(crate) fn json(&self) {
        let turns: Vec<_> = self.turns.iter().map(|turn| self.turn_json(turn)).collect();
        let sums = self.sums().map(|(filter, sum)| sum.json(filter));
        println!(
            "{}",
            json!({"seed": self.seed, "seconds": self.turn.as_secs_f64(), "machine": machine(),
                   "all": sums.collect::<Vec<_>>(), "turns": turns, "wrong": self.defects()})
        );
    }

    fn turn_json(&self, turn: &Turn) -> Value {
        let lost = turn.fate.lost.iter().map(|loss| {
            json!({"kind": loss.kind, "number": loss.number, "why": format!("{:#}", loss.why)})
        });
        let faults = turn.faults.iter().map(|fault| fault.name());
        json!({"filter": turn.filter.name, "flood": wave::name(turn.wave),
               "frames_a_second": turn.sent.round(), "goodput": rounded(self.kept(turn)),
               "new": turn.fate.made, "lost": lost.collect::<Vec<_>>(),
               "illegal": turn.wave.is_some_and(|wave| wave.flood.is_illegal()), "passed": turn.passed,
               "passed_share": turn.share, "faults": faults.collect::<Vec<_>>(),
               "counters_agree": turn.is_counted && turn.wrong.is_empty(), "wrong": turn.wrong})
    }
}

const HEAD: &str = "   k/s goodput%    new  lost     passed        %";

impl Turn {
    fn lost(&self) -> u32 {
        self.fate.lost.iter().map(|loss| loss.number).sum()
    }

    /// What is wrong, if this is of tcpguard.
    fn defects(&self) -> impl Iterator<Item = String> + use<'_> {
        let lost = self.fate.lost.iter().map(|loss| {
            let (kind, number, why) = (loss.kind, loss.number, &loss.why);
            format!("{number} of the connections are lost ({kind}): {why:#}")
        });
        let faults: Vec<_> = self.faults.iter().map(|fault| fault.name()).collect();
        let place = format!("{}, faults [{}]", wave::name(self.wave), faults.join(", "));
        let all = lost.chain(self.wrong.iter().cloned());
        all.map(move |defect| format!("{place}: {defect}"))
    }
}

/// One filter in all floods.
struct Sum {
    sent: f64,
    kept: f64,
    least: f64,
    made: u64,
    lost: u32,
    passed: u64,
    share: f64,
    faults: usize,
}

impl Sum {
    fn text(&self) -> String {
        format!(
            "{:>6.0} {:>8.1} {:>6} {:>5} {:>10}* {:>7.3}  {}; goodput at least {:.1} %",
            self.sent / 1000.0,
            self.kept * 100.0,
            self.made,
            self.lost,
            self.passed,
            self.share * 100.0,
            self.faults,
            self.least * 100.0
        )
    }

    fn json(&self, filter: Filter) -> Value {
        json!({"filter": filter.name, "frames_a_second": self.sent.round(), "goodput": rounded(self.kept),
               "goodput_least": rounded(self.least), "new": self.made, "lost": self.lost,
               "illegal_passed": self.passed, "illegal_passed_share": self.share, "faults": self.faults})
    }
}
