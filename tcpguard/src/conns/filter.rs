//! Which connections are asked for.

use tcpguard_common::conn::state::State;

use crate::{flows::Connection, prefix::Prefix};

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
}
