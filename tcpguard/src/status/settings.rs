//! What a guard was attached with, from its constants.

use serde::Serialize;
use tcpguard_common::{
    abi::Config,
    conn::{seen::Voice, time::SECOND},
    reason::{Group, Reason},
};

use crate::watch::number;

/// How a guard was attached.
#[derive(Serialize)]
pub(super) struct Settings {
    /// Reasons that drop.
    drop: Vec<&'static str>,
    max_conns: u32,
    learn_s: f64,
    transit: bool,
    ingress_only: bool,
}

impl Settings {
    pub(super) fn new(config: &Config) -> Self {
        let drop = config.ingress.drop;
        let drop = Reason::ALL
            .into_iter()
            .filter(|reason| drop.contains(*reason));
        Self {
            drop: drop.map(Reason::as_str).collect(),
            max_conns: config.connections,
            learn_s: f64::from(config.learn_for) / f64::from(SECOND),
            transit: config.transit != 0,
            ingress_only: config.voice == u32::from(Voice::LONE.number()),
        }
    }

    /// In a line, and with groups where they are whole.
    pub(super) fn line(&self) -> String {
        let dropped = match self.dropped() {
            names if names.is_empty() => "drops nothing (--observe)".to_owned(),
            names => format!("drops {}", names.join(", ")),
        };
        let room = number::grouped(self.max_conns.into());
        let mut parts = vec![
            dropped,
            format!("up to {room} connections of each IP version"),
        ];
        if self.transit {
            parts.push("connections go through this host".to_owned());
        }
        if self.learn_s > 0.0 {
            parts.push(format!("the first {} s are for learning", self.learn_s));
        }
        if self.ingress_only {
            parts.push("what leaves is not seen (--ingress-only)".to_owned());
        }
        parts.join("; ")
    }

    fn dropped(&self) -> Vec<&'static str> {
        if self.drop.len() == Reason::COUNT {
            return vec!["all that is objected to"];
        }
        let mut names = Vec::new();
        for group in Group::ALL {
            let of_group = Reason::ALL
                .into_iter()
                .filter(|reason| reason.group() == group);
            let names_of_group: Vec<_> = of_group.map(Reason::as_str).collect();
            if names_of_group.iter().all(|name| self.drop.contains(name)) {
                names.push(group.as_str());
            } else {
                names.extend(
                    names_of_group
                        .into_iter()
                        .filter(|name| self.drop.contains(name)),
                );
            }
        }
        names
    }
}
