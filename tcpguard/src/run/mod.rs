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

use anyhow::{Result, bail, ensure};

use self::reloads::{News, Reloads};
use crate::{
    admission::opening::Opening,
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
        let reloads = Reloads::new(&args.guard, &options, shown.is_heard())?;
        let role = Role::Guards {
            filter: guard.has_filter(),
            reloads: reloads.is_some(),
        };
        Box::pin(shown.watch(role, metrics, guard, reloads)).await
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

    /// Makes its policy that of these options; returns what may be opened through its interfaces then.
    fn change(&mut self, options: &Options) -> Result<Vec<(String, Opening)>>;
}

impl Source for Guard {
    fn sample(&mut self) -> Result<Sample> {
        self.sample()
    }

    fn change(&mut self, options: &Options) -> Result<Vec<(String, Opening)>> {
        self.change(options)?;
        self.follow_log(options.log)?;
        let rules = self.attached().iter();
        Ok(rules
            .map(|it| (it.name.clone(), it.opening.clone()))
            .collect())
    }
}

impl Source for Followed {
    fn sample(&mut self) -> Result<Sample> {
        self.sample()
    }

    fn change(&mut self, _: &Options) -> Result<Vec<(String, Opening)>> {
        bail!("`tcpguard attach` has attached it: `tcpguard reload` changes it")
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
        Box::pin(self.watch(Role::Watches, metrics, followed, None)).await
    }

    /// Whether words on stderr would not tear a table.
    fn is_heard(&self) -> bool {
        !watch::takes_screen(self.output)
    }

    /// Shows readings, says alarms, hands metrics out and reloads meanwhile, with no more privileges than
    /// that takes.
    async fn watch(
        self,
        role: Role,
        metrics: Option<Server>,
        source: impl Source,
        reloads: Option<Reloads<'_>>,
    ) -> Result<()> {
        let mut ending = Ending::new(self.limit)?;
        if reloads.is_some() {
            ending = ending.but_for_reloads();
        }
        let news = reloads.as_ref().map_or_else(News::default, Reloads::news);
        let suspects = Suspects::new(source.lookout()?);
        // Whose reader is slow, or wants to know rarely, must not make metrics old.
        let shared = RefCell::new(source);
        let sample = || shared.borrow_mut().sample();
        let herald = Herald::new(&self.thresholds, suspects, self.is_heard())?;
        let alarms = herald.current();
        let displayed = || {
            Ok(Sample {
                alarms: alarms(),
                news: news.current(),
                ..sample()?
            })
        };
        tokio::select! {
            // The display comes first: it opens the terminal, which may be somebody else's.
            biased;
            watched = watch::watch(self.output, self.interval, ending, displayed, &shared) => watched,
            confined = confined(role) => match confined? {},
            never = herald.follow(sample) => match never {},
            never = served(metrics, sample) => match never {},
            never = reloaded(reloads, &shared) => match never {},
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

/// Does what is asked for by SIGHUP, where that can be.
async fn reloaded(reloads: Option<Reloads<'_>>, guard: &RefCell<impl Source>) -> Infallible {
    match reloads {
        Some(reloads) => reloads.follow(guard).await,
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
