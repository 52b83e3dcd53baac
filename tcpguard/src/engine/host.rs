//! The core in this process: needs no privilege.

use std::fmt;

use anyhow::Result;
use tcpguard_common::{
    abi::{Adjudication, Fullness},
    conn::{
        ruling::Ruling,
        seen::{Seen, Voice},
        time::Ticks,
        witness::{self, Plea},
    },
    counters::{Counters, Events},
    flags::TcpFlags,
    flow::{FlowKey4, FlowKey6},
    judge::judge,
    parse::Link,
    segment::{Addresses, Segment},
    table::{host::Table, key::Seed},
    verdict::Verdict,
};

use super::{CONNECTIONS, Engine, Frame, Rules, states::States};
use crate::cli::Pickup;

/// Decides with the core that is linked into this binary.
pub struct HostEngine {
    rules: Rules,
    /// One for each kind of link, as the kernel engine has a program for each.
    ethernet: Option<Tables>,
    raw_ip: Option<Tables>,
    /// When the last frame was seen.
    now: Ticks,
    counters: Counters,
    events: Events,
}

impl HostEngine {
    /// An engine that holds segments against `rules`.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            ethernet: None,
            raw_ip: None,
            now: Ticks(0),
            counters: Counters::ZERO,
            events: Events::ZERO,
        }
    }

    /// Decides and counts, which does not fail here.
    pub(super) fn decide(&mut self, frame: &Frame<'_>) -> Adjudication {
        self.now = frame.now;
        let mut outcome = judge(&mut frame.cursor(), frame.link);
        let mut bits = 0;
        if let (Some(segment), Some(pickup)) = (outcome.segment, self.rules.tracking)
            && outcome.verdict == Verdict::ACCEPT
        {
            let ruling = self.tables(frame.link).track(&segment, frame, pickup);
            self.events.count(ruling);
            outcome.verdict = ruling.verdict();
            bits = ruling.bits();
        }
        let outcome = outcome.under(&self.rules.policy);
        self.counters.count(&outcome, frame.wire_len);
        Adjudication::new(outcome.verdict, outcome.segment.as_ref(), bits)
    }

    /// Everything that was counted.
    pub(super) const fn counted(&self) -> &Counters {
        &self.counters
    }

    fn tables(&mut self, link: Link) -> &mut Tables {
        match link {
            Link::Ethernet => &mut self.ethernet,
            Link::RawIp => &mut self.raw_ip,
        }
        .get_or_insert_with(Tables::new)
    }
}

impl fmt::Debug for HostEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostEngine")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Engine for HostEngine {
    fn adjudicate(&mut self, frame: &Frame<'_>) -> Result<Adjudication> {
        Ok(self.decide(frame))
    }

    fn counters(&self) -> Result<Counters> {
        Ok(self.counters)
    }

    fn events(&self) -> Result<Events> {
        Ok(self.events)
    }

    fn states(&self) -> Result<States> {
        let mut states = States::default();
        for tables in [&self.ethernet, &self.raw_ip].into_iter().flatten() {
            tables.count(&mut states, self.now);
        }
        Ok(states)
    }
}

/// The connections of both versions of IP.
struct Tables {
    v4: Table<FlowKey4>,
    v6: Table<FlowKey6>,
    fullness: Fullness,
}

impl Tables {
    fn new() -> Self {
        // Nobody aims at a replay, and the same capture is to give the same answers.
        let seed = Seed::known(0);
        Self {
            v4: Table::new(CONNECTIONS, seed),
            v6: Table::new(CONNECTIONS, seed),
            fullness: Fullness::default(),
        }
    }

    fn count(&self, states: &mut States, now: Ticks) {
        let v4 = self.v4.entries().map(|entry| entry.conn);
        let v6 = self.v6.entries().map(|entry| entry.conn);
        v4.chain(v6).for_each(|conn| states.count(&conn, now));
    }

    fn track(&mut self, segment: &Segment, frame: &Frame<'_>, pickup: Pickup) -> Ruling {
        let voice = match pickup {
            Pickup::Always if segment.flags.contains(TcpFlags::SYN) => Voice::FOREIGN.learning(),
            Pickup::Always | Pickup::Never => Voice::FOREIGN,
        };
        let mut seen = Seen::new(segment, frame.now, voice);
        let options = usize::from(segment.options_at)..;
        if segment.options_len > 0
            && let Some(octets) = frame.octets.get(options)
        {
            let len = usize::from(segment.options_len);
            seen = seen.with_options(&octets.get(..len).unwrap_or(octets));
        }
        let learned = pickup == Pickup::Always || self.fullness.forgives(seen.now);
        let plead = || {
            if learned {
                witness::learn(&seen)
            } else {
                Plea::Refuse
            }
        };
        let ports = (segment.source_port, segment.destination_port);
        let ruling = match segment.addresses {
            Addresses::V4 {
                source,
                destination,
            } => {
                let (key, way) = FlowKey4::new((source, ports.0), (destination, ports.1));
                self.v4.decide(&key, way, &seen, plead)
            }
            Addresses::V6 {
                source,
                destination,
            } => {
                let (key, way) = FlowKey6::new((source, ports.0), (destination, ports.1));
                self.v6.decide(&key, way, &seen, plead)
            }
        };
        if ruling.is_table_full() {
            self.fullness = Fullness::at(seen.now);
        }
        ruling
    }
}
