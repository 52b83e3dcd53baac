//! What a running tcpguard takes of memory and CPU, however it shows what it reads once a second.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use xtask::lab::{guard, terminal::Terminal};

use crate::{
    Args,
    crowd::Crowd,
    figures::median,
    place::{Place, TCPGUARD, guarding},
    process::Process,
    report::{Column, Section},
};

/// Where metrics are handed out.
const METRICS: &str = "127.0.0.1:9464";
/// Between two readings, two samples of the memory that is shared and two scrapes.
const SECOND: Duration = Duration::from_secs(1);
/// Between two samples of what is its own.
const POLL: Duration = Duration::from_millis(5);
/// Until it does what it will do all the time, if it is watched as long.
const SETTLED: Duration = Duration::from_secs(3);

/// How it is asked to show.
#[derive(Clone, Copy)]
enum View {
    /// Lines, and so by this option.
    Lines(&'static str),
    /// Lines that nobody needs, and metrics that are asked for each second.
    Scraped,
    /// A page of the live table, which this key shows.
    Page(&'static str),
}

const VIEWS: [(&str, View); 6] = [
    ("run --plain", View::Lines("--plain")),
    ("run --json", View::Lines("--json")),
    ("run --metrics, scraped", View::Scraped),
    ("run --tui, overview", View::Page("1")),
    ("run --tui, connections", View::Page("2")),
    ("run --tui, top", View::Page("3")),
];

pub(crate) fn measure(place: &Place, args: &Args) -> Result<Section> {
    let mut rows = Vec::new();
    for (name, view) in VIEWS {
        let running = Running::start(place, view, args.connections)?;
        let watched = watch(place, &running, args);
        running.end(place)?;
        rows.push((name.to_owned(), watched.context(name)?.into()));
    }
    Ok(Section {
        columns: vec![
            Column::new("PSS MB", "pss_mb"),
            Column::new("own peak MB", "own_peak_mb"),
            Column::new("CPU %", "cpu_percent"),
        ],
        rows,
    })
}

/// A tcpguard that guards and shows.
enum Running<'a> {
    Piped(Child, View),
    OnScreen(Terminal<'a>, View),
}

impl<'a> Running<'a> {
    fn start(place: &'a Place, view: View, connections: u32) -> Result<Self> {
        let room = connections.to_string();
        let guarding = guarding(&room);
        let options: &[&str] = match view {
            View::Lines(option) => &[option],
            View::Scraped => &["--plain", "--metrics", METRICS],
            View::Page(_) => &["--tui"],
        };
        let words = [&["run"], &guarding[..], options].concat();
        if let View::Page(_) = view {
            let script = format!("exec {TCPGUARD} {}", words.join(" "));
            let terminal = Terminal::new(&place.host, "footprint", &script)?;
            return Ok(Self::OnScreen(terminal, view));
        }
        let mut command = place.host.command(TCPGUARD);
        command.args(words).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self::Piped(
            child.context("failed to start tcpguard")?,
            view,
        ))
    }

    fn process(&self) -> Result<Process> {
        Ok(Process(match self {
            Self::Piped(child, _) => child.id(),
            Self::OnScreen(terminal, _) => terminal.process()?,
        }))
    }

    /// Makes it show what it is to show.
    fn turn(&self) -> Result<()> {
        match self {
            Self::OnScreen(terminal, View::Page(key)) => terminal.press(&[key]),
            Self::Piped(..) | Self::OnScreen(..) => Ok(()),
        }
    }

    fn is_scraped(&self) -> bool {
        matches!(self, Self::Piped(_, View::Scraped))
    }

    fn end(self, place: &Place) -> Result<()> {
        match self {
            Self::Piped(mut child, _) => {
                let status = guard::end(&mut child)?;
                ensure!(status.success(), "tcpguard ended with {status}");
            }
            Self::OnScreen(terminal, _) => drop(terminal),
        }
        place.wait_until(false)
    }
}

/// Megabytes that it shares and has, megabytes of its own at most, and per cent of a CPU.
fn watch(place: &Place, running: &Running<'_>, args: &Args) -> Result<[f64; 3]> {
    place.wait_until(true)?;
    let _crowd = Crowd::establish(place, args.connections)?;
    running.turn()?;
    thread::sleep(SETTLED.min(args.watched_for()));
    let process = running.process()?;
    let (start, before) = (Instant::now(), process.spent()?);
    let (mut shares, mut own) = (Vec::new(), 0.0_f64);
    let mut next = start;
    while start.elapsed() < args.watched_for() {
        own = own.max(process.own()?);
        if Instant::now() >= next {
            next += SECOND;
            shares.push(process.share()?);
            if running.is_scraped() {
                place.host.within(scrape)??;
            }
        }
        thread::sleep(POLL);
    }
    let spent = process.spent()?.saturating_sub(before);
    let cpu = spent.as_secs_f64() / start.elapsed().as_secs_f64();
    Ok([median(shares) / 1e6, own / 1e6, cpu * 100.0])
}

/// Asks for metrics as Prometheus does.
fn scrape() -> Result<()> {
    let mut stream = TcpStream::connect(METRICS).context("failed to scrape")?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: guard\r\n\r\n")?;
    let mut told = String::new();
    stream.read_to_string(&mut told)?;
    ensure!(told.contains("tcpguard_connections{"), "no metrics: {told}");
    Ok(())
}
