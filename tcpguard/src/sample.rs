//! What a guard has counted until one moment.

use std::time::{Duration, SystemTime};

use tcpguard_common::{
    abi::{HOOKS, Hook},
    cookie::pressure::Pressure,
    counters::{Counters, Events},
};

use crate::{alarm::Alarm, cli::Mode, flows::Tables, programs::Runs};

/// Everything that a guard has counted since it was attached.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was read.
    pub taken: SystemTime,
    /// How long the guard has been attached then.
    pub uptime: Duration,
    /// Whether any check drops; else all of them only count.
    pub enforcing: bool,
    /// The guarded interfaces, in the order in which they were named.
    pub interfaces: Vec<InterfaceSample>,
    /// What happened to connections, summed over CPUs.
    pub events: Events,
    /// The part of that which what arrives has brought about.
    pub arrived: Events,
    /// How many handshakes are begun from outside and not completed, where that is counted.
    pub pressure: Pressure,
    /// What the flow tables held when they were last counted, which may be a while ago.
    pub tables: Tables,
    /// What its programs cost, by hook, where the kernel keeps that.
    pub runs: Vec<(Hook, Runs)>,
    /// What is objected to remarkably often, for those who follow it; the fastest first.
    pub(crate) alarms: Vec<Alarm>,
}

/// What was counted at one interface.
#[derive(Clone, Debug)]
pub struct InterfaceSample {
    /// Its name when it was attached.
    pub name: String,
    /// Where what arrives is judged.
    pub ingress: Ingress,
    /// Where what leaves is seen.
    pub egress: Egress,
    /// By [`tcpguard_common::abi::Hook`], summed over CPUs.
    pub counters: [Counters; HOOKS],
}

/// Where what arrives is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// XDP in the driver.
    Native,
    /// XDP in the network stack.
    Generic,
}

impl Ingress {
    /// The name that is the same everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }

    /// Whether it is what was asked for.
    pub(crate) fn suits(self, mode: Mode) -> bool {
        match mode {
            Mode::Auto => true,
            Mode::Native => self == Self::Native,
            Mode::Generic => self == Self::Generic,
        }
    }
}

/// Where what leaves is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// A tcx link, owned by the process: Linux 6.6 and newer.
    Tcx,
    /// A filter of the clsact queueing discipline: older kernels.
    Clsact,
    /// Nowhere: on loopback all that leaves also arrives.
    None,
    /// Nowhere, because the operator says that it cannot be: `--ingress-only`.
    Unseen,
}

impl Egress {
    /// The name that is the same everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
            Self::None | Self::Unseen => "none",
        }
    }
}

impl Sample {
    /// All hooks of all interfaces together.
    #[must_use]
    pub fn total(&self) -> Counters {
        let mut total = Counters::ZERO;
        for counters in self
            .interfaces
            .iter()
            .flat_map(|interface| &interface.counters)
        {
            total.add(counters);
        }
        total
    }
}
