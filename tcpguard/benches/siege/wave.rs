//! The floods of a siege.

use xtask::lab::site::Family;

use super::lab::flood::{Flood, Origin};

/// What is sent, in whose name and over which version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wave {
    pub(crate) flood: Flood,
    pub(crate) origin: Origin,
    pub(crate) family: Family,
}

const ORIGINS: [Origin; 3] = [Origin::Everywhere, Origin::Few, Origin::One];

impl Wave {
    /// None at all, and the first of all there are.
    ///
    /// There are eleven kinds, three origins and two versions of IP, of which no two numbers have a divisor: so who
    /// walks around all of them at once meets each combination, and each kind in the first eleven steps.
    pub(crate) fn first(number: usize) -> Vec<Option<Self>> {
        let all = Flood::ALL.len() * ORIGINS.len() * Family::ALL.len();
        let kinds = Flood::ALL.into_iter().cycle();
        let origins = ORIGINS.into_iter().cycle();
        let families = Family::ALL.into_iter().cycle();
        let waves = kinds.zip(origins).zip(families).take(number.min(all));
        let waves = waves.map(|((flood, origin), family)| Self {
            flood,
            origin,
            family,
        });
        [None].into_iter().chain(waves.map(Some)).collect()
    }
}

/// What the report calls it.
pub(crate) fn name(wave: Option<Wave>) -> String {
    let Some(wave) = wave else {
        return "no flood".into();
    };
    let family = match wave.family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    };
    format!("{}, {}, {family}", wave.flood.name(), wave.origin.name())
}
