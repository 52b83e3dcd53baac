//! What passes by an interface, read octet by octet and not by the code under test.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    background::Background,
    namespace::Namespace,
    packet::{Mac, PacketSocket, mac},
    vlan::tcp_extent,
};

const ADDRESSES_LEN: usize = 12;
/// So long without another segment, and nothing is on its way any more.
const QUIET: Duration = Duration::from_millis(300);
/// How long to wait for that.
const PATIENCE: Duration = Duration::from_secs(3);

/// Counts the TCP segments that arrive at an interface, until it is dropped.
pub struct Arrivals {
    count: Arc<AtomicU64>,
    _thread: Background,
}

impl Arrivals {
    /// Counts from now on.
    pub fn start(namespace: &Namespace, interface: &str) -> Result<Self> {
        let socket = PacketSocket::receiving(namespace, interface)?;
        let own = mac(namespace, interface)?;
        let count = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&count);
        let thread = Background::start("arrivals", move |stop| {
            watch(&socket, stop, |frame| {
                if is_arrival(frame, own) {
                    shared.fetch_add(1, Ordering::Relaxed);
                }
            });
        })?;
        Ok(Self {
            count,
            _thread: thread,
        })
    }

    /// How many there were when nothing more comes.
    #[must_use]
    pub fn settled(&self) -> u64 {
        settle(|| self.count.load(Ordering::Relaxed))
    }
}

/// The first segment, of those that come or go while `work` is done, that `select` chooses.
pub fn overhear(
    namespace: &Namespace,
    interface: &str,
    select: impl Fn(&Heard) -> bool,
    work: impl FnOnce() -> Result<()>,
) -> Result<Option<Heard>> {
    let socket = PacketSocket::receiving(namespace, interface)?;
    work()?;
    let mut buffer = vec![0; 1 << 16];
    while let Some(len) = socket.receive(&mut buffer)? {
        if let Some(heard) = Heard::read(&buffer[..len]).filter(|heard| select(heard)) {
            return Ok(Some(heard));
        }
    }
    Ok(None)
}

/// What a TCP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Source and destination port.
    pub ports: (u16, u16),
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Octets of payload.
    pub len: u32,
}

impl Heard {
    fn read(frame: &[u8]) -> Option<Self> {
        let (start, end, _) = tcp_extent(frame.get(ADDRESSES_LEN..)?)?;
        let header = frame.get(ADDRESSES_LEN + start..)?;
        let be16 = |at| Some(u16::from_be_bytes(header.get(at..at + 2)?.try_into().ok()?));
        let be32 = |at| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
        let header_len = usize::from(header.get(12)? >> 4) * 4;
        Some(Self {
            ports: (be16(0)?, be16(2)?),
            seq: be32(4)?,
            ack: be32(8)?,
            len: u32::try_from((end - start).checked_sub(header_len)?).ok()?,
        })
    }

    /// The sequence number that comes next.
    #[must_use]
    pub fn next_seq(&self) -> u32 {
        self.seq.wrapping_add(self.len)
    }
}

/// What `read` gives when it does not change any more.
pub(super) fn settle<T: PartialEq>(read: impl Fn() -> T) -> T {
    let start = Instant::now();
    let mut before = read();
    loop {
        thread::sleep(QUIET);
        let now = read();
        if now == before || start.elapsed() > PATIENCE {
            return now;
        }
        before = now;
    }
}

/// Looks at each frame until it is told to stop.
pub(super) fn watch(socket: &PacketSocket, stop: &AtomicBool, mut each: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        match socket.receive(&mut buffer) {
            Ok(None) => {}
            Ok(Some(len)) => each(&buffer[..len]),
            Err(error) => {
                // What must arrive is counted as well: its absence tells that nobody listens.
                eprintln!("warning: a packet socket went away: {error:#}");
                return;
            }
        }
    }
}

fn is_arrival(frame: &[u8], own: Mac) -> bool {
    let packet = frame.get(ADDRESSES_LEN..).and_then(tcp_extent);
    frame.get(..6) == Some(&own[..]) && packet.is_some()
}

#[cfg(test)]
mod tests {
    use tcpguard_common::craft::TcpFrame;

    use super::*;

    #[test]
    fn numbers_and_lengths_are_read() {
        for mut frame in [TcpFrame::ipv4(), TcpFrame::ipv6()] {
            (frame.seq, frame.ack) = (u32::MAX, 77);
            frame.options = vec![1; 8];
            frame.payload = b"four".to_vec();
            frame.padding = 3;
            let heard = Heard::read(&frame.build()).unwrap();
            assert_eq!((heard.ports, heard.ack, heard.len), (frame.ports, 77, 4));
            assert_eq!(heard.next_seq(), 3);
        }
    }

    #[test]
    fn only_what_is_for_us_has_arrived() {
        let frame = TcpFrame::ipv6().build();
        assert!(is_arrival(&frame, [2, 0, 0, 0, 0, 2]));
        assert!(!is_arrival(&frame, [2, 0, 0, 0, 0, 1]));
        assert!(!is_arrival(&frame[..20], [2, 0, 0, 0, 0, 2]));
    }
}
