//! What one guard keeps from now on.

use tcpguard_common::parse::Link;

use super::{Evidence, archive::Sighting};

/// The frames that a guard keeps, of which each is looked at once.
pub(crate) struct Lookout {
    evidence: Evidence,
    /// What frames begin with, by the slots of interfaces.
    links: Vec<Link>,
}

impl Lookout {
    /// Of a guard whose interfaces have such frames, in the order of their slots.
    pub(crate) const fn new(evidence: Evidence, links: Vec<Link>) -> Self {
        Self { evidence, links }
    }

    /// Those that have been kept since the last time, in the order of time.
    pub(crate) fn read(&mut self) -> Vec<Sighting> {
        let exhibits = self.evidence.read().into_iter();
        let sightings = exhibits.map(|exhibit| {
            let link = self.links.get(exhibit.slot).copied();
            Sighting::new(exhibit, link)
        });
        sightings.collect()
    }
}
