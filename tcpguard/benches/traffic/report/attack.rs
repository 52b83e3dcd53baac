//! What is left of good traffic under each flood.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{
    attack::{Attack, Turn},
    filter::{Filter, IDEAL, UNDER_ATTACK},
    lab::{
        figures::{median, ratio, rounded},
        spread::Spread,
    },
};

/// By attack and filter, of each round.
pub(crate) struct Attacked {
    /// In the order of the result.
    pub(crate) attacks: Vec<Attack>,
    turns: HashMap<(Attack, &'static str), Vec<Turn>>,
}

impl Attacked {
    pub(crate) fn of(attacks: Vec<Attack>) -> Self {
        let turns = HashMap::new();
        Self { attacks, turns }
    }

    pub(crate) fn add(&mut self, attack: Attack, filter: Filter, turn: Turn) {
        let rounds = self.turns.entry((attack, filter.name)).or_default();
        rounds.push(turn);
    }

    fn turns(&self, attack: Attack, filter: Filter) -> &[Turn] {
        let rounds = self.turns.get(&(attack, filter.name));
        rounds.map_or(&[], Vec::as_slice)
    }

    /// The rounds of one filter, and what they are of the ideal's.
    fn beside_ideal(&self, row: (Attack, Filter), of: fn(&Turn) -> f64) -> (Spread, f64) {
        let rounds = |filter| -> Vec<f64> { self.turns(row.0, filter).iter().map(of).collect() };
        let own = rounds(row.1);
        (Spread::of(&own), ratio(&own, &rounds(IDEAL)))
    }

    fn row(&self, attack: Attack, filter: Filter) -> Row {
        let turns = self.turns(attack, filter);
        Row {
            name: filter.name,
            sent: median(turns.iter().map(|turn| turn.sent)),
            requests: self.beside_ideal((attack, filter), |turn| turn.requests),
            connections: self.beside_ideal((attack, filter), |turn| turn.connections),
            lost: turns.iter().map(|turn| turn.lost).sum(),
            failed: turns.iter().map(|turn| turn.failed).sum(),
        }
    }

    pub(super) fn text(&self) {
        for attack in &self.attacks {
            println!(
                "{:<34} {:>6} {:>8} {:>15} {:>7} {:>7} {:>13} {:>7} {:>5} {:>6}",
                format!("{}, {} k/s", attack.flood.name(), attack.rate / 1000),
                "k/s",
                "requests",
                "range",
                "x ideal",
                "new",
                "range",
                "x ideal",
                "lost",
                "failed"
            );
            for filter in UNDER_ATTACK {
                println!("{}", self.row(*attack, filter).text());
            }
            println!();
        }
        println!(
            "k/s: frames of the flood that were sent; requests/s on kept connections, and new connections/s; \
             lost: kept connections that did not outlast the flood; failed: new ones, of all rounds\n"
        );
    }

    pub(super) fn json(&self) -> Value {
        let attacks = self.attacks.iter().map(|attack| {
            let rows = UNDER_ATTACK.map(|filter| self.row(*attack, filter).json());
            json!({"flood": attack.flood.name(), "rate": attack.rate, "filters": rows})
        });
        json!({"ideal": IDEAL.name, "attacks": attacks.collect::<Vec<_>>()})
    }
}

/// A filter under an attack.
struct Row {
    name: &'static str,
    sent: f64,
    /// And of the ideal's.
    requests: (Spread, f64),
    connections: (Spread, f64),
    lost: u32,
    failed: u32,
}

impl Row {
    fn text(&self) -> String {
        let [(requests, asked), (connections, connected)] = [&self.requests, &self.connections];
        format!(
            "{:<34} {:>6.0} {:>8.0} {:>15} {asked:>7.3} {:>7.0} {:>13} {connected:>7.3} {:>5} {:>6}",
            self.name,
            self.sent / 1000.0,
            requests.median,
            requests.range(),
            connections.median,
            connections.range(),
            self.lost,
            self.failed
        )
    }

    fn json(&self) -> Value {
        let told = |(spread, ideal): &(Spread, f64)| {
            json!({"median": spread.median.round(), "min": spread.least.round(),
                   "max": spread.most.round(), "x_ideal": rounded(*ideal)})
        };
        json!({"filter": self.name, "frames_a_second": self.sent.round(),
               "requests": told(&self.requests), "connections": told(&self.connections),
               "lost": self.lost, "failed": self.failed})
    }
}
