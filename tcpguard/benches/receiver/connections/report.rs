//! The result, as tables or for one JSON object.

use serde_json::{Value, json};

use super::{Figures, host::Tracker};
use crate::lab::{
    figures::{less, median, ratio, rounded},
    spread::Spread,
};

/// What is known of one tracker.
struct Row {
    tracker: Tracker,
    nanos: Spread,
    /// More than the program that does nothing, round by round.
    adds: Option<f64>,
    /// That, against what tcpguard adds.
    adds_tcpguard: Option<f64>,
}

impl Figures {
    fn rows(&self) -> impl Iterator<Item = Row> {
        let of = |tracker: Tracker| &self.nanos[tracker as usize];
        let added = move |tracker| less(of(tracker), of(Tracker::Pass));
        Tracker::ALL.into_iter().map(move |tracker| {
            let own = of(tracker);
            let adds = tracker.follows().then(|| added(tracker));
            Row {
                tracker,
                nanos: Spread::of(own),
                adds_tcpguard: adds
                    .as_ref()
                    .map(|adds| ratio(adds, &added(Tracker::Tcpguard))),
                adds: adds.map(median),
            }
        })
    }
}

pub(crate) fn text(all: &[Figures]) {
    for figures in all {
        let title = format!("established, {} by chance", figures.connections);
        println!(
            "{title:<30} {:>8} {:>15} {:>8} {:>10}",
            "ns", "range", "adds ns", "x tcpguard"
        );
        for row in figures.rows() {
            let range = row.nanos.range();
            let adds = row
                .adds
                .map_or_else(String::new, |adds| format!("{adds:.0}"));
            let ratio = row.adds_tcpguard;
            let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            let line = format!(
                "{:<30} {:>8.0} {range:>15} {adds:>8} {ratio:>10}",
                row.tracker.name(),
                row.nanos.median
            );
            println!("{}", line.trim_end());
        }
        println!();
    }
    println!(
        "each segment is counted and dropped at the same place, behind the kernel's tracker; adds: to bare \
         XDP_PASS, round by round"
    );
}

pub(crate) fn json(all: &[Figures]) -> Vec<Value> {
    let row = |row: Row| {
        json!({"filter": row.tracker.name(), "ns": row.nanos.median.round(), "min_ns": row.nanos.least.round(),
               "max_ns": row.nanos.most.round(), "adds_ns": row.adds.map(rounded),
               "adds_x_tcpguard": row.adds_tcpguard.map(rounded)})
    };
    all.iter()
        .map(|figures| {
            let rows: Vec<Value> = figures.rows().map(row).collect();
            json!({"connections": figures.connections, "filters": rows})
        })
        .collect()
}
