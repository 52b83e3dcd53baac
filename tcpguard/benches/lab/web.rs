//! A web server that does as little as it can: one thread for all connections, on the receiver's CPU.

use std::{
    io,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{self, TcpStream},
    runtime, time,
};
use xtask::lab::background::Background;

use super::{
    cpus::{Cpus, THIS},
    place::{Place, SERVER},
};

pub(crate) const PORT: u16 = 80;
/// Leaves the connection open.
pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: server\r\n\r\n";
/// After its answer the server closes.
pub(crate) const LAST_REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n";

/// Octets of what is asked for.
const BODY: usize = 1000;

/// Answers until it is dropped.
pub(crate) struct Server {
    _thread: Background,
}

impl Server {
    pub(crate) fn start(place: &Place) -> Result<Self> {
        let listener = place
            .receiver
            .within(|| TcpListener::bind((SERVER, PORT)))?
            .with_context(|| format!("failed to listen on port {PORT}"))?;
        listener.set_nonblocking(true)?;
        let cpus = place.cpus;
        let thread = Background::start("web", move |stop| {
            if let Err(error) = serve_until(stop, listener, cpus) {
                eprintln!("warning: the web server has ended: {error:#}");
            }
        })?;
        Ok(Self { _thread: thread })
    }
}

/// All of it: head and body.
pub(crate) fn answer() -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + BODY, b'.');
    answer
}

fn serve_until(stop: &AtomicBool, listener: TcpListener, cpus: Cpus) -> Result<()> {
    const POLL: Duration = Duration::from_millis(5);
    cpus.receive_on(THIS)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = net::TcpListener::from_std(listener)?;
        tokio::spawn(accept(listener));
        while !stop.load(Ordering::Relaxed) {
            time::sleep(POLL).await;
        }
        Ok(())
    })
}

async fn accept(listener: net::TcpListener) {
    let answer: Arc<[u8]> = answer().into();
    loop {
        // One that went away before it was accepted is for its client to count.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&answer)));
        }
    }
}

/// Answers one request after the other: no client sends the next one before it has its answer.
async fn serve(mut stream: TcpStream, answer: Arc<[u8]>) -> io::Result<()> {
    let mut request = Vec::with_capacity(LAST_REQUEST.len());
    stream.set_nodelay(true)?;
    while stream.read_buf(&mut request).await? > 0 {
        if request.ends_with(b"\r\n\r\n") {
            stream.write_all(&answer).await?;
            if request == LAST_REQUEST {
                break;
            }
            request.clear();
        }
    }
    Ok(())
}
