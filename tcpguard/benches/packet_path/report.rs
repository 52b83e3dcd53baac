//! The result, as tables or as one JSON object.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use crate::{
    Args,
    figures::{less, machine, median, ratio, rounded},
    tracked::path::Path,
};

/// What is known of one path.
struct Row<'a> {
    name: &'a str,
    nanos: f64,
    /// Against the bare drop.
    bare: f64,
    /// Against the hash map on the same frames.
    hash: Option<f64>,
    /// Without what both pay for another frame each time.
    net: Option<f64>,
    /// Against the hash map, both without that.
    net_hash: Option<f64>,
}

impl<'a> Row<'a> {
    fn of(path: &'a Path, stage: &[Path]) -> Self {
        let hash = path.rivals.hash.map(|at| &stage[at]);
        let net = net(path, stage);
        let net_hash = hash.and_then(|hash| self::net(hash, stage));
        Self {
            name: &path.name,
            nanos: median(path.nanos.iter().copied()),
            bare: ratio(&path.nanos, &stage[path.rivals.bare].nanos),
            hash: hash.map(|hash| ratio(&path.nanos, &hash.nanos)),
            net_hash: net
                .as_ref()
                .zip(net_hash.as_ref())
                .map(|(own, hash)| ratio(own, hash)),
            net: net.map(median),
        }
    }
}

/// Of each round, without what it costs to make another frame each time, if that was done.
pub(crate) fn net(path: &Path, stage: &[Path]) -> Option<Vec<f64>> {
    let shuffled = path.rivals.shuffled?;
    Some(less(&path.nanos, &stage[shuffled].nanos))
}

/// Handshakes that one CPU follows in a second, by family.
fn handshakes(stages: &[(&'static str, Vec<Path>)]) -> Vec<(&'static str, f64)> {
    const SEGMENTS: [&str; 3] = ["SYN, new", "SYN+ACK", "handshake's ACK"];
    let paths = || {
        stages
            .iter()
            .flat_map(|(_, paths)| paths.iter().map(move |path| (path, paths)))
    };
    ["IPv4", "IPv6"]
        .into_iter()
        .filter_map(|family| {
            let nanos: Vec<f64> = SEGMENTS
                .iter()
                .filter_map(|segment| {
                    let name = format!("guard, {segment}, {family}");
                    let (path, stage) = paths().find(|(path, _)| path.name == name)?;
                    Row::of(path, stage).net
                })
                .collect();
            (nanos.len() == SEGMENTS.len()).then(|| (family, 1e9 / nanos.iter().sum::<f64>()))
        })
        .collect()
}

pub(crate) fn json(stages: &[(&'static str, Vec<Path>)], args: &Args) {
    let row = |path: &Path, stage: &[Path]| {
        let row = Row::of(path, stage);
        json!({"path": row.name, "ns": rounded(row.nanos), "x_bare_drop": rounded(row.bare),
               "x_hash": row.hash.map(rounded), "net_ns": row.net.map(rounded),
               "net_x_hash": row.net_hash.map(rounded)})
    };
    let stages_json: Vec<Value> = stages
        .iter()
        .map(|(name, paths)| {
            let rows: Vec<Value> = named(paths).map(|path| row(path, paths)).collect();
            json!({"stage": name, "paths": rows})
        })
        .collect();
    let handshakes: Vec<Value> = handshakes(stages)
        .into_iter()
        .map(|(family, rate)| json!({"family": family, "handshakes_a_second": rate.round()}))
        .collect();
    println!(
        "{}",
        json!({"rounds": args.rounds, "packets": args.packets, "machine": machine(),
               "stages": stages_json, "handshakes": handshakes})
    );
}

fn named(paths: &[Path]) -> impl Iterator<Item = &Path> {
    paths.iter().filter(|path| !path.name.is_empty())
}

/// As tables.
pub(crate) fn text(
    stages: &[(&'static str, Vec<Path>)],
    args: &Args,
) -> Result<String, fmt::Error> {
    let mut out = String::new();
    for (name, paths) in stages {
        let has_rivals = paths.iter().any(|path| path.rivals.hash.is_some());
        let has_net = paths.iter().any(|path| path.rivals.shuffled.is_some());
        write!(out, "{name:<44} {:>8} {:>7}", "ns", "x bare")?;
        if has_rivals {
            write!(out, " {:>7}", "x hash")?;
        }
        if has_net {
            write!(out, " {:>8} {:>7}", "net ns", "x hash")?;
        }
        writeln!(out)?;
        for path in named(paths) {
            let row = Row::of(path, paths);
            write!(out, "{:<44} {:>8.1} {:>7.2}", row.name, row.nanos, row.bare)?;
            if has_rivals {
                write!(out, " {:>7}", figure(row.hash, 2))?;
            }
            if has_net {
                write!(
                    out,
                    " {:>8} {:>7}",
                    figure(row.net, 1),
                    figure(row.net_hash, 2)
                )?;
            }
            writeln!(out)?;
        }
        writeln!(out)?;
    }
    for (family, rate) in handshakes(stages) {
        writeln!(
            out,
            "{:<44} {rate:>8.0} a second and CPU",
            format!("handshakes, {family}")
        )?;
    }
    writeln!(
        out,
        "medians of {} rounds, of {} packets a path; net: without making another frame each time\n{}",
        args.rounds,
        args.packets,
        machine()
    )?;
    Ok(out)
}

fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(String::new, |value| format!("{value:.decimals$}"))
}
