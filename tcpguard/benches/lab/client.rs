//! Honest clients: requests and connections, at a pace or as many as get answered.

use std::{mem, sync::Arc, time::Duration};

use anyhow::{Context as _, Error, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::{self, Runtime},
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    place::{Place, SERVER},
    web::{LAST_REQUEST, PORT, REQUEST, answer},
};

/// So many at the same time.
const CLIENTS: usize = 16;

/// How clients ask.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// How long an answer may take: a segment that gets lost is sent again after a fifth of a second, a SYN
    /// after one second, and each later time after twice as long.
    pub(crate) patience: Duration,
    /// From an answer to the next request.
    pub(crate) pause: Duration,
}

impl Manner {
    /// As many requests as get answered.
    pub(crate) const HASTY: Self = Self {
        patience: Duration::from_secs(5),
        pause: Duration::ZERO,
    };
}

/// What has become of requests.
#[derive(Default)]
pub(crate) struct Tally {
    /// Within the time that was given.
    pub(crate) answered: u32,
    /// Connections that were refused, reset, or not answered in time.
    pub(crate) failed: u32,
    /// Why the first one has.
    pub(crate) why: Option<Error>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.why = self.why.take().or(other.why);
    }

    fn fail(&mut self, why: Error) {
        self.failed += 1;
        self.why.get_or_insert(why);
    }
}

/// Clients on one thread.
pub(crate) struct Clients {
    runtime: Runtime,
    /// Connections that are kept.
    kept: Vec<TcpStream>,
    manner: Manner,
    answer: Arc<[u8]>,
}

impl Clients {
    /// Connects them; from now on these connections have to last.
    pub(crate) fn connect(place: &Place, manner: Manner) -> Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let connect = async {
            let mut kept = Vec::new();
            for _ in 0..CLIENTS {
                kept.push(connect().await?);
            }
            Ok::<_, Error>(kept)
        };
        let kept = place.sender.within(|| runtime.block_on(connect))??;
        let answer = answer().into();
        Ok(Self {
            runtime,
            kept,
            manner,
            answer,
        })
    }

    /// Each client asks again once it is answered, for so long and at least once. A connection that fails
    /// is lost.
    pub(crate) fn ask(&mut self, lasting: Duration) -> Result<Tally> {
        let kept = mem::take(&mut self.kept);
        self.runtime.block_on(async {
            let end = Instant::now() + lasting;
            let mut tasks = JoinSet::new();
            for stream in kept {
                let asking = keep_asking(stream, Arc::clone(&self.answer), end, self.manner.pause);
                tasks.spawn(timeout_at(end + self.manner.patience, asking));
            }
            let mut tally = Tally::default();
            while let Some(asked) = tasks.join_next().await {
                match asked?.unwrap_or_else(|_| Err(late(self.manner))) {
                    Ok((stream, answered)) => {
                        self.kept.push(stream);
                        tally.answered += answered;
                    }
                    Err(why) => tally.fail(why),
                }
            }
            Ok(tally)
        })
    }

    /// Each client connects, asks once, sees the server close, and does so again for so long.
    pub(crate) fn reconnect(&self, place: &Place, lasting: Duration) -> Result<Tally> {
        let connecting = async {
            let end = Instant::now() + lasting;
            let mut tasks = JoinSet::new();
            for _ in 0..CLIENTS {
                tasks.spawn(keep_connecting(Arc::clone(&self.answer), end, self.manner));
            }
            let mut tally = Tally::default();
            while let Some(connected) = tasks.join_next().await {
                tally.add(connected?);
            }
            Ok(tally)
        };
        place.sender.within(|| self.runtime.block_on(connecting))?
    }
}

fn late(manner: Manner) -> Error {
    Error::msg(format!("no answer within {} s", manner.patience.as_secs()))
}

async fn keep_asking(
    mut stream: TcpStream,
    answer: Arc<[u8]>,
    end: Instant,
    pause: Duration,
) -> Result<(TcpStream, u32)> {
    let mut answered = 0;
    loop {
        ask(&mut stream, REQUEST, &answer).await?;
        if Instant::now() >= end {
            return Ok((stream, answered));
        }
        answered += 1;
        rest(pause).await;
    }
}

async fn keep_connecting(answer: Arc<[u8]>, end: Instant, manner: Manner) -> Tally {
    let mut tally = Tally::default();
    while Instant::now() < end {
        match timeout(manner.patience, connect_once(&answer)).await {
            Ok(Ok(())) if Instant::now() < end => tally.answered += 1,
            // Too late to count, and no failure.
            Ok(Ok(())) => {}
            Ok(Err(why)) => tally.fail(why),
            Err(_) => tally.fail(late(manner)),
        }
        rest(manner.pause).await;
    }
    tally
}

/// Even the shortest sleep of the timer's would be a millisecond.
async fn rest(pause: Duration) {
    if !pause.is_zero() {
        sleep(pause).await;
    }
}

async fn connect_once(answer: &[u8]) -> Result<()> {
    let mut stream = connect().await?;
    ask(&mut stream, LAST_REQUEST, answer).await?;
    let more = stream.read(&mut [0]).await;
    let more = more.context("the server does not close in order")?;
    ensure!(more == 0, "the answer is too long");
    Ok(())
}

async fn connect() -> Result<TcpStream> {
    let stream = TcpStream::connect((SERVER, PORT)).await;
    let stream = stream.context("failed to connect")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The answer must be there, whole and as it should be.
async fn ask(stream: &mut TcpStream, request: &[u8], answer: &[u8]) -> Result<()> {
    let mut received = vec![0; answer.len()];
    let sent = stream.write_all(request).await;
    sent.context("failed to send a request")?;
    let read = stream.read_exact(&mut received).await;
    read.context("failed to read an answer")?;
    ensure!(received == answer, "another answer came");
    Ok(())
}
