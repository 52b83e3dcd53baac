//! Which connection a segment belongs to, and in which direction it goes.
//!
//! A key is canonical: the lower address and port come first, so that both directions, seen at
//! whichever hook or interface, give one key. "Lower" is the order of the words as they are
//! compared here, not of the addresses as people write them.

use crate::{
    branchless::ordered,
    cursor::View,
    wire::{
        ipv4::{self, Ipv4Header},
        ipv6::{self, Ipv6Header},
    },
};

/// The way of a segment between the two ends of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Way {
    /// From the key's first end to its second.
    Up = 0,
    /// From the key's second end to its first.
    Down = 1,
}

impl Way {
    /// The way with this number, as it crosses between functions of the kernel; higher bits are dropped.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        if number & 1 == 0 {
            Self::Up
        } else {
            Self::Down
        }
    }

    /// Of what a key has of either end, that of the sender first.
    #[inline(always)]
    #[must_use]
    pub fn order<T>(self, [low, high]: [T; 2]) -> [T; 2] {
        match self {
            Self::Up => [low, high],
            Self::Down => [high, low],
        }
    }

    /// The opposite way.
    #[inline(always)]
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// An IP header: which connection a segment belongs to, together with its ports.
pub trait Ends: Copy {
    /// What names a connection.
    type Key;

    /// The key of a segment between these ports, and the way that it goes.
    fn key(self, source_port: u16, destination_port: u16) -> (Self::Key, Way);
}

impl<V: View<{ ipv4::HEADER_LEN }>> Ends for Ipv4Header<V> {
    type Key = FlowKey4;

    #[inline(always)]
    fn key(self, source_port: u16, destination_port: u16) -> (FlowKey4, Way) {
        let destination = (self.destination(), destination_port);
        FlowKey4::new((self.source(), source_port), destination)
    }
}

impl<V: View<{ ipv6::HEADER_LEN }>> Ends for Ipv6Header<V> {
    type Key = FlowKey6;

    #[inline(always)]
    fn key(self, source_port: u16, destination_port: u16) -> (FlowKey6, Way) {
        let destination = (self.destination(), destination_port);
        FlowKey6::new((self.source(), source_port), destination)
    }
}

/// Both ends of an IPv4 connection, twelve octets without padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey4 {
    /// Address of either end, the lower end first.
    pub addresses: [u32; 2],
    /// Port of either end.
    pub ports: [u16; 2],
}

impl FlowKey4 {
    /// The key of a segment and the way that it goes.
    #[inline(always)]
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each part takes its bits of an end"
    )]
    pub fn new(source: (u32, u16), destination: (u32, u16)) -> (Self, Way) {
        let number = |(address, port): (u32, u16)| u64::from(address) << 16 | u64::from(port);
        let (ends, swapped) = ordered(number(source), number(destination));
        (
            Self {
                addresses: ends.map(|end| (end >> 16) as u32),
                ports: ends.map(|end| end as u16),
            },
            Way::from_number(swapped as u32),
        )
    }
}

/// Both ends of an IPv6 connection, 36 octets without padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey6 {
    /// Address of either end, the lower end first.
    pub addresses: [[u32; 4]; 2],
    /// Port of either end.
    pub ports: [u16; 2],
}

impl FlowKey6 {
    /// The key of a segment and the way that it goes.
    #[inline(always)]
    #[must_use]
    pub fn new(source: ([u32; 4], u16), destination: ([u32; 4], u16)) -> (Self, Way) {
        let (low, high, way) = if source <= destination {
            (source, destination, Way::Up)
        } else {
            (destination, source, Way::Down)
        };
        (
            Self {
                addresses: [low.0, high.0],
                ports: [low.1, high.1],
            },
            way,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_of_an_ipv4_connection_give_one_key() {
        bolero::check!()
            .with_type()
            .for_each(|&(a, b): &((u32, u16), (u32, u16))| {
                let (there, way) = FlowKey4::new(a, b);
                let (back, way_back) = FlowKey4::new(b, a);
                assert_eq!(there, back);
                assert!(a == b || way_back == way.reverse());
            });
    }

    #[test]
    fn both_directions_of_an_ipv6_connection_give_one_key() {
        type End = ([u32; 4], u16);
        bolero::check!()
            .with_type()
            .for_each(|&(a, b): &(End, End)| {
                let (there, way) = FlowKey6::new(a, b);
                let (back, way_back) = FlowKey6::new(b, a);
                assert_eq!(there, back);
                assert!(a == b || way_back == way.reverse());
            });
    }

    #[test]
    fn ports_alone_tell_the_way_between_equal_addresses() {
        let (key, way) = FlowKey4::new((7, 443), (7, 80));
        assert_eq!((key.ports, way), ([80, 443], Way::Down));
    }
}
