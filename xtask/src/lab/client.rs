//! Honest traffic: requests that must be answered, whatever else happens.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path as FilePath,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    background::Background,
    namespace::{Namespace, enter},
};

/// How long any step of a request may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What has become of the requests.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    /// Sent, or tried to.
    pub made: u64,
    /// Answered completely and as they should be.
    pub answered: u64,
    /// The longest that an answer took.
    pub slowest: Duration,
    /// Why the first one failed.
    pub first_error: Option<String>,
}

impl Requests {
    /// How many were not answered.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.made - self.answered
    }
}

/// Makes one request after the other until it is dropped.
pub struct Client {
    requests: Arc<Mutex<Requests>>,
    thread: Background,
}

impl Client {
    /// Asks `server` from inside of the namespace, a new connection each time.
    pub fn start(namespace: &Namespace, server: SocketAddr, pause: Duration) -> Result<Self> {
        let requests = Arc::new(Mutex::new(Requests::default()));
        let shared = Arc::clone(&requests);
        let path = namespace.path();
        let thread = Background::start("client", move |stop| {
            request_always(&path, server, pause, stop, &shared);
        })?;
        Ok(Self { requests, thread })
    }

    /// What has become of the requests until now.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Finishes the request that is under way, and says what has become of all.
    #[must_use]
    pub fn finish(self) -> Requests {
        let Self { requests, thread } = self;
        drop(thread);
        let requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.clone()
    }
}

/// One request, which must be answered in full.
pub fn request(namespace: &Namespace, server: SocketAddr) -> Result<()> {
    namespace.within(|| ask(server))?
}

fn request_always(
    namespace: &FilePath,
    server: SocketAddr,
    pause: Duration,
    stop: &AtomicBool,
    requests: &Mutex<Requests>,
) {
    let entered = enter(namespace);
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        // Without its namespace it must ask nobody: the host's network is not ours.
        let outcome = match &entered {
            Ok(()) => ask(server).map_err(|error| format!("{error:#}")),
            Err(error) => Err(format!("{error:#}")),
        };
        let took = start.elapsed();
        let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.made += 1;
        requests.slowest = requests.slowest.max(took);
        match outcome {
            Ok(()) => requests.answered += 1,
            Err(error) => {
                requests.first_error.get_or_insert(error);
            }
        }
        drop(requests);
        thread::sleep(pause);
    }
}

fn ask(server: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)
        .with_context(|| format!("failed to connect to {server}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET / HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .with_context(|| format!("failed to send a request to {server}"))?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .with_context(|| format!("failed to read the answer of {server}"))?;
    check(&String::from_utf8_lossy(&answer))
}

/// The answer must be complete, not just begin well.
fn check(answer: &str) -> Result<()> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the answer ends in its head")?;
    ensure!(
        head.starts_with("HTTP/1.1 200 "),
        "the answer is {:?}",
        head.lines().next()
    );
    let Some(length) = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
    else {
        bail!("the answer does not say how long it is");
    };
    ensure!(
        length.parse() == Ok(body.len()),
        "{} of {length} octets came",
        body.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_must_be_complete() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        assert!(check(&format!("{head}abc")).is_ok());
        assert!(
            check(&format!("{head}ab"))
                .unwrap_err()
                .to_string()
                .contains("2 of 3 octets")
        );
        assert!(check("HTTP/1.1 500 No\r\n\r\n").is_err());
        assert!(check("HTTP/1.1 200").is_err());
    }
}
