//! Hands metrics out by HTTP: one method, two paths.

use std::{
    cell::RefCell,
    convert::Infallible,
    future::{self, Future as _},
    io,
    net::SocketAddr,
    task::Poll,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use super::readings::{Readings, Told};
use crate::sample::Sample;

/// The longest request that is read.
const LONGEST: usize = 4096;
/// How long who asks may take for all of it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many may ask at the same time; others wait in the kernel's queue.
const AT_ONCE: usize = 8;

/// Listens at an address.
pub(crate) struct Server(TcpListener);

impl Server {
    /// Listens from now on.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| {
            format!("failed to listen at {address} for --metrics (give another address or port)")
        })?;
        Ok(Self(listener))
    }

    /// Answers from `sample` until it is dropped.
    pub(crate) async fn serve(self, sample: impl FnMut() -> Result<Sample>) -> Infallible {
        let readings = RefCell::new(Readings::new(sample));
        let told = || readings.borrow_mut().told(Instant::now());
        let mut places: Vec<_> = (0..AT_ONCE)
            .map(|_| Box::pin(self.answer_in_turn(told)))
            .collect();
        // Not spawned: what reads a guard is borrowed, and stays on its thread.
        future::poll_fn(|context| {
            for place in &mut places {
                if let Poll::Ready(never) = place.as_mut().poll(context) {
                    match never {}
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Answers one after the other.
    async fn answer_in_turn(&self, told: impl Fn() -> Told) -> Infallible {
        loop {
            let Ok((stream, _)) = self.0.accept().await else {
                // Out of descriptors, most likely: that passes.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            // Who asks and leaves has no answer.
            let _ = timeout(PATIENCE, answer(stream, &told)).await;
        }
    }
}

async fn answer(mut stream: TcpStream, told: impl Fn() -> Told) -> io::Result<()> {
    let mut request = [0; LONGEST];
    let mut length = 0;
    let is_whole = |read: &[u8]| read.windows(4).any(|end| end == b"\r\n\r\n");
    while !is_whole(request.get(..length).unwrap_or_default()) {
        let rest = request.get_mut(length..).unwrap_or_default();
        match stream.read(rest).await? {
            // It is longer than any that we want, or was cut off.
            0 => break,
            read => length += read,
        }
    }
    let request = request.get(..length).unwrap_or_default();
    let (status, body) = match target(request) {
        Some("/metrics") => match told() {
            Ok(metrics) => ("200 OK", metrics),
            Err(reason) => ("503 Service Unavailable", reason),
        },
        Some("/") => ("200 OK", "tcpguard: metrics are at /metrics\n".to_owned()),
        Some(_) => ("404 Not Found", "metrics are at /metrics\n".to_owned()),
        None => ("400 Bad Request", "only GET is answered\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// What a whole GET asks for, without its query.
fn target(request: &[u8]) -> Option<&str> {
    let request = str::from_utf8(request).ok()?;
    let (line, _) = request.split_once("\r\n")?;
    let mut words = line.split(' ');
    let ("GET", target, version) = (words.next()?, words.next()?, words.next()?) else {
        return None;
    };
    let is_http = version.starts_with("HTTP/1.") && request.contains("\r\n\r\n");
    is_http.then(|| target.split_once('?').map_or(target, |(path, _)| path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_get_is_understood() {
        assert_eq!(
            target(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
            Some("/metrics")
        );
        assert_eq!(
            target(b"GET /metrics?a=b HTTP/1.0\r\n\r\n"),
            Some("/metrics")
        );
        for other in [
            &b"POST /metrics HTTP/1.1\r\n\r\n"[..],
            b"GET /metrics HTTP/1.1\r\n",
            b"GET /metrics\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\n\r\n",
            b"",
        ] {
            assert_eq!(target(other), None, "{other:?}");
        }
    }
}
