//! `tcpguard top`: who moves most, and who is objected to most, in an interval.
//!
//! ```text
//! flow tables, twice -> talkers    addresses by the octets of their connections
//! evidence, between  -> offenders  sources by the segments that were objected to, as a sample tells
//! ```
//!
//! `live` measures the same over and over, for a page of the live table.

mod ledger;
pub(crate) mod live;
pub(crate) mod offenders;
pub(crate) mod talkers;

use std::{
    io::{self, Write},
    process::ExitCode,
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use serde::Serialize;
use tcpguard_common::policy::ReasonSet;

use self::{
    offenders::{Offender, offenders},
    talkers::{Moved, Talker, count_connections, so_far},
};
use crate::{
    cli::TopArgs,
    evidence::archive::{self, Archive},
    flows::Flows,
    found::{self, Found},
    preflight, stats,
    watch::number,
};

/// Prints one reading over an interval.
pub fn top(args: &TopArgs) -> Result<ExitCode> {
    preflight::check_reader()?;
    let guards = stats::chosen(found::at_least_one("top")?, &args.interfaces)?;
    let mut archive = Archive::of(&guards, &args.interfaces, ReasonSet::ALL)?;
    // What was before is not of this interval.
    archive.read();
    let start = Instant::now();
    let mut before = Vec::new();
    each(&guards, |flows| before.push(so_far(flows)))?;
    let mut seen = Vec::new();
    while let Some(left) = args.interval.checked_sub(start.elapsed()) {
        // Often enough that nothing is pushed out between two looks.
        thread::sleep(left.min(archive::POLL));
        seen.extend(archive.read());
    }
    let elapsed = start.elapsed();
    let (mut moved, mut before) = (Moved::default(), before.into_iter());
    each(&guards, |flows| {
        moved.add(flows, before.next().unwrap_or_default(), elapsed);
    })?;
    let mut talkers = moved.talkers(elapsed, args.limit);
    each(&guards, |flows| count_connections(&mut talkers, flows))?;
    let top = Top {
        ts: since_1970(),
        interval_s: elapsed.as_secs_f64(),
        talkers,
        offenders: offenders(&seen, elapsed, args.limit),
    };
    let mut stdout = io::stdout();
    if args.json {
        writeln!(stdout, "{}", serde_json::to_string(&top)?)?;
    } else {
        top.print(&mut stdout)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Hands over the tables of each guard, mapped for that time only.
fn each(guards: &[Found], mut visit: impl FnMut(&Flows)) -> Result<()> {
    for found in guards {
        let flows = found.flows();
        let names = || format!("cannot read the guard on {}", found.names().join(", "));
        visit(&flows.with_context(names)?);
    }
    Ok(())
}

fn since_1970() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// What is printed. The keys and their order are a contract.
#[derive(Serialize)]
struct Top {
    ts: f64,
    interval_s: f64,
    talkers: Vec<Talker>,
    offenders: Vec<Offender>,
}

impl Top {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{:<39} {:>11} {:>8} {:>8} {:>8}",
            "Talker", "connections", "octets/s", "sends", "receives"
        )?;
        for talker in &self.talkers {
            let rates = [
                talker.octets_per_s,
                talker.sent_per_s,
                talker.received_per_s,
            ];
            let [both, sent, received] = rates.map(number::scaled);
            let connections = number::grouped(talker.connections);
            writeln!(
                out,
                "{:<39} {connections:>11} {both:>8} {sent:>8} {received:>8}",
                talker.address.to_string()
            )?;
        }
        if self.talkers.is_empty() {
            writeln!(out, "no connection moved anything")?;
        }
        writeln!(
            out,
            "\n{:<39} {:>9} {:>12}  reason",
            "Offender", "dropped/s", "would drop/s"
        )?;
        for offender in &self.offenders {
            writeln!(
                out,
                "{:<39} {:>9} {:>12}  {}",
                offender.source.to_string(),
                number::scaled(offender.dropped_per_s),
                number::scaled(offender.would_drop_per_s),
                offender.reason
            )?;
        }
        if self.offenders.is_empty() {
            writeln!(out, "nothing was objected to")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_fit_a_narrow_terminal() {
        let top = Top {
            ts: 1.5,
            interval_s: 1.0,
            talkers: vec![Talker {
                address: "2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap(),
                connections: 1_000_000,
                octets_per_s: 1_250_000_000,
                sent_per_s: 1_200_000_000,
                received_per_s: 50_000_000,
            }],
            offenders: vec![Offender {
                source: "203.0.113.9".parse().unwrap(),
                dropped_per_s: 1_234_567,
                would_drop_per_s: 0,
                reason: "rst-out-of-window",
            }],
        };
        let mut text = Vec::new();
        top.print(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.lines().all(|line| line.chars().count() <= 81),
            "{text}"
        );
        for word in ["1 000 000", "1.25 G", "1.23 M", "rst-out-of-window"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}
