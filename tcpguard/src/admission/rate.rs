//! `--syn-limit`, `--syn-limit-source` and `--syn-limit-prefix`: how many connections others may open in a second.

use std::{fmt, str::FromStr};

use anyhow::{Error, Result, bail, ensure};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};
use tcpguard_common::limit::Bucket;

/// Connections in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate(u32);

impl Rate {
    /// As many as like.
    pub const OFF: Self = Self(0);

    /// As it crosses to the kernel, where 0 is no limit.
    pub(super) const fn number(self) -> u32 {
        self.0
    }

    pub(super) const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The limit, if it is one.
    #[must_use]
    pub fn limit(self) -> Option<u32> {
        (self != Self::OFF).then_some(self.0)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit() {
            None => f.pad("off"),
            Some(rate) => write!(f, "{rate}/s"),
        }
    }
}

impl FromStr for Rate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "off" {
            return Ok(Self::OFF);
        }
        match text.strip_suffix("/s").unwrap_or(text).parse() {
            Ok(rate @ 1..=Bucket::MOST) => Ok(Self(rate)),
            _ => bail!(
                "\"{text}\" is no rate: give connections a second (1 to {}), such as 500 or 500/s, or off",
                Bucket::MOST
            ),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written)
    }
}

/// `500`, `"500/s"` or `"off"`.
struct Written;

impl Visitor<'_> for Written {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connections a second such as 500, or \"off\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Rate, E> {
        self.visit_str(&number.to_string())
    }
}

/// Bits of an address, from the front, that make one source: of IPv4, and of IPv6.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "[u8; 2]")]
pub struct SourcePrefix([u8; 2]);

/// An address of IPv4, and the network of IPv6 that a site has at least, in which its hosts choose their
/// addresses as they like (RFC 4291 section 2.5.4).
impl Default for SourcePrefix {
    fn default() -> Self {
        Self([32, 64])
    }
}

impl SourcePrefix {
    /// As they cross to the kernel: a word of IPv4, and two of IPv6.
    pub(super) fn masks(self) -> [u32; 3] {
        let Self([ipv4, ipv6]) = self;
        let word = |len: u8| u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
        [
            word(ipv4),
            word(ipv6.min(32)),
            word(ipv6.saturating_sub(32)),
        ]
    }

    pub(super) fn from_masks([ipv4, first, second]: [u32; 3]) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "64 at most")]
        let len = |bits: u32| bits as u8;
        let ipv6 = first.count_ones() + second.count_ones();
        Self([len(ipv4.count_ones()), len(ipv6)])
    }
}

impl fmt::Display for SourcePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([ipv4, ipv6]) = self;
        write!(f, "/{ipv4} of IPv4 and /{ipv6} of IPv6")
    }
}

impl TryFrom<[u8; 2]> for SourcePrefix {
    type Error = Error;

    fn try_from(lengths: [u8; 2]) -> Result<Self> {
        let [ipv4, ipv6] = lengths;
        ensure!(
            (1..=32).contains(&ipv4) && (1..=64).contains(&ipv6),
            "{ipv4} and {ipv6} are no lengths of prefixes: give 1 to 32 of IPv4 and 1 to 64 of IPv6"
        );
        Ok(Self(lengths))
    }
}

impl FromStr for SourcePrefix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lengths = text.split_once(',').and_then(|(ipv4, ipv6)| {
            let len = |text: &str| text.trim().trim_start_matches('/').parse().ok();
            Some([len(ipv4)?, len(ipv6)?])
        });
        match lengths {
            Some(lengths) => lengths.try_into(),
            None => bail!(
                "\"{text}\" is no pair of lengths: give that of IPv4 and of IPv6, such as 24,56"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        for (text, told) in [
            ("500", "500/s"),
            ("500/s", "500/s"),
            ("1", "1/s"),
            ("off", "off"),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), told);
        }
        for text in ["", "0", "-1", "many", "1/m", "536870912"] {
            let told = text.parse::<Rate>().unwrap_err().to_string();
            assert!(told.contains("500/s, or off"), "{text}: {told}");
        }
    }

    #[test]
    fn a_source_is_what_its_masks_leave() {
        for (text, masks) in [
            ("32,64", [u32::MAX; 3]),
            ("24,56", [0xffff_ff00, u32::MAX, 0xffff_ff00]),
            ("/1,/32", [0x8000_0000, u32::MAX, 0]),
            ("8, 1", [0xff00_0000, 0x8000_0000, 0]),
        ] {
            let prefix: SourcePrefix = text.parse().unwrap();
            assert_eq!(prefix.masks(), masks, "{text}");
            assert_eq!(SourcePrefix::from_masks(masks), prefix);
        }
        for text in ["", "24", "0,64", "33,64", "24,65", "24,56,1"] {
            assert!(text.parse::<SourcePrefix>().is_err(), "{text}");
        }
    }
}
