//! `cargo xtask demo`: tcpguard on a private network that is attacked before your eyes.
//!
//! The network consists of namespaces and vanishes with this process; nothing touches an interface
//! of the host. The demo judges what it shows: it fails if a legitimate request failed, an illegal
//! segment passed, or the counts of attacker, witness and guard do not add up exactly.

mod outcome;
mod progress;
mod report;
mod screen;
mod show;
mod stage;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::{outcome::End, stage::Form};
use crate::{
    privilege::{as_root, is_root},
    process::cannot_start,
    run::become_command,
    setup, workspace,
};

pub(crate) const HELP: &str = "\
Exit status: 0 every legitimate request was answered, every illegal segment dropped, and all counts
agree; 1 otherwise.";

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// How long to attack
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: u16,
    /// One JSON object at the end; what happens meanwhile goes to stderr
    #[arg(long)]
    json: bool,
    /// Leave the guard out, to see that the demo would notice
    #[arg(long)]
    unguarded: bool,
    /// The tcpguard to show, instead of building it
    #[arg(long, value_name = "FILE")]
    guard: Option<PathBuf>,
}

pub(crate) fn run(args: &DemoArgs) -> Result<()> {
    let guard = match &args.guard {
        Some(guard) => guard.clone(),
        None => build()?,
    };
    if !is_root() {
        match become_command(as_root(again(args, &guard)?, "the demo's private network")?)? {}
    }
    let form = match (args.unguarded, args.json) {
        (true, _) => Form::Unguarded,
        (false, false) if screen::is_possible() => Form::Table,
        (false, _) => Form::Lines,
    };
    let outcome = show::show(args.seconds, form, &guard)?;
    if args.json {
        print!("{}", report::json(&outcome));
    } else if outcome.end != End::GuardLeft {
        print!("{}", report::text(&outcome, report::Paint::of_stdout()));
    }
    outcome.judge()
}

fn build() -> Result<PathBuf> {
    setup::ensure()?;
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "--package", "tcpguard"]);
    let status = cargo.status().with_context(|| cannot_start(&cargo))?;
    ensure!(status.success(), "tcpguard does not build");
    Ok(workspace::target_dir().join("release/tcpguard"))
}

/// This very command for root, who has nothing left to build.
fn again(args: &DemoArgs, guard: &Path) -> Result<Command> {
    let xtask = env::current_exe().context("cannot tell where the xtask itself lies")?;
    let mut command = Command::new(xtask);
    let mut words: Vec<OsString> = vec!["demo".into(), "--guard".into(), guard.into()];
    words.extend(["--seconds".into(), args.seconds.to_string().into()]);
    words.extend(args.json.then(|| "--json".into()));
    words.extend(args.unguarded.then(|| "--unguarded".into()));
    command.args(words);
    Ok(command)
}
