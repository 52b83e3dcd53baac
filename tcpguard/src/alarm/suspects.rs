//! Who sends what is objected to, and to which ports, as far as the guard keeps a sample of it.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use tcpguard_common::{abi::Hook, reason::Reason};

use crate::evidence::{archive::Sighting, lookout::Lookout};

/// The frames that a guard keeps, of which each is looked at once.
pub(crate) struct Suspects(Lookout);

/// Where an arriving segment came from, and to which port it went.
pub(super) type Ends = (IpAddr, u16);

impl Suspects {
    /// Of a guard that keeps these.
    pub(crate) const fn new(kept: Lookout) -> Self {
        Self(kept)
    }

    /// Those that have been kept since the last time.
    pub(super) fn read(&mut self) -> Vec<(Reason, Ends)> {
        self.0.read().iter().filter_map(look_at).collect()
    }
}

fn look_at(sighting: &Sighting) -> Option<(Reason, Ends)> {
    let exhibit = &sighting.exhibit;
    let [source, destination] = sighting.segment.as_ref()?.ends();
    let ends = (source.ip(), destination.port());
    (exhibit.hook == Hook::Ingress).then_some((exhibit.verdict.reason()?, ends))
}

/// How the ends of segments are spread, in a sample of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spread {
    looked_at: usize,
    sources: usize,
    /// One of them.
    source: Option<IpAddr>,
    ports: usize,
    port: Option<u16>,
}

/// Fewer segments show no pattern.
const ENOUGH: usize = 8;

impl Spread {
    pub(super) fn of(sample: &[Ends]) -> Self {
        let sources: BTreeSet<_> = sample.iter().map(|(source, _)| *source).collect();
        let ports: BTreeSet<_> = sample.iter().map(|(_, port)| *port).collect();
        Self {
            looked_at: sample.len(),
            sources: sources.len(),
            source: sources.first().copied(),
            ports: ports.len(),
            port: ports.first().copied(),
        }
    }

    /// Whether few walk from port to port, or many or few stay at some; `None` if that is not clear.
    pub(super) const fn is_scan(&self) -> Option<bool> {
        if self.looked_at < ENOUGH {
            None
        } else if self.ports * 2 > self.looked_at && self.sources * 4 <= self.looked_at {
            Some(true)
        } else if self.ports * 4 <= self.looked_at {
            Some(false)
        } else {
            None
        }
    }
}

impl fmt::Display for Spread {
    /// Begins with a comma, and is empty if nothing was looked at.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(source), Some(port)) = (self.source, self.port) else {
            return Ok(());
        };
        match self.sources {
            1 => write!(f, ", from {source}")?,
            many => write!(f, ", from {many} sources")?,
        }
        match self.ports {
            1 => write!(f, " to port {port}")?,
            many => write!(f, " to {many} ports")?,
        }
        write!(f, " in a sample of {}", self.looked_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments from so many sources to so many ports, in turn.
    fn spread(segments: u16, sources: u16, ports: u16) -> Spread {
        let ends = |number: u16| {
            let [high, low] = (number % sources).to_be_bytes();
            (IpAddr::from([192, 0, high, low]), 1 + number % ports)
        };
        Spread::of(&(0..segments).map(ends).collect::<Vec<_>>())
    }

    #[test]
    fn few_that_walk_from_port_to_port_scan_and_who_stays_floods() {
        assert_eq!(spread(64, 1, 64).is_scan(), Some(true));
        assert_eq!(spread(64, 16, 33).is_scan(), Some(true));
        assert_eq!(spread(64, 1, 1).is_scan(), Some(false));
        assert_eq!(spread(64, 64, 2).is_scan(), Some(false));
        assert_eq!(spread(64, 64, 64).is_scan(), None, "forged sources");
        assert_eq!(spread(7, 1, 7).is_scan(), None, "too few");
        assert_eq!(Spread::default().is_scan(), None);
    }

    #[test]
    fn one_is_named_and_several_are_counted() {
        assert_eq!(
            spread(64, 1, 1).to_string(),
            ", from 192.0.0.0 to port 1 in a sample of 64"
        );
        assert_eq!(
            spread(64, 4, 20).to_string(),
            ", from 4 sources to 20 ports in a sample of 64"
        );
        assert_eq!(Spread::default().to_string(), "");
    }
}
