//! What is typed while the live table is on the screen.
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

/// A key, or something else that happens to the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// What is printed.
    Char(char),
    Enter,
    Escape,
    Backspace,
    Tab,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C, or the other side of the terminal is gone.
    Interrupt,
    /// The terminal has another size now, or was written over (Ctrl-L).
    Repaint,
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

    /// Waits until something is typed.
    pub(super) async fn typed(&mut self) -> Result<Vec<Key>> {
        tokio::select! {
            _ = self.resized.recv() => Ok(vec![Key::Repaint]),
            typed = typed(&self.terminal) => Ok(typed?),
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

async fn typed(terminal: &pipe::Receiver) -> io::Result<Vec<Key>> {
    terminal.readable().await?;
    let mut octets = [0; 64];
    match terminal.try_read(&mut octets) {
        // The other side of the terminal is gone.
        Ok(0) => Ok(vec![Key::Interrupt]),
        Ok(length) => Ok(keys(octets.get(..length).unwrap_or_default())),
        Err(error) if output::is_passing(&error) => Ok(Vec::new()),
        // EIO: hung up.
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(vec![Key::Interrupt]),
        Err(error) => Err(error),
    }
}

/// The keys that these octets stand for. Those of one key come at once; what is no key is passed over.
fn keys(octets: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = octets;
    while let [first, behind @ ..] = rest {
        let (key, length) = if *first == ESCAPE {
            sequence(behind)
        } else {
            single(rest)
        };
        keys.extend(key);
        rest = rest.get(length..).unwrap_or_default();
    }
    keys
}

const ESCAPE: u8 = 0x1b;

/// What begins with ESC, and how many octets it takes with that. By itself it is the key.
fn sequence(behind: &[u8]) -> (Option<Key>, usize) {
    let [b'[' | b'O', parameters @ ..] = behind else {
        return (Some(Key::Escape), 1);
    };
    let is_last = |octet: &u8| octet.is_ascii_alphabetic() || *octet == b'~';
    let Some(last) = parameters.iter().position(is_last) else {
        return (None, 2 + parameters.len());
    };
    let key = match parameters.get(..=last) {
        Some(b"A") => Some(Key::Up),
        Some(b"B") => Some(Key::Down),
        Some(b"H" | b"1~" | b"7~") => Some(Key::Home),
        Some(b"F" | b"4~" | b"8~") => Some(Key::End),
        Some(b"5~") => Some(Key::PageUp),
        Some(b"6~") => Some(Key::PageDown),
        _ => None,
    };
    (key, 3 + last)
}

/// A key that is one character, and how many octets that takes.
fn single(octets: &[u8]) -> (Option<Key>, usize) {
    let key = match octets.first() {
        Some(0x03) => Key::Interrupt,
        Some(0x08 | 0x7f) => Key::Backspace,
        Some(b'\t') => Key::Tab,
        Some(b'\r' | b'\n') => Key::Enter,
        Some(0x0c) => Key::Repaint,
        _ => {
            let text = octets.utf8_chunks().next();
            let char = text.and_then(|chunk| chunk.valid().chars().next());
            let printed = char.filter(|char| !char.is_control());
            return (printed.map(Key::Char), char.map_or(1, char::len_utf8));
        }
    };
    (Some(key), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_known_by_its_octets() {
        for (octets, key) in [
            (&b"q"[..], Key::Char('q')),
            ("é".as_bytes(), Key::Char('é')),
            (b"\x1b", Key::Escape),
            (b"\x03", Key::Interrupt),
            (b"\x0c", Key::Repaint),
            (b"\r", Key::Enter),
            (b"\x7f", Key::Backspace),
            (b"\t", Key::Tab),
            (b"\x1b[A", Key::Up),
            (b"\x1bOB", Key::Down),
            (b"\x1b[5~", Key::PageUp),
            (b"\x1b[6~", Key::PageDown),
            (b"\x1b[H", Key::Home),
            (b"\x1b[4~", Key::End),
        ] {
            assert_eq!(keys(octets), [key], "{octets:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_passed_over_and_what_follows_it_is_not() {
        for octets in [&b"\x1b[24~"[..], b"\x1bOq", b"\x1b[1;5C", b"\x01", b"\xff"] {
            assert_eq!(keys(octets), [], "{octets:?}");
            let more = [octets, b"x"].concat();
            assert_eq!(keys(&more), [Key::Char('x')], "{octets:?}");
        }
        assert_eq!(keys(b"\x1b["), [], "it was cut off");
    }

    #[test]
    fn what_is_typed_fast_comes_at_once() {
        let typed = [Key::Char('/'), Key::Char('8'), Key::Down, Key::Enter];
        assert_eq!(keys(b"/8\x1b[B\r"), typed);
    }
}
