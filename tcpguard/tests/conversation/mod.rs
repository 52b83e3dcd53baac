//! Two peers that talk as sane stacks do, to be put into captures.

use tcpguard_common::craft::TcpFrame;

/// Both ends of a connection, and the number that each sends next.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    syn: TcpFrame,
    next: [u32; 2],
}

impl Peers {
    /// The sender of a SYN, and its receiver, who counts from 5000 on.
    pub(crate) fn of(syn: TcpFrame) -> Self {
        let next = [syn.seq, 5000];
        Self { syn, next }
    }

    /// A segment from the side that opened.
    pub(crate) fn forth(&mut self, flags: &str, payload: &[u8]) -> TcpFrame {
        self.say(0, flags, payload)
    }

    /// A segment from the other side.
    pub(crate) fn back(&mut self, flags: &str, payload: &[u8]) -> TcpFrame {
        let there = self.say(1, flags, payload);
        TcpFrame {
            source: there.destination,
            destination: there.source,
            ports: (there.ports.1, there.ports.0),
            ..there
        }
    }

    fn say(&mut self, side: usize, flags: &str, payload: &[u8]) -> TcpFrame {
        let counts = |flag| u32::from(flags.contains(flag));
        let len = u32::try_from(payload.len()).expect("a payload is short");
        let frame = TcpFrame {
            seq: self.next[side],
            ack: self.next[1 - side] * counts('A'),
            flags: flags.parse().expect("flags"),
            payload: payload.to_vec(),
            ..self.syn.clone()
        };
        self.next[side] = self.next[side].wrapping_add(len + counts('S') + counts('F'));
        frame
    }
}

/// The handshake.
pub(crate) fn open(peers: &mut Peers) -> Vec<TcpFrame> {
    vec![
        peers.forth("S", b""),
        peers.back("SA", b""),
        peers.forth("A", b""),
    ]
}

/// Five octets forth and three back.
pub(crate) fn exchange(peers: &mut Peers) -> Vec<TcpFrame> {
    vec![peers.forth("PA", b"hello"), peers.back("PA", b"yes")]
}

/// The close in four segments.
pub(crate) fn close(peers: &mut Peers) -> Vec<TcpFrame> {
    vec![
        peers.forth("FA", b""),
        peers.back("A", b""),
        peers.back("FA", b""),
        peers.forth("A", b""),
    ]
}
