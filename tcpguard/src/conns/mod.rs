//! `tcpguard conns`: the connections that a running guard follows.
//!
//! ```text
//! find (guards of this network namespace) -> Flows -> Filter -> text  a table
//!                                                            -> json  an object a line
//! ```
//!
//! Everything behind `find` is pure. The guard is another process and is not asked: its tables are
//! read where they lie.

mod filter;
mod find;
mod json;
mod listing;
mod text;

use std::{
    io::{self, BufWriter, IsTerminal as _, Write},
    process::ExitCode,
};

use anyhow::Result;

pub use self::filter::{Filter, Prefix};
use self::listing::Listing;
use crate::{cli::ConnsArgs, preflight};

/// Prints the connections of every guard in this network namespace.
pub fn conns(args: &ConnsArgs) -> Result<ExitCode> {
    preflight::check_reader()?;
    let guards = find::guards()?;
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

/// How many characters a line of the terminal holds; `None` if stdout leads elsewhere.
fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let (width, _) = ratatui::crossterm::terminal::size().ok()?;
    Some(width.into())
}
