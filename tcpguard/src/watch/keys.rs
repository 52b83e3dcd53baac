//! What the user asks for while the live table is on the screen.
//!
//! Read from the terminal itself, in the one thread that there is: no thread that polls, no second
//! event loop. Raw mode hands Ctrl-C over as a key, so it is one here.

use std::io;

use anyhow::{Context as _, Result};
use tokio::{
    net::unix::pipe,
    signal::unix::{Signal, SignalKind, signal},
};

use super::output;

/// What the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// To end the watch.
    Quit,
    /// To draw everything again: the terminal has another size now, or was written over.
    Redraw,
}

/// The keyboard and the size of the terminal.
pub(super) struct Keys {
    terminal: pipe::Receiver,
    resized: Signal,
}

impl Keys {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            terminal: open().context("failed to open /dev/tty to read keys (try --plain)")?,
            resized: signal(SignalKind::window_change())
                .context("failed to listen for changes of the terminal's size")?,
        })
    }

    /// Waits until something is asked for.
    pub(super) async fn input(&mut self) -> Result<Input> {
        loop {
            tokio::select! {
                _ = self.resized.recv() => return Ok(Input::Redraw),
                typed = typed(&self.terminal) => {
                    if let Some(input) = typed? {
                        return Ok(input);
                    }
                }
            }
        }
    }
}

/// Whether the process has a terminal that keys could be read from.
pub(super) fn can_be_read() -> bool {
    open().is_ok()
}

/// The terminal of the process, wherever stdin leads. Opened anew, so that it can be read without
/// blocking while the shell's own descriptor stays as it is; and read like a pipe, in octets.
fn open() -> io::Result<pipe::Receiver> {
    pipe::OpenOptions::new()
        .unchecked(true)
        .open_receiver("/dev/tty")
}

async fn typed(terminal: &pipe::Receiver) -> io::Result<Option<Input>> {
    terminal.readable().await?;
    let mut keys = [0; 64];
    match terminal.try_read(&mut keys) {
        // The other side of the terminal is gone.
        Ok(0) => Ok(Some(Input::Quit)),
        Ok(length) => Ok(meaning(keys.get(..length).unwrap_or_default())),
        Err(error) if output::is_passing(&error) => Ok(None),
        // EIO: hung up.
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(Some(Input::Quit)),
        Err(error) => Err(error),
    }
}

const ESCAPE: u8 = 0x1b;
const CTRL_C: u8 = 0x03;
const CTRL_L: u8 = 0x0c;

fn meaning(keys: &[u8]) -> Option<Input> {
    match keys {
        // Esc is the key only if nothing follows; arrows and the like begin with it as well.
        [ESCAPE] => Some(Input::Quit),
        [ESCAPE, ..] => None,
        keys if keys.iter().any(|key| matches!(key, b'q' | b'Q' | &CTRL_C)) => Some(Input::Quit),
        keys if keys.contains(&CTRL_L) => Some(Input::Redraw),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_escape_and_ctrl_c_quit() {
        for keys in [b"q", b"Q", b"\x1b", b"\x03"] {
            assert_eq!(meaning(keys), Some(Input::Quit), "{keys:?}");
        }
        assert_eq!(meaning(b"xxq"), Some(Input::Quit));
        assert_eq!(meaning(b"\x0c"), Some(Input::Redraw));
    }

    #[test]
    fn arrows_and_other_keys_do_nothing() {
        for keys in [&b"\x1b[A"[..], b"\x1bOq", b"\x1b[24~", b"x", b"\r"] {
            assert_eq!(meaning(keys), None, "{keys:?}");
        }
    }
}
