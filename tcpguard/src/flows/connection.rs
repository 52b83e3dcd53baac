//! One connection as people see it: by its original and its reply side, in order of addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tcpguard_common::{
    conn::{
        Conn,
        half::{Half, Marks},
        ruling::Direction,
        state::State,
        time::Ticks,
    },
    flow::{FlowKey4, FlowKey6},
    segment::ipv6_address,
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
        with_ports(
            [low, high].map(|words| ipv6_address(words).into()),
            self.ports,
        )
    }
}

fn with_ports([low, high]: [IpAddr; 2], ports: [u16; 2]) -> Ends {
    [
        SocketAddr::new(low, ports[0]),
        SocketAddr::new(high, ports[1]),
    ]
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

    /// Which side closed it: by its reset, or by the first FIN. `None` while nobody did, or if both
    /// did at the same moment.
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
        only(Marks::RST)
            .or_else(|| only(Marks::CLOSER))
            .or_else(|| only(Marks::FIN))
    }

    /// Octets of payload that both directions have sent.
    #[must_use]
    pub const fn octets(&self) -> u64 {
        self.original.octets() + self.reply.octets()
    }

    /// By source, then by destination: the order of a listing.
    #[must_use]
    pub const fn order(&self) -> (SocketAddr, SocketAddr) {
        (self.source, self.destination)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn connection(key: &impl Keyed, marks: [Marks; 2]) -> Connection {
        let mut conn = Conn::SILENT;
        for (half, marks) in conn.halves.iter_mut().zip(marks) {
            half.marks = marks;
        }
        Connection::new(key, &conn, Ticks(9))
    }

    const KEY: FlowKey4 = FlowKey4 {
        addresses: [0x0a00_0001, 0x0a00_0002],
        ports: [80, 40_000],
    };

    #[test]
    fn the_side_that_spoke_first_is_the_source_whatever_its_address() {
        let up = connection(&KEY, [Marks::ORIGINAL, Marks::NONE]);
        assert_eq!(up.source, "10.0.0.1:80".parse().unwrap());
        let down = connection(&KEY, [Marks::NONE, Marks::ORIGINAL]);
        assert_eq!(down.source, "10.0.0.2:40000".parse().unwrap());
        assert_eq!(down.destination, "10.0.0.1:80".parse().unwrap());
        assert_eq!(down.original.marks, Marks::ORIGINAL);
    }

    #[test]
    fn words_of_an_ipv6_address_are_as_in_the_frame() {
        let words = |address: &str| {
            let octets = address.parse::<Ipv6Addr>().unwrap().octets();
            [0, 4, 8, 12].map(|at| {
                let mut word = [0; 4];
                word.copy_from_slice(&octets[at..at + 4]);
                u32::from_ne_bytes(word)
            })
        };
        let key = FlowKey6 {
            addresses: [words("2001:db8::1"), words("fe80::2")],
            ports: [1, 2],
        };
        let expected = ["[2001:db8::1]:1", "[fe80::2]:2"].map(|end| end.parse().unwrap());
        assert_eq!(key.ends(), expected);
    }

    #[test]
    fn who_closed_is_who_reset_it_or_sent_the_first_fin() {
        let (fin, rst) = (Marks::FIN, Marks::RST);
        let closer = fin.with(Marks::CLOSER);
        let original = Marks::ORIGINAL;
        for (marks, expected) in [
            ([original, Marks::NONE], None),
            ([original.with(fin), Marks::NONE], Some(Direction::Original)),
            ([original.with(fin), closer], Some(Direction::Reply)),
            ([original.with(closer), fin], Some(Direction::Original)),
            ([original.with(closer), closer], None),
            ([original.with(closer), rst], Some(Direction::Reply)),
        ] {
            assert_eq!(connection(&KEY, marks).closed_by(), expected, "{marks:?}");
        }
    }
}
