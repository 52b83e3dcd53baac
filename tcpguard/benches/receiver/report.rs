//! The result, as tables or as one JSON object.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{
    Args,
    connections::{self, Figures as Followed},
    figures::{machine, median, ratio, rounded},
    filter::{self, Filter},
    flood::Flood,
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
        for flood in Flood::ALL {
            println!(
                "{:<30} {:>8} {:>15} {:>8} {:>10}",
                flood.name(),
                "ns",
                "range",
                "x bare",
                "x tcpguard"
            );
            for row in self.rows(flood) {
                let range = format!("{:.0} - {:.0}", row.least, row.most);
                println!(
                    "{:<30} {:>8.0} {range:>15} {:>8.2} {:>10.2}",
                    row.name(),
                    row.nanos,
                    row.bare,
                    row.tcpguard
                );
            }
            println!();
        }
        println!("* passes this flood on to the stack");
    }

    fn json(&self) -> [Value; Flood::ALL.len()] {
        let row = |row: &Row| {
            json!({"filter": row.filter.name, "drops": row.drops, "ns": row.nanos.round(),
                   "min_ns": row.least.round(), "max_ns": row.most.round(),
                   "x_bare_drop": rounded(row.bare), "x_tcpguard": rounded(row.tcpguard)})
        };
        Flood::ALL.map(|flood| {
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
                nanos: median(own.iter().copied()),
                least: own.iter().copied().fold(f64::INFINITY, f64::min),
                most: own.iter().copied().fold(0.0, f64::max),
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
    nanos: f64,
    least: f64,
    most: f64,
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
