//! Which connections are asked for.

use std::{net::IpAddr, str::FromStr};

use tcpguard_common::conn::state::State;

use crate::flows::Connection;

/// What a connection must be to be listed; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In one of these states.
    pub states: Vec<State>,
    /// With an address on either side in here.
    pub within: Option<Prefix>,
    /// With this port on either side.
    pub port: Option<u16>,
}

impl Filter {
    /// Whether a connection is asked for.
    #[must_use]
    pub fn takes(&self, connection: &Connection) -> bool {
        let ends = [connection.source, connection.destination];
        let in_state = self.states.is_empty() || self.states.contains(&connection.state);
        in_state
            && self
                .within
                .is_none_or(|prefix| ends.iter().any(|end| prefix.contains(end.ip())))
            && self
                .port
                .is_none_or(|port| ends.iter().any(|end| end.port() == port))
    }
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u32,
}

impl Prefix {
    /// Whether an address is one of them.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let same = |one: u128, two: u128, width: u32| {
            // A shift by the whole width would be none at all.
            (one ^ two).checked_shr(width - self.length).unwrap_or(0) == 0
        };
        match (self.address, address) {
            (IpAddr::V4(one), IpAddr::V4(two)) => {
                same(one.to_bits().into(), two.to_bits().into(), 32)
            }
            (IpAddr::V6(one), IpAddr::V6(two)) => same(one.to_bits(), two.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, length) = text
            .split_once('/')
            .map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| {
            format!("\"{address}\" is no address; give one such as 192.0.2.1 or 2001:db8::/32")
        })?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(longest), |length| {
            let length = length.parse().ok().filter(|length| *length <= longest);
            length.ok_or_else(|| format!("a prefix of {address} has a length of 0 to {longest}"))
        })?;
        Ok(Self { address, length })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::listing::specimen::established, *};

    fn takes(prefix: &str, address: &str) -> bool {
        let prefix: Prefix = prefix.parse().unwrap();
        prefix.contains(address.parse().unwrap())
    }

    #[test]
    fn a_prefix_has_the_addresses_that_begin_with_it() {
        for (prefix, address, expected) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.128/25", "192.0.2.255", true),
            ("192.0.2.128/25", "192.0.2.127", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1", "::1", true),
        ] {
            assert_eq!(takes(prefix, address), expected, "{prefix} {address}");
        }
    }

    #[test]
    fn what_is_no_prefix_is_told_how_one_looks() {
        for text in [
            "example.org",
            "192.0.2.0/33",
            "192.0.2.0/",
            "::1/129",
            "1.2.3.4/-1",
        ] {
            let error = text.parse::<Prefix>().unwrap_err();
            assert!(
                error.contains("such as") || error.contains("0 to"),
                "{error}"
            );
        }
    }

    #[test]
    fn all_that_is_given_must_hold_for_either_side() {
        let connection = established("10.0.0.1:40000", "10.0.0.2:80");
        let filter = |states: &[State], within: Option<&str>, port| Filter {
            states: states.to_vec(),
            within: within.map(|prefix| prefix.parse().unwrap()),
            port,
        };
        let open = [State::SynReceived, State::Established];
        for (filter, expected) in [
            (Filter::default(), true),
            (filter(&open, Some("10.0.0.2"), Some(40_000)), true),
            (filter(&open, Some("10.0.0.0/24"), Some(443)), false),
            (filter(&open, Some("10.0.0.3"), Some(80)), false),
            (filter(&[State::Closed], None, Some(80)), false),
        ] {
            assert_eq!(filter.takes(&connection), expected, "{filter:?}");
        }
    }
}
