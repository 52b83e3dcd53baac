//! A sample, its totals, and what changed since the one before it.

use std::time::Duration;

use tcpguard_common::{
    abi::{HOOKS, Hook},
    counters::{Counters, Events, Tally},
    verdict::{Verdict, VerdictKind},
};

use super::number::per_second;
use crate::sample::Sample;

/// A sample as it is shown.
pub(super) struct Reading {
    /// What was counted since the guard was attached.
    pub(super) sample: Sample,
    /// All of it together.
    pub(super) total: Box<Counters>,
    change: Change,
}

impl Reading {
    /// Before any change is known.
    pub(super) fn first(sample: Sample) -> Self {
        let change = Change::between(&sample, &sample);
        Self {
            total: sample.total().into(),
            sample,
            change,
        }
    }

    /// Goes on to a later sample.
    pub(super) fn advance(&mut self, later: Sample) {
        self.change = Change::between(&self.sample, &later);
        self.total = later.total().into();
        self.sample = later;
    }

    /// The time that the change took.
    pub(super) fn elapsed(&self) -> Duration {
        self.change.elapsed
    }

    /// What `measure` makes of all interfaces together.
    pub(super) fn overall(&self, measure: impl Fn(&Counters) -> Tally) -> Pace {
        self.change
            .pace(measure(&self.total), measure(&self.change.total))
    }

    /// How fast that grows which `measure` makes of what happened to connections.
    pub(super) fn growth(&self, measure: impl Fn(&Events) -> u64) -> Rate {
        Rate::new(measure(&self.change.events), self.change.elapsed)
    }

    /// What was seen at this hook of all interfaces together.
    pub(super) fn at(&self, hook: Hook) -> Pace {
        let total = self
            .sample
            .interfaces
            .iter()
            .map(|interface| seen(&interface.counters, hook));
        let change = self
            .change
            .interfaces
            .iter()
            .map(|counters| seen(counters, hook));
        self.change.pace(sum(total), sum(change))
    }

    /// What `measure` makes of each interface, in their order.
    pub(super) fn by_interface(&self, measure: impl Fn(&[Counters; HOOKS]) -> Tally) -> Vec<Pace> {
        let changes = &self.change.interfaces;
        let interfaces = self.sample.interfaces.iter().zip(changes);
        interfaces
            .map(|(sum, change)| self.change.pace(measure(&sum.counters), measure(change)))
            .collect()
    }
}

/// Frames that were seen at one hook.
pub(super) fn seen(hooks: &[Counters; HOOKS], hook: Hook) -> Tally {
    let [ingress, egress] = hooks;
    match hook {
        Hook::Ingress => everything(ingress),
        Hook::Egress => everything(egress),
    }
}

/// Frames with a verdict of this kind at any hook.
pub(super) fn judged(hooks: &[Counters; HOOKS], kind: VerdictKind) -> Tally {
    sum(hooks.iter().map(|counters| counters.total(kind)))
}

/// Frames that went on.
pub(super) fn passed(counters: &Counters) -> Tally {
    let kinds = VerdictKind::ALL
        .into_iter()
        .filter(|kind| *kind != VerdictKind::Drop);
    sum(kinds.map(|kind| counters.total(kind)))
}

/// Frames with any verdict.
pub(super) fn everything(counters: &Counters) -> Tally {
    sum(counters.tallies())
}

/// Frames with any of these verdicts.
pub(super) fn either(counters: &Counters, verdicts: &[Verdict]) -> Tally {
    sum(verdicts.iter().map(|verdict| counters.tally(*verdict)))
}

fn sum(parts: impl Iterator<Item = Tally>) -> Tally {
    let mut sum = Tally::default();
    parts.for_each(|part| sum.add(part));
    sum
}

/// How far a count has come, and how fast it grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Since the guard was attached.
    pub(super) total: Tally,
    /// Frames a second.
    pub(super) packets: Rate,
    /// Bits a second.
    pub(super) bits: Rate,
}

/// So many in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rate {
    /// None at all.
    #[default]
    Zero,
    /// Some, but less than one each two seconds.
    Trickle,
    /// To the nearest whole number.
    Whole(u64),
}

impl Rate {
    /// So many; some are one at least.
    pub(super) const fn per_second(self) -> u64 {
        match self {
            Self::Zero => 0,
            Self::Trickle => 1,
            Self::Whole(rate) => rate,
        }
    }

    fn new(count: u64, elapsed: Duration) -> Self {
        if count == 0 || elapsed.is_zero() {
            return Self::Zero;
        }
        match per_second(count, elapsed) {
            0 => Self::Trickle,
            rate => Self::Whole(rate),
        }
    }
}

/// What was counted between two samples.
struct Change {
    elapsed: Duration,
    total: Box<Counters>,
    interfaces: Vec<[Counters; HOOKS]>,
    events: Events,
}

impl Change {
    fn between(earlier: &Sample, later: &Sample) -> Self {
        let interfaces: Vec<_> = later
            .interfaces
            .iter()
            .map(|interface| {
                let before = earlier
                    .interfaces
                    .iter()
                    .find(|it| it.name == interface.name);
                before.map_or(interface.counters, |it| {
                    grown(&it.counters, &interface.counters)
                })
            })
            .collect();
        let mut total = Box::new(Counters::ZERO);
        interfaces
            .iter()
            .flatten()
            .for_each(|counters| total.add(counters));
        // The guard's own clock: that of the wall may be set in between.
        Self {
            elapsed: later.uptime.saturating_sub(earlier.uptime),
            total,
            interfaces,
            events: happened(&earlier.events, &later.events),
        }
    }

    fn pace(&self, total: Tally, change: Tally) -> Pace {
        Pace {
            total,
            packets: Rate::new(change.packets, self.elapsed),
            bits: Rate::new(change.bytes.saturating_mul(8), self.elapsed),
        }
    }
}

fn grown(before: &[Counters; HOOKS], after: &[Counters; HOOKS]) -> [Counters; HOOKS] {
    let mut grown = *after;
    for (counters, before) in grown.iter_mut().zip(before) {
        // Counters never fall; should one, a rate of zero is less wrong than a rate of 2^64.
        for (cell, before) in counters.cells.iter_mut().zip(&before.cells) {
            let (tally, before) = (&mut cell.tally, before.tally);
            tally.packets = tally.packets.saturating_sub(before.packets);
            tally.bytes = tally.bytes.saturating_sub(before.bytes);
        }
        for (seen, before) in counters.flags.iter_mut().zip(&before.flags) {
            *seen = seen.saturating_sub(*before);
        }
    }
    grown
}

fn happened(before: &Events, after: &Events) -> Events {
    let mut happened = *after;
    let counts = happened.transitions.iter_mut().flatten();
    for (count, before) in counts.zip(before.transitions.iter().flatten()) {
        *count = count.saturating_sub(*before);
    }
    happened.adopted = happened.adopted.saturating_sub(before.adopted);
    happened.resync = happened.resync.saturating_sub(before.resync);
    happened.table_full = happened.table_full.saturating_sub(before.table_full);
    happened
}

#[cfg(test)]
mod tests {
    use tcpguard_common::reason::Reason;

    use super::{super::specimen::*, *};

    fn accepted(packets: u64, uptime_ms: u64) -> Sample {
        let mut sample = empty(&["eth0"]);
        sample.uptime = Duration::from_millis(uptime_ms);
        count(
            &mut sample,
            0,
            Hook::Ingress,
            Verdict::ACCEPT,
            packets,
            packets * 100,
        );
        sample
    }

    fn overall(earlier: Sample, later: Sample) -> Pace {
        let mut reading = Reading::first(earlier);
        reading.advance(later);
        reading.overall(everything)
    }

    #[test]
    fn rates_are_over_the_time_that_really_passed() {
        let pace = overall(accepted(100, 1_000), accepted(400, 2_500));
        assert_eq!(
            pace.total,
            Tally {
                packets: 400,
                bytes: 40_000
            }
        );
        assert_eq!(pace.packets, Rate::Whole(200));
        assert_eq!(pace.bits, Rate::Whole(160_000));
    }

    #[test]
    fn the_first_reading_knows_no_rate() {
        let pace = Reading::first(accepted(100, 1_000)).overall(everything);
        assert_eq!((pace.total.packets, pace.packets), (100, Rate::Zero));
    }

    #[test]
    fn no_time_and_no_change_are_a_rate_of_zero() {
        assert_eq!(
            overall(accepted(1, 1_000), accepted(2, 1_000)).packets,
            Rate::Zero
        );
        assert_eq!(
            overall(accepted(1, 1_000), accepted(1, 2_000)).packets,
            Rate::Zero
        );
    }

    #[test]
    fn a_rate_below_one_is_told_from_none() {
        assert_eq!(
            overall(accepted(0, 0), accepted(1, 10_000)).packets,
            Rate::Trickle
        );
        assert_eq!(
            overall(accepted(0, 0), accepted(1, 2_000)).packets,
            Rate::Whole(1)
        );
        assert!(Rate::Zero < Rate::Trickle && Rate::Trickle < Rate::Whole(1));
    }

    #[test]
    fn a_counter_that_falls_and_a_clock_that_is_set_back_saturate() {
        assert_eq!(
            overall(accepted(400, 1_000), accepted(100, 2_000)).packets,
            Rate::Zero
        );
        assert_eq!(
            overall(accepted(100, 2_000), accepted(400, 1_000)).packets,
            Rate::Zero
        );
        assert_eq!(
            Rate::new(u64::MAX, Duration::from_nanos(1)),
            Rate::Whole(u64::MAX)
        );
    }

    #[test]
    fn interfaces_are_kept_apart_and_hooks_are_told_apart() {
        let mut later = empty(&["eth0", "eth1"]);
        later.uptime = Duration::from_secs(1);
        count(&mut later, 0, Hook::Ingress, Verdict::ACCEPT, 10, 0);
        count(&mut later, 1, Hook::Egress, Verdict::ACCEPT, 20, 0);
        count(
            &mut later,
            1,
            Hook::Ingress,
            Verdict::dropped(Reason::FlagsNull),
            30,
            0,
        );
        let mut reading = Reading::first(empty(&["eth0", "eth1"]));
        reading.advance(later);

        let rates = |measure: &dyn Fn(&[Counters; HOOKS]) -> Tally| {
            reading
                .by_interface(measure)
                .iter()
                .map(|pace| pace.packets)
                .collect::<Vec<_>>()
        };
        let received = rates(&|hooks| seen(hooks, Hook::Ingress));
        assert_eq!(received, [Rate::Whole(10), Rate::Whole(30)]);
        assert_eq!(
            rates(&|hooks| seen(hooks, Hook::Egress)),
            [Rate::Zero, Rate::Whole(20)]
        );
        assert_eq!(
            rates(&|hooks| judged(hooks, VerdictKind::Drop)),
            [Rate::Zero, Rate::Whole(30)]
        );
        assert_eq!(reading.at(Hook::Ingress).packets, Rate::Whole(40));
        assert_eq!(reading.at(Hook::Egress).packets, Rate::Whole(20));
    }

    #[test]
    fn an_interface_that_is_new_counts_from_zero() {
        let mut reading = Reading::first(Sample {
            interfaces: Vec::new(),
            ..accepted(0, 0)
        });
        reading.advance(accepted(7, 1_000));
        assert_eq!(reading.overall(everything).packets, Rate::Whole(7));
    }
}
