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

use anyhow::{Context as _, Result, bail};
use tcpguard_common::policy::Policy;

use self::{conversation::Conversations, selection::Selection};
use crate::{
    cli::TraceArgs,
    engine::{Rules, host::HostEngine},
    replay::{self, capture::Capture},
};

/// Prints one connection of a capture, or a list of them.
pub fn trace(args: &TraceArgs) -> Result<ExitCode> {
    let conversations = read(args)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let dropped = if let Some(shown) = conversations.shown() {
        if args.json {
            json::conversation(&mut out, shown, &conversations.rows)?;
        } else {
            text::conversation(&mut out, shown, &conversations.rows)?;
        }
        shown.dropped
    } else if let Some(selection) = args.connection {
        bail!(missing(selection, &conversations, args));
    } else {
        if args.json {
            json::list(&mut out, &conversations.list)?;
        } else {
            text::list(&mut out, &conversations.list)?;
        }
        conversations.list.iter().map(|it| it.dropped).sum()
    };
    out.flush()?;
    Ok(replay::status(dropped))
}

fn read(args: &TraceArgs) -> Result<Conversations> {
    let mut capture = Capture::open(&args.file)?;
    let mut engine = HostEngine::new(Rules::tracking(Policy::ENFORCE, args.pickup));
    let mut conversations = Conversations::new(args.connection);
    replay::each_line(&mut capture, &mut engine, |line| {
        conversations.add(line);
        Ok(())
    })
    .with_context(|| args.file.display().to_string())?;
    Ok(conversations)
}

fn missing(selection: Selection, conversations: &Conversations, args: &TraceArgs) -> String {
    let file = args.file.display();
    let count = conversations.list.len();
    match selection {
        Selection::Number(number) => {
            format!("{file} has no connection {number}: there are {count}, the first is 1")
        }
        Selection::Ends([one, two]) => format!(
            "{file} has no connection {one}>{two}: `tcpguard trace {file}` lists those that it has"
        ),
    }
}
