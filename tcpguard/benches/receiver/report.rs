//! The result, as tables or as one JSON object.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{
    Args,
    connections::{self, Figures as Followed},
    filter::{self, FLOODS, Filter},
    lab::{
        figures::{machine, ratio, rounded},
        flood::Flood,
        spread::Spread,
    },
};

/// Nanoseconds a frame, by a filter's name and flood, of each round.
#[derive(Default)]
pub(crate) struct Figures(HashMap<(&'static str, Flood), Vec<f64>>);

impl Figures {
    pub(crate) fn add(&mut self, filter: Filter, flood: Flood, nanos: f64) {
        let rounds = self.0.entry((filter.name, flood)).or_default();
        rounds.push(nanos);
    }

    fn of(&self, filter: &'static str, flood: Flood) -> &[f64] {
        self.0.get(&(filter, flood)).map_or(&[], Vec::as_slice)
    }

    fn text(&self) {
        for flood in FLOODS {
            println!(
                "{:<30} {:>8} {:>15} {:>8} {:>10}",
                flood.name(),
                "ns",
                "range",
                "x bare",
                "x tcpguard"
            );
            for row in self.rows(flood) {
                println!(
                    "{:<30} {:>8.0} {:>15} {:>8.2} {:>10.2}",
                    row.name(),
                    row.nanos.median,
                    row.nanos.range(),
                    row.bare,
                    row.tcpguard
                );
            }
            println!();
        }
        println!("* passes this flood on to the stack");
    }

    fn json(&self) -> [Value; FLOODS.len()] {
        let row = |row: &Row| {
            json!({"filter": row.filter.name, "drops": row.drops, "ns": row.nanos.median.round(),
                   "min_ns": row.nanos.least.round(), "max_ns": row.nanos.most.round(),
                   "x_bare_drop": rounded(row.bare), "x_tcpguard": rounded(row.tcpguard)})
        };
        FLOODS.map(|flood| {
            let rows: Vec<Value> = self.rows(flood).iter().map(row).collect();
            json!({"flood": flood.name(), "filters": rows})
        })
    }

    fn rows(&self, flood: Flood) -> Vec<Row> {
        let [bare, tcpguard] = ["bare XDP_DROP", "tcpguard"].map(|name| self.of(name, flood));
        let row = |filter: Filter| {
            let own = self.of(filter.name, flood);
            Row {
                filter,
                drops: filter.drops.contains(&flood),
                nanos: Spread::of(own),
                bare: ratio(own, bare),
                tcpguard: ratio(own, tcpguard),
            }
        };
        filter::ALL.map(row).into()
    }
}

/// What was measured of either part.
pub(crate) fn text(flooded: Option<&Figures>, followed: Option<&[Followed]>, args: &Args) {
    if let Some(flooded) = flooded {
        flooded.text();
    }
    if let Some(followed) = followed {
        connections::text(followed);
    }
    println!(
        "medians of {} rounds, of up to {} frames each\n{}",
        args.rounds,
        args.frames,
        machine()
    );
}

pub(crate) fn json(flooded: Option<&Figures>, followed: Option<&[Followed]>, args: &Args) {
    println!(
        "{}",
        json!({"rounds": args.rounds, "frames": args.frames, "machine": machine(),
               "floods": flooded.map(Figures::json), "established": followed.map(connections::json)})
    );
}

/// A filter under a flood.
struct Row {
    filter: Filter,
    drops: bool,
    nanos: Spread,
    /// Against the bare drop.
    bare: f64,
    tcpguard: f64,
}

impl Row {
    fn name(&self) -> String {
        let mark = if self.drops { "" } else { " *" };
        format!("{}{mark}", self.filter.name)
    }
}
