//! Entry point: parse the command line, run the command, say how it ended.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use tcpguard::{
    capture,
    cli::{Cli, Command},
    conns, events, explain, manual, pinned, reload, replay, run, stats, status, top, trace,
    upgrade,
};

/// 0 ok, 1 a finding, 2 an error; as clap itself exits with 2 on a wrong command line.
const ERROR: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Run(args) => run::run(args, cli.verbose),
        Command::Attach(args) => pinned::attach(args),
        Command::Detach(args) => pinned::detach(args),
        Command::Upgrade(args) => upgrade::upgrade(args),
        Command::Reload(args) => reload::reload(args),
        Command::CheckConfig(args) => reload::check(args),
        Command::Status(args) => status::status(args),
        Command::Stats(args) => stats::stats(args),
        Command::Metrics(args) => stats::metrics(args),
        Command::Conns(args) => conns::conns(args),
        Command::Top(args) => top::top(args),
        Command::Events(args) => events::events(args),
        Command::Capture(args) => capture::capture(args),
        Command::Explain(args) => explain::explain(args),
        Command::Replay(args) => replay::replay(args),
        Command::Trace(args) => trace::trace(args),
        Command::Completions(args) => manual::completions(args),
        Command::Man(args) => manual::man(args),
    };
    match result {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Not `eprintln`, which panics when stderr is a terminal that has gone.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(ERROR)
        }
    }
}

/// Whether the reader of our output has left, which is no failure of ours (`tcpguard ... | head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
