//! Prefixes of IP addresses.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u32,
}

impl Prefix {
    /// Those of a network address, and how many of its bits count.
    pub(crate) const fn new(address: IpAddr, length: u32) -> Self {
        Self { address, length }
    }

    /// As it was given.
    pub(crate) const fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits all of them begin with.
    pub(crate) const fn length(self) -> u32 {
        self.length
    }

    /// The same without the bits that do not count.
    pub(crate) fn network(self) -> Self {
        let clear = |bits: u128, width: u32| {
            let rest = width - self.length;
            bits.checked_shr(rest).map_or(0, |bits| bits << rest)
        };
        let address = match self.address {
            IpAddr::V4(address) => {
                let bits = clear(address.to_bits().into(), 32);
                Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or_default()).into()
            }
            IpAddr::V6(address) => Ipv6Addr::from_bits(clear(address.to_bits(), 128)).into(),
        };
        Self { address, ..self }
    }

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

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
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
    use super::*;

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
    fn a_network_has_no_bits_that_do_not_count() {
        for (prefix, network) in [
            ("192.0.2.129/25", "192.0.2.128/25"),
            ("192.0.2.129", "192.0.2.129/32"),
            ("192.0.2.129/0", "0.0.0.0/0"),
            ("2001:db8:f::1/32", "2001:db8::/32"),
            ("::1/0", "::/0"),
        ] {
            let prefix: Prefix = prefix.parse().unwrap();
            assert_eq!(prefix.network().to_string(), network);
        }
    }
}
