//! Counts which of the attacker's segments reach the stack, without asking the guard.
//!
//! A packet socket on the guarded interface sees a frame only after XDP let it pass, native or
//! generic. The witness shares no code with the guard: it compares octets at the end of the frame.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use tcpguard_common::flags::TcpFlags;

use super::{
    attack::marked,
    background::Background,
    namespace::Namespace,
    packet::{Mac, PacketSocket},
    path::Path,
    tally::Tally,
};

/// A crafted frame ends with its TCP header: no options, no payload, and veth pads nothing.
const TCP_HEADER_LEN: usize = 20;
/// So long without another segment, and nothing is on its way any more.
const QUIET: Duration = Duration::from_millis(300);
/// How long to wait for that.
const PATIENCE: Duration = Duration::from_secs(3);

/// Watches one interface until it is dropped.
pub struct Witness {
    seen: Arc<Mutex<Tally>>,
    _thread: Background,
}

impl Witness {
    /// Counts what arrives from `attacker`.
    pub fn start(namespace: &Namespace, interface: &str, attacker: Mac) -> Result<Self> {
        let socket = PacketSocket::receiving(namespace, interface)?;
        let seen = Arc::new(Mutex::new(Tally::default()));
        let shared = Arc::clone(&seen);
        let thread = Background::start("witness", move |stop| {
            watch(&socket, attacker, stop, &shared);
        })?;
        Ok(Self {
            seen,
            _thread: thread,
        })
    }

    /// What has arrived until now.
    #[must_use]
    pub fn seen(&self) -> Tally {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What has arrived when nothing more comes.
    #[must_use]
    pub fn settled(&self) -> Tally {
        let start = Instant::now();
        let mut before = self.seen();
        loop {
            thread::sleep(QUIET);
            let now = self.seen();
            if now == before || start.elapsed() > PATIENCE {
                return now;
            }
            before = now;
        }
    }
}

fn watch(socket: &PacketSocket, attacker: Mac, stop: &AtomicBool, seen: &Mutex<Tally>) {
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        match socket.receive(&mut buffer) {
            Ok(None) => {}
            Ok(Some(len)) => {
                if let Some((flags, path)) = identify(&buffer[..len], attacker) {
                    seen.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .add(flags, path);
                }
            }
            Err(error) => {
                // Segments that must pass are sent as well: their absence tells that it is blind.
                eprintln!("warning: the witness went away: {error:#}");
                return;
            }
        }
    }
}

/// What the attacker sent, if it was him. What his stack answers by itself carries other flags than
/// its sequence number says.
fn identify(frame: &[u8], attacker: Mac) -> Option<(TcpFlags, Path)> {
    if frame.get(6..12)? != attacker {
        return None;
    }
    let header = frame.get(frame.len().checked_sub(TCP_HEADER_LEN)?..)?;
    let seq = u32::from_be_bytes(header.get(4..8)?.try_into().ok()?);
    let flags = TcpFlags::new(u16::from_be_bytes(header.get(12..14)?.try_into().ok()?));
    marked(seq).filter(|(sent, _)| *sent == flags)
}
