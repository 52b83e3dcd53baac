//! A small web server on the network of a namespace.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Write},
    net::{Ipv6Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{background::Background, namespace::Namespace};

/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the flag is looked at while nobody connects.
const IDLE: Duration = Duration::from_millis(5);

/// Answers each request with a body of fixed length, over IPv4 and IPv6, until it is dropped.
pub struct WebServer {
    answered: Arc<AtomicU64>,
    _thread: Background,
}

impl WebServer {
    /// Listens on every address of the namespace.
    pub fn start(namespace: &Namespace, port: u16, body_octets: usize) -> Result<Self> {
        let listener = namespace
            .within(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)))?
            .with_context(|| format!("failed to listen on port {port}"))?;
        listener
            .set_nonblocking(true)
            .context("failed to set up the web server")?;
        let answered = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&answered);
        let answer = Arc::new(answer(body_octets));
        let thread = Background::start("web", move |stop| serve(&listener, stop, &answer, &count))?;
        Ok(Self {
            answered,
            _thread: thread,
        })
    }

    /// How many requests it has answered.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

fn serve(listener: &TcpListener, stop: &AtomicBool, answer: &Arc<Vec<u8>>, count: &Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                let (answer, count) = (Arc::clone(answer), Arc::clone(count));
                // A slow client must not keep the others waiting; its own patience bounds the thread.
                thread::spawn(move || {
                    if exchange(&stream, &answer).is_ok() {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(IDLE),
            // The client went away between SYN and accept: its loss, not ours.
            Err(_) => {}
        }
    }
}

/// Reads a request to its empty line, answers, closes.
fn exchange(mut stream: &TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream).lines();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    stream.write_all(answer)
}

fn answer(body_octets: usize) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {body_octets}\r\nConnection: close\r\n\r\n")
            .into_bytes();
    answer.resize(answer.len() + body_octets, b'.');
    answer
}
