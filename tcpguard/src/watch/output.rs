//! Writing to a pipe, a file or a terminal without ever blocking on it.
//!
//! A pager that is not scrolled or a stopped log collector takes no more octets at some point. A
//! blocking write would then hold the whole process, and with it SIGTERM and the detaching. The
//! descriptor is not made non-blocking for that, because others share it.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::OpenOptionsExt as _,
    },
};

use tokio::net::unix::pipe;

/// What a pipe that has room at all takes at once (`PIPE_BUF` of Linux).
const CHUNK: usize = 4096;

/// A descriptor, and what is still to be written to it.
pub(crate) struct Output {
    file: File,
    pending: VecDeque<u8>,
}

impl Output {
    /// On the standard output of the process.
    pub(crate) fn stdout() -> io::Result<Self> {
        Ok(Self::new(io::stdout().as_fd().try_clone_to_owned()?))
    }

    /// On the standard error of the process.
    pub(crate) fn stderr() -> io::Result<Self> {
        Ok(Self::new(io::stderr().as_fd().try_clone_to_owned()?))
    }

    /// On the terminal that the standard output of the process is.
    pub(super) fn terminal() -> io::Result<Self> {
        reopened_terminal()
            .map(OwnedFd::from)
            .map(Self::new)
            .or_else(|_| Self::stdout())
    }

    fn new(descriptor: OwnedFd) -> Self {
        Self {
            file: File::from(descriptor),
            pending: VecDeque::new(),
        }
    }

    /// Queues octets; they are written by [`Output::taken`].
    pub(crate) fn push(&mut self, octets: &[u8]) {
        self.pending.extend(octets);
    }

    /// Writes all that is queued. Cancelled in between, it goes on at the same octet.
    pub(crate) async fn taken(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            writable(&self.file).await?;
            let (chunk, _) = self.pending.as_slices();
            let chunk = &chunk[..chunk.len().min(CHUNK)];
            match self.file.write(chunk) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The terminal that stdout is, opened anew. It takes less at once than a pipe does, so only a
/// descriptor that does not block is safe; and this one is shared with nobody.
pub(super) fn reopened_terminal() -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open("/proc/self/fd/1")
}

/// Waits until the reader of `file` takes something.
async fn writable(file: &File) -> io::Result<()> {
    // Registered anew each time: a new registration reports the state, a kept one only its changes,
    // and after a blocking write nobody knows whether there is a change to come. Nothing is written
    // through it, so it may be a terminal as well as a pipe.
    match pipe::Sender::from_file_unchecked(file.try_clone()?) {
        Ok(registered) => registered.writable().await,
        // What epoll does not know, a file or /dev/null, does not block either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the same call may succeed next time.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, time::Duration};

    use super::*;

    #[tokio::test]
    async fn a_full_pipe_is_waited_for_and_nothing_is_lost_or_written_twice() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut output = Output::new(writer.into());
        let text = "0123456789".repeat(20_000);
        output.push(text.as_bytes());
        let stuck = tokio::time::timeout(Duration::from_millis(20), output.taken()).await;
        assert!(stuck.is_err(), "a pipe holds less than that");

        let reading = std::thread::spawn(move || {
            let mut read = String::new();
            reader.read_to_string(&mut read).map(|_| read)
        });
        output.taken().await.unwrap();
        drop(output);
        assert_eq!(reading.join().unwrap().unwrap(), text);
    }

    #[tokio::test]
    async fn a_reader_that_left_is_a_broken_pipe() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut output = Output::new(writer.into());
        output.push(b"anybody there?");
        assert_eq!(
            output.taken().await.unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
