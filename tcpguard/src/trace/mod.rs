//! `tcpguard trace`: a conversation of a capture as a table, and whether its arithmetic holds.

mod arithmetic;
mod conversation;
mod json;
mod mark;
pub mod selection;
mod text;

use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use tcpguard_common::policy::Policy;

use self::{conversation::Conversations, selection::Selection};
use crate::{
    cli::TraceArgs,
    engine::{Rules, host::HostEngine},
    replay::{self, capture::Capture},
};

/// Prints one connection of a capture, or a list of them.
pub fn trace(args: &TraceArgs) -> Result<ExitCode> {
    let mut capture = Capture::open(&args.file)?;
    let mut engine = HostEngine::new(Rules::tracking(Policy::ENFORCE, args.pickup));
    let mut conversations = Conversations::new(args.connection);
    let end = replay::each_line(&mut capture, &mut engine, |line| {
        conversations.add(line);
        Ok(())
    });
    // What was read before something went wrong is printed all the same.
    let shown = show(&conversations, args)?;
    end.with_context(|| args.file.display().to_string())?;
    let dropped = shown.with_context(|| missing(&conversations, args))?;
    Ok(replay::status(dropped))
}

/// Prints what was asked for; how many segments of it would be dropped, if it is there.
fn show(conversations: &Conversations, args: &TraceArgs) -> io::Result<Option<u64>> {
    let mut out = BufWriter::new(io::stdout().lock());
    let list = &conversations.list;
    let dropped = match conversations.shown() {
        Some(shown) => {
            if args.json {
                json::conversation(&mut out, shown, &conversations.rows)?;
            } else {
                text::conversation(&mut out, shown, &conversations.rows)?;
            }
            shown.dropped
        }
        None if args.connection.is_some() => return Ok(None),
        None => {
            if args.json {
                json::list(&mut out, list)?;
            } else {
                text::list(&mut out, list)?;
            }
            list.iter().map(|it| it.dropped).sum()
        }
    };
    out.flush()?;
    Ok(Some(dropped))
}

fn missing(conversations: &Conversations, args: &TraceArgs) -> String {
    let file = args.file.display();
    let count = conversations.list.len();
    match args.connection {
        Some(Selection::Number(number)) => {
            format!("{file} has no connection {number}: there are {count}, the first is 1")
        }
        Some(Selection::Ends([one, two])) => format!(
            "{file} has no connection {one}>{two}: `tcpguard trace {file}` lists those that it has"
        ),
        None => format!("{file} has no connection"),
    }
}
