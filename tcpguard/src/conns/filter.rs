//! Which connections are asked for.

use std::str::FromStr;

use tcpguard_common::conn::state::State;

use crate::{cli, flows::Connection, prefix::Prefix};

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

impl FromStr for Filter {
    type Err = String;

    /// Reads words: states, a port, and an address or a prefix, in any order.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        for word in text.split_whitespace() {
            if let Ok(state) = cli::state(word) {
                filter.states.push(state);
            } else if let Ok(port) = word.parse::<u16>() {
                filter.port = Some(port);
            } else if let Ok(prefix) = word.parse::<Prefix>() {
                filter.within = Some(prefix);
            } else {
                return Err(format!("\"{word}\" is no state, port, address or prefix"));
            }
        }
        Ok(filter)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::listing::specimen::established, *};

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

    #[test]
    fn words_are_read_in_any_order_and_nonsense_is_named() {
        let filter: Filter = " 443 established 10.0.0.0/8 close-wait".parse().unwrap();
        assert_eq!(filter.states, [State::Established, State::CloseWait]);
        assert_eq!(filter.port, Some(443));
        assert_eq!(filter.within, "10.0.0.0/8".parse().ok());
        assert!("".parse::<Filter>().unwrap().states.is_empty());
        for nonsense in ["70000", "open", "10.0.0.0/33"] {
            let told = nonsense.parse::<Filter>().unwrap_err();
            assert!(told.contains(nonsense), "{told}");
        }
    }
}
