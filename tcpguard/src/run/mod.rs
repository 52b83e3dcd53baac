//! `tcpguard run`: attach, watch, detach; or watch what `tcpguard attach` has attached.

mod reloads;

use std::{
    cell::RefCell,
    convert::Infallible,
    future,
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Result, ensure};

use self::reloads::Reloads;
use crate::{
    alarm::{Herald, Suspects, Thresholds},
    announcement,
    cli::{OutputArgs, RunArgs},
    config::{self, Output},
    found::Found,
    guard::{Guard, Options},
    metrics::Server,
    object::Log,
    pinned, preflight,
    privileges::{self, Role},
    runtime,
    sample::Sample,
    stats::Followed,
    watch::{self, Insight, ending::Ending},
};

/// Between two readings.
const INTERVAL: Duration = Duration::from_secs(1);

/// Guards until it is told to stop.
pub fn run(args: &RunArgs, verbose: bool) -> Result<ExitCode> {
    if args.watch {
        // Who only reads loads and attaches nothing, and needs no capability for that.
        preflight::check_reader()?;
    } else {
        preflight::check()?;
    }
    let file = config::given(args.guard.config.as_deref())?;
    let log = if verbose { Log::Debug } else { Log::Off };
    let options = Options::new(&args.guard, &file, log)?;
    let shown = Shown {
        output: output(args.output, file.output, verbose),
        interval: args.interval.or(file.interval).unwrap_or(INTERVAL),
        limit: args.duration,
        thresholds: file.alert,
    };
    runtime::block_on(async {
        let metrics = match args.metrics.or(file.metrics) {
            Some(address) => Some(Server::bind(address).await?),
            None => None,
        };
        if let Some(found) = watched(args, verbose, &options.interfaces)? {
            return shown.follow(metrics, found).await;
        }
        let mut guard = Guard::attach(&options)?;
        announcement::announce(&guard, &options.sources);
        guard.follow_log(options.log)?;
        let reloads = Reloads::new(&args.guard, options.log, &guard)?;
        let role = Role::Guards {
            filter: guard.has_filter(),
            reloads: reloads.is_some(),
        };
        let mut ending = Ending::new(shown.limit)?;
        if reloads.is_some() {
            ending = ending.but_for_hang_up();
        }
        // Whose reader is slow, or wants to know rarely, must not make metrics old.
        let shared = RefCell::new(guard);
        let reloaded = reloads::follow(reloads, &shared);
        Box::pin(shown.watch(role, ending, metrics, &shared, reloaded)).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The guard to watch instead of attaching one.
fn watched(args: &RunArgs, verbose: bool, names: &[String]) -> Result<Option<Found>> {
    let found = pinned::guard_on(names)?;
    if args.watch {
        ensure!(
            found.is_some(),
            "nothing to watch: `tcpguard attach` guards nothing on {}",
            names.join(", ")
        );
    } else if let Some(found) = &found {
        check_changes(args, verbose, found)?;
    }
    Ok(found)
}

/// A guard that can be read.
trait Source: Insight {
    fn sample(&mut self) -> Result<Sample>;
}

impl Source for Guard {
    fn sample(&mut self) -> Result<Sample> {
        self.sample()
    }
}

impl Source for Followed {
    fn sample(&mut self) -> Result<Sample> {
        self.sample()
    }
}

/// How a guard is watched.
struct Shown {
    output: OutputArgs,
    interval: Duration,
    limit: Option<Duration>,
    /// What raises an alarm.
    thresholds: Thresholds,
}

impl Shown {
    /// Shows readings of a guard that another process has attached.
    async fn follow(self, metrics: Option<Server>, found: Found) -> Result<()> {
        let names = found.names().join(", ");
        let followed = Followed::new(found)?;
        let _ = writeln!(
            io::stderr(),
            "watching the guard on {names} that `tcpguard attach` has attached; it stays"
        );
        let (ending, followed) = (Ending::new(self.limit)?, RefCell::new(followed));
        let reloaded = future::pending();
        Box::pin(self.watch(Role::Watches, ending, metrics, &followed, reloaded)).await
    }

    /// Shows readings, says alarms, hands metrics out and reloads meanwhile, with no more privileges than
    /// that takes.
    async fn watch(
        self,
        role: Role,
        ending: Ending,
        metrics: Option<Server>,
        shared: &RefCell<impl Source>,
        reloaded: impl Future<Output = Infallible>,
    ) -> Result<()> {
        let suspects = Suspects::new(shared.lookout()?);
        let sample = || shared.borrow_mut().sample();
        let is_heard = !watch::takes_screen(self.output);
        let herald = Herald::new(&self.thresholds, suspects, is_heard)?;
        let alarms = herald.current();
        let displayed = || {
            Ok(Sample {
                alarms: alarms(),
                ..sample()?
            })
        };
        tokio::select! {
            // The display comes first: it opens the terminal, which may be somebody else's.
            biased;
            watched = watch::watch(self.output, self.interval, ending, displayed, shared) => watched,
            confined = confined(role) => match confined? {},
            never = herald.follow(sample) => match never {},
            never = served(metrics, sample) => match never {},
            never = reloaded => match never {},
        }
    }
}

/// Gives privileges up at once; ends only if that fails.
async fn confined(role: Role) -> Result<Infallible> {
    privileges::drop_all_but(role)?;
    future::pending().await
}

/// Hands metrics out, where that is asked for.
async fn served(server: Option<Server>, sample: impl FnMut() -> Result<Sample>) -> Infallible {
    match server {
        Some(server) => server.serve(sample).await,
        None => future::pending().await,
    }
}

/// A guard stays as it was attached: who asks for another one must not believe to have it.
fn check_changes(args: &RunArgs, verbose: bool, found: &Found) -> Result<()> {
    let change = args.guard.choice().or(verbose.then_some("--verbose"));
    let names = found.names().join(" --iface ");
    ensure!(
        change.is_none(),
        "{} is guarded already by `tcpguard attach`, and {} cannot change that: leave it out to watch \
         that guard, or take it off first (`tcpguard detach --iface {names}`)",
        found.names().join(", "),
        change.unwrap_or_default(),
    );
    Ok(())
}

/// As the flags say, or else the file. Log lines would tear the live table: with them, lines are the
/// default.
fn output(flags: OutputArgs, file: Option<Output>, verbose: bool) -> OutputArgs {
    if flags.json || flags.plain || flags.tui {
        return flags;
    }
    OutputArgs {
        json: file == Some(Output::Json),
        plain: file == Some(Output::Plain) || (file.is_none() && verbose),
        tui: file == Some(Output::Tui),
    }
}
