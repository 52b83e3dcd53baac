//! Counts which of the attacker's segments reach the stack, without asking the guard.
//!
//! A packet socket on the guarded interface sees a frame only after XDP let it pass, native or
//! generic. The witness shares no code with the guard: it compares octets at the end of the frame.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tcpguard_common::flags::TcpFlags;

use super::{
    attack::marked,
    background::Background,
    namespace::Namespace,
    overhear::{settle, watch},
    packet::{Mac, PacketSocket},
    path::Path,
    tally::Tally,
};

/// A crafted frame ends with its TCP header: no options, no payload, and veth pads nothing.
const TCP_HEADER_LEN: usize = 20;
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
            watch(&socket, stop, |frame| {
                if let Some((flags, path)) = identify(frame, attacker) {
                    let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.add(flags, path);
                }
            });
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
        settle(|| self.seen())
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
