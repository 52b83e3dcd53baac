//! Which connection of a capture is meant.

use std::{net::SocketAddr, str::FromStr};

/// A connection as it is named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// By its number in the list.
    Number(u64),
    /// By its ends, in either order.
    Ends([SocketAddr; 2]),
}

/// What is neither.
const WANTED: &str = "give its number in the list, or both of its ends in quotes, as in \
                      '10.0.0.1:1025>10.0.0.2:80' or '[2001:db8::1]:1025>[2001:db8::2]:80'";

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        // A shell takes the first for a redirection if it is not quoted; the second is as good.
        let ends = text.split_once('>').or_else(|| text.split_once('-'));
        let (one, two) = ends.ok_or_else(|| format!("not a connection: {WANTED}"))?;
        let end = |text: &str| {
            let address = text.trim().parse();
            address.map_err(|_| format!("{text:?} is not an address with a port: {WANTED}"))
        };
        Ok(Self::Ends([end(one)?, end(two)?]))
    }
}

impl Selection {
    /// Whether this is the connection with this number between these ends.
    #[must_use]
    pub fn is(self, number: u64, ends: [SocketAddr; 2]) -> bool {
        match self {
            Self::Number(it) => it == number,
            Self::Ends([one, two]) => ends == [one, two] || ends == [two, one],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> [SocketAddr; 2] {
        ["10.0.0.1:1025", "10.0.0.2:80"].map(|end| end.parse().unwrap())
    }

    #[test]
    fn a_connection_is_named_by_its_ends_in_either_order() {
        for text in [
            "10.0.0.1:1025>10.0.0.2:80",
            "10.0.0.2:80 > 10.0.0.1:1025",
            "10.0.0.1:1025-10.0.0.2:80",
        ] {
            let selection: Selection = text.parse().unwrap();
            assert!(selection.is(7, ends()), "{text}");
        }
        let other: Selection = "10.0.0.1:1026>10.0.0.2:80".parse().unwrap();
        assert!(!other.is(7, ends()));
        let ends = ["[2001:db8::1]:1025", "[2001:db8::2]:80"].map(|end| end.parse().unwrap());
        let wide: Selection = "[2001:db8::2]:80>[2001:db8:0::1]:1025".parse().unwrap();
        assert!(wide.is(7, ends));
    }

    #[test]
    fn a_connection_is_named_by_its_number() {
        let selection: Selection = "7".parse().unwrap();
        assert!(selection.is(7, ends()));
        assert!(!selection.is(8, ends()));
    }

    #[test]
    fn half_a_connection_is_refused_with_the_quotes_that_were_missing() {
        for text in ["10.0.0.1:1025", "10.0.0.1>10.0.0.2", "", "-1", ">"] {
            let error = text.parse::<Selection>().unwrap_err();
            assert!(error.contains("in quotes"), "{text}: {error}");
        }
    }
}
