//! `tcpguard conns`: the connections that a running guard follows.
//!
//! ```text
//! found (guards of this network namespace) -> Flows -> Filter -> text  a table
//!                                                             -> json  an object a line
//! ```
//!
//! Everything behind `found` is pure. The guard is another process and is not asked: its tables are
//! read where they lie.

mod filter;
mod json;
mod listing;
mod text;

use std::{
    io::{self, BufWriter, IsTerminal as _, Write},
    process::ExitCode,
};

use anyhow::{Context as _, Result};

pub use self::filter::Filter;
use self::listing::Listing;
#[cfg(test)]
pub(crate) use self::listing::specimen;
pub(crate) use self::{
    listing::{closed_by, remarks},
    text::time,
};
use crate::{cli::ConnsArgs, flows::Flows, found, preflight};

/// Prints the connections of every guard in this network namespace.
pub fn conns(args: &ConnsArgs) -> Result<ExitCode> {
    preflight::check_reader()?;
    let guards = followed()?;
    let filter = Filter {
        states: args.states.clone(),
        within: args.addr,
        port: args.port,
    };
    let listing = Listing::new(&guards, &filter, args.limit);
    let mut stdout = BufWriter::new(io::stdout().lock());
    if args.json {
        json::print(&listing, &mut stdout)?;
    } else {
        text::print(&listing, terminal_width(), &mut stdout)?;
    }
    stdout.flush()?;
    if let Some(remark) = listing.remark() {
        let _ = writeln!(io::stderr(), "{remark}");
    }
    Ok(ExitCode::SUCCESS)
}

/// A guard at work.
struct Guard {
    /// Names of its interfaces.
    interfaces: Vec<String>,
    flows: Flows,
}

/// The guards whose tables can be read.
fn followed() -> Result<Vec<Guard>> {
    let mut guards = Vec::new();
    for found in found::at_least_one("conns")? {
        let interfaces = found.names();
        let flows = found.flows();
        let flows =
            flows.with_context(|| format!("cannot read the guard on {}", interfaces.join(", ")))?;
        guards.push(Guard { interfaces, flows });
    }
    Ok(guards)
}

/// How many characters a line of the terminal holds; `None` if stdout leads elsewhere.
fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let (width, _) = ratatui::crossterm::terminal::size().ok()?;
    Some(width.into())
}
