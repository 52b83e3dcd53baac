//! What goes over a connection: bounded, and every octet of it is compared.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    line::{Line, PATIENCE, Pair, abort, expect_end},
    namespace::Namespace,
};

/// Written or read at once.
const CHUNK: usize = 1 << 16;
/// Between two looks at what has come.
const POLL: Duration = Duration::from_millis(1);
/// Every octet tells its place, up to this many octets: a prime, so that no power of two fits.
const PERIOD: usize = 65_521;
/// How much of a [`Flow`] goes out at once, and how long nothing does after that.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    octets: usize,
    pause: Duration,
}

impl Pace {
    /// Some 60 MB/s leave the processor to those who test.
    pub const FAST: Self = Self {
        octets: CHUNK,
        pause: Duration::from_millis(1),
    };
    /// A quarter of that.
    pub const STEADY: Self = Self {
        octets: CHUNK / 4,
        pause: Duration::from_millis(1),
    };
    /// A few segments a second.
    pub const TRICKLE: Self = Self {
        octets: 100,
        pause: Duration::from_millis(50),
    };
}

/// Sends `octets` in both directions at the same time, and closes both.
pub fn transfer(pair: &Pair, octets: u64) -> Result<()> {
    thread::scope(|scope| {
        let directions = [(&pair.client, &pair.server), (&pair.server, &pair.client)];
        let threads = directions.map(|(from, to)| {
            let sender = scope.spawn(move || send(from, octets));
            (sender, scope.spawn(move || receive(to, &AtomicU64::new(0))))
        });
        for ((sender, receiver), way) in threads.into_iter().zip(WAYS) {
            outcome(sender.join(), way)?;
            let received = outcome(receiver.join(), way)?;
            ensure!(
                received == octets,
                "{way}: {received} of {octets} octets came"
            );
        }
        Ok(())
    })
}

/// A few octets from the client to the server and back.
pub fn exchange(pair: &mut Pair) -> Result<()> {
    say(&mut pair.client, &mut pair.server).context("client to server")?;
    say(&mut pair.server, &mut pair.client).context("server to client")
}

/// A few octets from one end to the other.
pub fn say(from: &mut TcpStream, to: &mut TcpStream) -> Result<()> {
    const WORDS: &[u8] = b"still there?";
    from.write_all(WORDS).context("failed to send")?;
    let mut heard = [0; WORDS.len()];
    to.read_exact(&mut heard).context("failed to receive")?;
    ensure!(heard == WORDS, "other octets came: {heard:?}");
    Ok(())
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client closes first.
    Client,
    /// The server closes first.
    Server,
    /// The client resets it. A reset that gets lost is not repeated: not for a rough cable.
    Reset,
}

impl Ending {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Client, Self::Server, Self::Reset];
}

/// One connection after the other, each with an exchange and the next one of `endings`.
pub fn short_connections(
    line: &Line,
    client: &Namespace,
    count: usize,
    endings: &[Ending],
) -> Result<()> {
    let endings = endings.iter().cycle().take(count).enumerate();
    client.within(|| {
        for (n, ending) in endings {
            short_connection(line, *ending)
                .with_context(|| format!("connection {n} of {count}, {ending:?}"))?;
        }
        Ok(())
    })?
}

fn short_connection(line: &Line, ending: Ending) -> Result<()> {
    let mut pair = line.connect_here()?;
    exchange(&mut pair)?;
    let Pair { client, mut server } = pair;
    match ending {
        Ending::Client => close(client, server),
        Ending::Server => close(server, client),
        Ending::Reset => {
            abort(client)?;
            expect_end(&mut server)
        }
    }
}

/// An orderly end, `first` before `second`.
fn close(mut first: TcpStream, mut second: TcpStream) -> Result<()> {
    first.shutdown(Shutdown::Write)?;
    expect_end(&mut second)?;
    drop(second);
    expect_end(&mut first)
}

/// A transfer that lasts until it is finished.
pub struct Flow {
    stop: Arc<AtomicBool>,
    /// Of each direction, with what that is called.
    ways: Vec<(&'static str, Arc<AtomicU64>)>,
    threads: Vec<[JoinHandle<Result<u64>>; 2]>,
}

const WAYS: [&str; 2] = ["client to server", "server to client"];

impl Flow {
    /// Starts one in both directions.
    pub fn start(pair: &Pair) -> Result<Self> {
        Self::at(Pace::FAST, pair)
    }

    /// The same at another pace.
    pub fn at(pace: Pace, pair: &Pair) -> Result<Self> {
        let mut flow = Self::new();
        flow.add(WAYS[0], [&pair.client, &pair.server], pace)?;
        flow.add(WAYS[1], [&pair.server, &pair.client], pace)?;
        Ok(flow)
    }

    /// Closes the direction from the client, and starts one in the other.
    pub fn half_closed(pair: &Pair, pace: Pace) -> Result<Self> {
        let mut flow = Self::new();
        pair.client.shutdown(Shutdown::Write)?;
        flow.add(WAYS[1], [&pair.server, &pair.client], pace)?;
        Ok(flow)
    }

    fn new() -> Self {
        Self {
            stop: Arc::default(),
            ways: Vec::new(),
            threads: Vec::new(),
        }
    }

    fn add(&mut self, way: &'static str, ends: [&TcpStream; 2], pace: Pace) -> Result<()> {
        let (from, to) = (ends[0].try_clone()?, ends[1].try_clone()?);
        let (told, count) = (Arc::clone(&self.stop), Arc::default());
        self.ways.push((way, Arc::clone(&count)));
        self.threads.push([
            thread::spawn(move || send_until(&from, &told, pace)),
            thread::spawn(move || receive(&to, &count)),
        ]);
        Ok(())
    }

    /// How many octets have come, in all directions together.
    #[must_use]
    pub fn received(&self) -> u64 {
        let counts = self
            .ways
            .iter()
            .map(|(_, count)| count.load(Ordering::Relaxed));
        counts.sum()
    }

    /// Waits until so many octets more have come in either direction.
    pub fn advance(&self, octets: u64) -> Result<()> {
        let read = || -> Vec<_> {
            let counts = self
                .ways
                .iter()
                .map(|(_, count)| count.load(Ordering::Relaxed));
            counts.collect()
        };
        let (start, before) = (Instant::now(), read());
        loop {
            let moved: Vec<_> = read().iter().zip(&before).map(|(n, b)| n - b).collect();
            if moved.iter().all(|moved| *moved >= octets) {
                return Ok(());
            }
            ensure!(
                start.elapsed() < PATIENCE,
                "the transfer stalls: {moved:?} octets in {} s, by way ({WAYS:?})",
                PATIENCE.as_secs()
            );
            thread::sleep(POLL);
        }
    }

    /// Ends it. Everything that was sent must have come.
    pub fn finish(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for ([sender, receiver], (way, _)) in self.threads.drain(..).zip(&self.ways) {
            let sent = outcome(sender.join(), way)?;
            let received = outcome(receiver.join(), way)?;
            ensure!(sent == received, "{way}: {received} of {sent} octets came");
        }
        Ok(())
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        // Threads of a test that failed end by themselves: none waits longer than its patience.
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn outcome(joined: thread::Result<Result<u64>>, way: &str) -> Result<u64> {
    match joined {
        Ok(result) => result.with_context(|| way.to_owned()),
        Err(_) => bail!("{way}: its thread panicked"),
    }
}

fn send(mut to: &TcpStream, octets: u64) -> Result<u64> {
    let mut sent = 0;
    while sent < octets {
        let chunk = chunk(sent);
        let left = usize::try_from(octets - sent).unwrap_or(CHUNK);
        let chunk = &chunk[..left.min(chunk.len())];
        to.write_all(chunk)
            .with_context(|| format!("failed to send after {sent} octets"))?;
        sent += chunk.len() as u64;
    }
    to.shutdown(Shutdown::Write)?;
    Ok(sent)
}

fn send_until(mut to: &TcpStream, stop: &AtomicBool, pace: Pace) -> Result<u64> {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let chunk = &chunk(sent)[..pace.octets];
        to.write_all(chunk)
            .with_context(|| format!("failed to send after {sent} octets"))?;
        sent += chunk.len() as u64;
        thread::sleep(pace.pause);
    }
    to.shutdown(Shutdown::Write)?;
    Ok(sent)
}

fn receive(mut from: &TcpStream, count: &AtomicU64) -> Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut received = 0;
    loop {
        let len = from
            .read(&mut buffer)
            .with_context(|| format!("failed to receive after {received} octets"))?;
        if len == 0 {
            return Ok(received);
        }
        let expected = &chunk(received)[..len];
        ensure!(
            buffer[..len] == *expected,
            "other octets came at {received}"
        );
        received += len as u64;
        count.store(received, Ordering::Relaxed);
    }
}

/// What is sent after `offset` octets.
fn chunk(offset: u64) -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    let octet = |place: usize| (place % PERIOD * 31 / 8).to_le_bytes()[0];
    let pattern = PATTERN.get_or_init(|| (0..PERIOD + CHUNK).map(octet).collect());
    #[expect(clippy::cast_possible_truncation, reason = "below the period")]
    let start = (offset % PERIOD as u64) as usize;
    &pattern[start..start + CHUNK]
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    /// Over loopback: sockets of this process among themselves.
    fn pair() -> Pair {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        Pair { client, server }
    }

    #[test]
    fn chunks_follow_each_other() {
        let (first, later) = (chunk(0), chunk(1000));
        assert_eq!(first[1000..], later[..CHUNK - 1000]);
        assert_eq!(chunk(PERIOD as u64), first);
        assert_ne!(chunk(1 << 16), first);
    }

    #[test]
    fn transfer_goes_both_ways() {
        transfer(&pair(), 1_000_003).unwrap();
    }

    #[test]
    fn flow_lasts_until_it_is_finished() {
        let pair = pair();
        let flow = Flow::start(&pair).unwrap();
        flow.advance(1 << 20).unwrap();
        flow.advance(1 << 20).unwrap();
        flow.finish().unwrap();
    }

    #[test]
    fn octets_out_of_place_are_noticed() {
        let mut pair = pair();
        pair.client.write_all(&chunk(0)[..100]).unwrap();
        pair.client.write_all(&chunk(101)[..100]).unwrap();
        pair.client.shutdown(Shutdown::Write).unwrap();
        let error = receive(&pair.server, &AtomicU64::new(0)).unwrap_err();
        assert!(error.to_string().contains("other octets"), "{error:#}");
    }
}
