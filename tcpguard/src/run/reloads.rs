//! SIGHUP to a guard of this process that has a file and no terminal: what the file says of policy holds
//! from the next frame on, and connections and counters stay.

use std::{
    cell::RefCell,
    convert::Infallible,
    future,
    io::{self, Write as _},
    time::Duration,
};

use anyhow::Result;
use tokio::{signal::unix::Signal, time::timeout};

use crate::{
    admission,
    cli::GuardArgs,
    config,
    guard::{Guard, Options},
    object::Log,
    pins::Pins,
    privileges,
    watch::{ending, output::Output},
};

/// How long one who does not read may keep the next request waiting.
const GRACE: Duration = Duration::from_secs(1);

/// What somebody asks for by SIGHUP.
pub(super) struct Reloads<'a> {
    hang_up: Signal,
    args: &'a GuardArgs,
    log: Log,
    output: Output,
}

impl<'a> Reloads<'a> {
    /// Of a guard with these arguments, before it gives its capabilities up. `None` where SIGHUP says
    /// something else, or where nothing could be done: that is told.
    pub(super) fn new(args: &'a GuardArgs, log: Log, guard: &Guard) -> Result<Option<Self>> {
        // A terminal that goes away sends the same, by way of a shell or of sudo while it still is there.
        if args.config.is_none() || ending::has_terminal() {
            return Ok(None);
        }
        let Some(hang_up) = ending::hang_up()? else {
            return Ok(None);
        };
        // Mounts bpffs if it has to: later this process may not.
        if let Err(error) = guard.check_change().and_then(|()| Pins::open().map(drop)) {
            let _ = writeln!(
                io::stderr(),
                "SIGHUP will not reload, but end it: {error:#}"
            );
            return Ok(None);
        }
        Ok(Some(Self {
            hang_up,
            args,
            log,
            output: Output::stderr()?,
        }))
    }

    async fn tell(&mut self, told: &str) {
        self.output.push(format!("{told}\n").as_bytes());
        // What is not taken now goes out with the next.
        let _ = timeout(GRACE, self.output.taken()).await;
    }
}

/// Does what is asked for until it is dropped.
pub(super) async fn follow(reloads: Option<Reloads<'_>>, guard: &RefCell<Guard>) -> Infallible {
    let Some(mut reloads) = reloads else {
        return future::pending().await;
    };
    while reloads.hang_up.recv().await.is_some() {
        let told = match reload(&reloads, &mut guard.borrow_mut()) {
            Ok(told) => format!("reloaded {told}"),
            Err(error) => format!("not reloaded: {error:#}"),
        };
        reloads.tell(&told).await;
    }
    future::pending().await
}

fn reload(reloads: &Reloads<'_>, guard: &mut Guard) -> Result<String> {
    let file = config::given(reloads.args.config.as_deref())?;
    let options = Options::new(reloads.args, &file, reloads.log)?;
    privileges::with_all(|| guard.change(&options))?;
    if let Err(error) = guard.follow_log(reloads.log) {
        let _ = writeln!(io::stderr(), "no more records of segments: {error:#}");
    }
    let rules = guard.attached().iter();
    let rules: Vec<_> = rules
        .map(|it| (it.name.clone(), it.opening.clone()))
        .collect();
    let names: Vec<_> = rules.iter().map(|(name, _)| name.as_str()).collect();
    let told = admission::described(options.policy.drop, &rules, &options.sources);
    let cookies = guard.cookies().described();
    Ok(format!("{}: {told}{cookies}", names.join(", ")))
}
