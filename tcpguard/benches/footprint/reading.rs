//! What it takes to read the tables once, and what packets lose while somebody reads them.

use std::{
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Args,
    crowd::{Crowd, Tables},
    figures::{median, ratio},
    place::{Place, TCPGUARD},
    process::Process,
    report::{Column, Section},
};

/// Between two looks at the memory of a process.
const POLL: Duration = Duration::from_millis(1);
/// Segments of a round.
const PACKETS: u32 = 2_000_000;
/// Commands that read all tables.
const COMMANDS: [&[&str]; 4] = [
    &["stats", "--json"],
    &["conns", "--json", "--limit", "10"],
    &["conns", "--json"],
    &["top", "--json", "--interval", "10ms"],
];

/// By the library in this process, and by commands as an operator gives them.
pub(crate) fn measure(place: &Place, args: &Args) -> Result<Section> {
    let attached = place.attach(args.connections)?;
    let _crowd = Crowd::establish(place, args.connections)?;
    let tables = Tables::new(place, args.connections)?;
    let mut rows = Vec::new();
    let mut note = |name: &str, run: &dyn Fn() -> Result<f64>| -> Result<()> {
        // What is not known stays what it is.
        let (mut times, mut peak) = (Vec::new(), f64::NAN);
        for _ in 0..args.rounds {
            let start = Instant::now();
            peak = peak.max(run()?);
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        rows.push((name.to_owned(), vec![median(times), peak / 1e6]));
        Ok(())
    };
    let unknown = |()| f64::NAN;
    note("count by state, in this process", &|| {
        tables.count().map(unknown)
    })?;
    note("list of all, in this process", &|| {
        tables.list().map(drop).map(unknown)
    })?;
    for command in COMMANDS {
        note(&command.join(" "), &|| peak(place, command))?;
    }
    drop(attached);
    Ok(Section {
        columns: vec![
            Column::new("ms", "ms"),
            Column::new("own peak MB", "own_peak_mb"),
        ],
        rows,
    })
}

/// Runs a command that prints to nobody, and returns the most octets of memory that it had of its own.
fn peak(place: &Place, words: &[&str]) -> Result<f64> {
    let mut command = place.host.command(TCPGUARD);
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut child = command.stderr(Stdio::null()).spawn()?;
    let process = Process(child.id());
    let mut peak = 0.0_f64;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // In its last moments it has none any more.
        peak = peak.max(process.own().unwrap_or(0.0));
        thread::sleep(POLL);
    };
    ensure!(status.success(), "tcpguard {words:?} ended with {status}");
    Ok(peak)
}

/// Segments of connections by chance, undisturbed and while another thread counts all over and over.
pub(crate) fn disturb(place: &Place, args: &Args) -> Result<Section> {
    let _attached = place.attach(args.connections)?;
    let mut crowd = Crowd::establish(place, args.connections)?;
    let reader = Tables::new(place, args.connections)?;
    let (mut alone, mut read) = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=args.rounds {
        let quiet = crowd.hit(PACKETS)?;
        let disturbed = while_read(&reader, || crowd.hit(PACKETS))?;
        if round > 0 {
            alone.push(quiet);
            read.push(disturbed);
        }
    }
    let factor = ratio(&read, &alone);
    let figures = vec![median(alone), median(read), factor];
    Ok(Section {
        columns: vec![
            Column::new("ns alone", "ns_alone"),
            Column::new("ns read", "ns_read"),
            Column::new("x alone", "x_alone"),
        ],
        rows: vec![("segment of a connection by chance".into(), figures)],
    })
}

fn while_read<T>(tables: &Tables, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let reading = scope.spawn(|| -> Result<()> {
            while !stop.load(Ordering::Relaxed) {
                tables.count()?;
            }
            Ok(())
        });
        let done = work();
        stop.store(true, Ordering::Relaxed);
        reading.join().ok().context("the reader panicked")??;
        done
    })
}
