//! One connection as people see it: by its original and its reply side, in order of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tcpguard_common::{
    conn::{
        Conn,
        half::{Half, Marks},
        ruling::Direction,
        state::State,
        time::Ticks,
    },
    flow::{FlowKey4, FlowKey6},
};

/// Both ends of a key, its first end first.
pub type Ends = [SocketAddr; 2];

/// A key whose ends can be named.
pub(super) trait Keyed {
    fn ends(&self) -> Ends;
}

impl Keyed for FlowKey4 {
    fn ends(&self) -> Ends {
        let [low, high] = self.addresses;
        let address = |bits| IpAddr::from(Ipv4Addr::from_bits(bits));
        with_ports([address(low), address(high)], self.ports)
    }
}

impl Keyed for FlowKey6 {
    fn ends(&self) -> Ends {
        let [low, high] = self.addresses;
        with_ports([ipv6(low), ipv6(high)], self.ports)
    }
}

fn with_ports([low, high]: [IpAddr; 2], ports: [u16; 2]) -> Ends {
    [
        SocketAddr::new(low, ports[0]),
        SocketAddr::new(high, ports[1]),
    ]
}

/// The words lie in memory as in the frame.
fn ipv6(words: [u32; 4]) -> IpAddr {
    let mut octets = [0; 16];
    for (part, word) in octets.chunks_exact_mut(4).zip(words) {
        part.copy_from_slice(&word.to_ne_bytes());
    }
    Ipv6Addr::from(octets).into()
}

/// A live connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The side that spoke first.
    pub source: SocketAddr,
    /// The other one.
    pub destination: SocketAddr,
    /// What follows from both halves.
    pub state: State,
    /// Ticks since the entry was made.
    pub age: u32,
    /// Ticks since either side was heard.
    pub idle: u32,
    /// What the original side has said.
    pub original: Half,
    /// What the other one has said.
    pub reply: Half,
}

impl Connection {
    pub(super) fn new(key: &impl Keyed, conn: &Conn, now: Ticks) -> Self {
        let [low, high] = key.ends();
        let [up, down] = conn.halves;
        let is_up = !down.marks.contains(Marks::ORIGINAL);
        let (source, destination, original, reply) = if is_up {
            (low, high, up, down)
        } else {
            (high, low, down, up)
        };
        Self {
            source,
            destination,
            state: conn.state(),
            age: now.since(conn.created),
            idle: conn.idle(now),
            original,
            reply,
        }
    }

    /// What has been said in a direction, and in the opposite one.
    #[must_use]
    pub const fn halves(&self, direction: Direction) -> (&Half, &Half) {
        match direction {
            Direction::Original => (&self.original, &self.reply),
            Direction::Reply => (&self.reply, &self.original),
        }
    }

    /// Which side closed it: by its reset, or by the first FIN. `None` while nobody did, or if the
    /// halves do not tell.
    #[must_use]
    pub fn closed_by(&self) -> Option<Direction> {
        let only = |mark: Marks| {
            let has = |half: &Half| half.marks.contains(mark);
            match (has(&self.original), has(&self.reply)) {
                (true, false) => Some(Direction::Original),
                (false, true) => Some(Direction::Reply),
                (true, true) | (false, false) => None,
            }
        };
        only(Marks::RST).or_else(|| only(Marks::FIN))
    }

    /// By source, then by destination: the order of a listing.
    #[must_use]
    pub const fn order(&self) -> (SocketAddr, SocketAddr) {
        (self.source, self.destination)
    }
}
