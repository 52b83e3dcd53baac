//! What is left of good traffic behind each filter.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{
    filter::{AT_PEACE, FLOOR, Filter, TCPGUARD},
    lab::{
        figures::{ratio, rounded},
        spread::Spread,
    },
    peace::MEASURES,
};

/// What tcpguard has to keep of the floor.
const GOAL: f64 = 0.97;

/// By measure and filter, of each round.
#[derive(Default)]
pub(crate) struct Peaceful(HashMap<(&'static str, &'static str), Vec<f64>>);

impl Peaceful {
    pub(crate) fn add(&mut self, filter: Filter, values: [f64; MEASURES.len()]) {
        for (measure, value) in MEASURES.into_iter().zip(values) {
            let rounds = self.0.entry((measure, filter.name)).or_default();
            rounds.push(value);
        }
    }

    fn of(&self, measure: &'static str, filter: Filter) -> &[f64] {
        let rounds = self.0.get(&(measure, filter.name));
        rounds.map_or(&[], Vec::as_slice)
    }

    /// Of each round, then the median.
    fn to_floor(&self, measure: &'static str, filter: Filter) -> f64 {
        ratio(self.of(measure, filter), self.of(measure, FLOOR))
    }

    pub(super) fn text(&self) {
        for measure in MEASURES {
            println!(
                "{measure:<30} {:>8} {:>15} {:>8}",
                "median", "range", "x floor"
            );
            for filter in AT_PEACE {
                let spread = Spread::of(self.of(measure, filter));
                println!(
                    "{:<30} {:>8.0} {:>15} {:>8.3}",
                    filter.name,
                    spread.median,
                    spread.range(),
                    self.to_floor(measure, filter)
                );
            }
            println!();
        }
        let kept = MEASURES.map(|measure| self.to_floor(measure, TCPGUARD));
        let least = kept.into_iter().fold(f64::INFINITY, f64::min);
        println!(
            "floor: {}; tcpguard keeps {least:.3} of it or more, and {GOAL} is asked for; \
             no connection failed\n",
            FLOOR.name
        );
    }

    pub(super) fn json(&self) -> Value {
        let measures = MEASURES.map(|measure| {
            let filters = AT_PEACE.map(|filter| {
                let spread = Spread::of(self.of(measure, filter));
                json!({"filter": filter.name, "median": spread.median.round(),
                       "min": spread.least.round(), "max": spread.most.round(),
                       "x_floor": rounded(self.to_floor(measure, filter))})
            });
            json!({"measure": measure, "filters": filters})
        });
        json!({"floor": FLOOR.name, "goal": GOAL, "failed": 0, "measures": measures})
    }
}
