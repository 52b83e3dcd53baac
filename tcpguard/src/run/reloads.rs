//! SIGHUP to a guard of this process that has a file: what the file says of policy holds from the next
//! frame on, and connections and counters stay.

use std::{
    cell::RefCell,
    convert::Infallible,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::Source;
use crate::{
    admission,
    cli::GuardArgs,
    config,
    guard::Options,
    privileges,
    watch::{
        ending::{HangUp, Sent},
        output::Output,
    },
};

/// How long a live table shows what has become of one.
const SHOWN: Duration = Duration::from_secs(10);

/// What somebody has asked for by SIGHUP, and what has become of it.
pub(super) struct Reloads<'a> {
    hang_up: HangUp,
    args: &'a GuardArgs,
    options: Options,
    news: News,
    /// `None` where words would tear the screen.
    output: Option<Output>,
}

/// What was said last.
#[derive(Clone, Default)]
pub(super) struct News(Rc<RefCell<Option<(Instant, String)>>>);

impl News {
    /// It, while it is new.
    pub(super) fn current(&self) -> Option<String> {
        let news = self.0.borrow();
        let (when, text) = news.as_ref()?;
        (when.elapsed() < SHOWN).then(|| text.clone())
    }
}

impl<'a> Reloads<'a> {
    /// Of a guard that has these `options` now; `None` if it has no file to read again.
    pub(super) fn new(args: &'a GuardArgs, options: &Options, heard: bool) -> Result<Option<Self>> {
        if args.config.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            hang_up: HangUp::new()?,
            args,
            options: options.clone(),
            news: News::default(),
            output: heard.then(Output::stderr).transpose()?,
        }))
    }

    /// What it says last.
    pub(super) fn news(&self) -> News {
        self.news.clone()
    }

    /// Does what is asked for until it is dropped.
    pub(super) async fn follow(mut self, guard: &RefCell<impl Source>) -> Infallible {
        loop {
            // If the terminal has gone, whoever watches ends it.
            if self.hang_up.comes().await == Sent::BySomebody {
                let told = match self.reload(guard) {
                    Ok(told) => format!("reloaded {told}"),
                    Err(error) => format!("not reloaded: {error:#}"),
                };
                self.tell(told).await;
            }
        }
    }

    fn reload(&mut self, guard: &RefCell<impl Source>) -> Result<String> {
        let file = config::given(self.args.config.as_deref())?;
        let options = Options::new(self.args, &file, self.options.log)?;
        let differs = self.options.fixed_keys_that_differ(&options);
        ensure!(
            differs.is_empty(),
            "{} cannot be changed while it works: start it anew; connections of this host are adopted",
            differs.join(", ")
        );
        let rules = privileges::with_all(|| guard.borrow_mut().change(&options))?;
        let names: Vec<_> = rules.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(", ");
        let told = admission::described(options.policy.drop, &rules, &options.sources);
        self.options = options;
        Ok(format!("{names}: {told}"))
    }

    async fn tell(&mut self, told: String) {
        if let Some(output) = &mut self.output {
            output.push(format!("{told}\n").as_bytes());
            // Nobody who closes stderr wants to hear of that.
            let _ = output.taken().await;
        }
        *self.news.0.borrow_mut() = Some((Instant::now(), told));
    }
}
