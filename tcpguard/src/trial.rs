//! A change on trial: it is kept only if somebody says so in time.

use std::{
    io::{self, Write as _},
    os::fd::AsFd as _,
    process,
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::{process::getpgrp, termios::tcgetpgrp};
use tokio::{
    net::unix::pipe,
    signal::unix::{SignalKind, signal},
};

use crate::watch::ending::Ending;

/// Makes a change, and waits whether it is confirmed within `limit`: by Enter on the terminal, or by
/// SIGUSR1. A signal that would end this process, as when the terminal is gone, is a no.
///
/// # Errors
///
/// If the change fails.
pub(crate) async fn is_confirmed(
    limit: Duration,
    change: impl FnOnce() -> Result<()>,
) -> Result<bool> {
    // Before the change: what it cuts may be the session that it was asked for in.
    let mut no = Ending::new(Some(limit))?;
    let mut yes = signal(SignalKind::user_defined1()).context("failed to listen for SIGUSR1")?;
    change()?;
    let terminal = pipe::OpenOptions::new()
        .unchecked(true)
        .open_receiver("/dev/tty");
    let mut terminal = terminal.ok().filter(is_in_foreground);
    announce(limit, terminal.is_some());
    tokio::select! {
        biased;
        _ = yes.recv() => Ok(true),
        () = is_entered(&mut terminal) => Ok(true),
        _ = no.comes() => Ok(false),
    }
}

fn announce(limit: Duration, has_terminal: bool) {
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
