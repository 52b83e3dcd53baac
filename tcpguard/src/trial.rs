//! A change on trial: it is kept only if somebody says so in time.

use std::{
    io::{self, Write as _},
    os::fd::AsFd as _,
    process, thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::{
    process::getpgrp,
    termios::{QueueSelector, tcflush, tcgetpgrp},
};
use tokio::{
    net::unix::pipe,
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use crate::watch::ending::Ending;

/// How a change on trial has ended.
pub(crate) enum Trial<T> {
    /// It was confirmed.
    Kept,
    /// It was not: this is to be taken back.
    Refused(T),
}

/// Makes a change, and waits whether it is confirmed within `limit`: by Enter on the terminal, or by
/// SIGUSR1. SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM and SIGUSR2 are a no; SIGTSTP, with which the time
/// would stop as well, is nothing. The change comes with what is to be said of it.
///
/// # Errors
///
/// If the change fails.
pub(crate) async fn run<T>(
    limit: Duration,
    change: impl FnOnce() -> Result<(T, String)>,
) -> Result<Trial<T>> {
    // Before the change: what it cuts may be the session that it was asked for in.
    let mut no = No::new()?;
    let mut yes = listen(SignalKind::user_defined1())?;
    let _stop = listen(SignalKind::from_raw(libc::SIGTSTP))?;
    let (changed, told) = change()?;
    let time = sleep(limit);
    let mut terminal = terminal();
    let has_terminal = terminal.is_some();
    // Not here: the time runs, whether or not anybody reads this.
    thread::spawn(move || announce(&told, limit, has_terminal));
    tokio::select! {
        biased;
        _ = yes.recv() => Ok(Trial::Kept),
        () = is_entered(&mut terminal) => Ok(Trial::Kept),
        () = no.comes() => Ok(Trial::Refused(changed)),
        () = time => Ok(Trial::Refused(changed)),
    }
}

/// Signals that are a no.
struct No {
    ending: Ending,
    others: [Signal; 3],
}

impl No {
    fn new() -> Result<Self> {
        let [quit, alarm, user] = [
            SignalKind::quit(),
            SignalKind::alarm(),
            SignalKind::user_defined2(),
        ];
        Ok(Self {
            ending: Ending::new(None)?,
            others: [listen(quit)?, listen(alarm)?, listen(user)?],
        })
    }

    async fn comes(&mut self) {
        let [quit, alarm, user] = &mut self.others;
        tokio::select! {
            _ = self.ending.comes() => {}
            _ = quit.recv() => {}
            _ = alarm.recv() => {}
            _ = user.recv() => {}
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).with_context(|| format!("failed to listen for signal {}", kind.as_raw_value()))
}

/// The terminal, if this process is what it talks to. What was typed before now answers nothing.
fn terminal() -> Option<pipe::Receiver> {
    let terminal = pipe::OpenOptions::new()
        .unchecked(true)
        .open_receiver("/dev/tty");
    let terminal = terminal.ok().filter(is_in_foreground)?;
    let _ = tcflush(terminal.as_fd(), QueueSelector::IFlush);
    Some(terminal)
}

fn announce(told: &str, limit: Duration, has_terminal: bool) {
    let _ = writeln!(io::stdout(), "{told}");
    let enter = if has_terminal { "press Enter, or " } else { "" };
    let _ = writeln!(
        io::stderr(),
        "on trial for {}: to keep it, {enter}`kill -USR1 {}`",
        humantime::format_duration(limit),
        process::id()
    );
}

fn is_in_foreground(terminal: &pipe::Receiver) -> bool {
    tcgetpgrp(terminal.as_fd()).is_ok_and(|group| group == getpgrp())
}

/// Waits for a line; for ever where there is none to come.
async fn is_entered(terminal: &mut Option<pipe::Receiver>) {
    let Some(terminal) = terminal else {
        return std::future::pending().await;
    };
    let mut typed = [0; 64];
    loop {
        // Who reads from the background is stopped (SIGTTIN), and with it the time that runs.
        if terminal.readable().await.is_err() || !is_in_foreground(terminal) {
            return std::future::pending().await;
        }
        match terminal.try_read(&mut typed) {
            Ok(length) if typed.iter().take(length).any(|key| *key == b'\n') => return,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(1..) => {}
            // Hung up.
            Ok(0) | Err(_) => return std::future::pending().await,
        }
    }
}
