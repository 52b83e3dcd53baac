//! Samples made by hand, for tests.

use std::time::{Duration, UNIX_EPOCH};

use tcpguard_common::{
    abi::{HOOKS, Hook},
    conn::state::State,
    cookie::pressure::Pressure,
    counters::{Counters, Events, Tally},
    flags::TcpFlags,
    reason::Reason,
    verdict::{Bypass, Verdict},
};

use super::reading::Reading;
use crate::flows::Tables;
use crate::sample::{Egress, Ingress, InterfaceSample, Sample};

/// 2025-11-22 12:03:04.25 UTC.
const TAKEN: Duration = Duration::from_millis(1_763_812_984_250);

/// A guard that has counted nothing.
pub(crate) fn empty(interfaces: &[&str]) -> Sample {
    let interface = |name: &&str| InterfaceSample {
        name: (*name).to_owned(),
        ingress: Ingress::Native,
        egress: Egress::Tcx,
        counters: [Counters::ZERO; HOOKS],
    };
    Sample {
        runs: Vec::new(),
        taken: UNIX_EPOCH + TAKEN,
        uptime: Duration::ZERO,
        enforcing: true,
        interfaces: interfaces.iter().map(interface).collect(),
        events: Events::ZERO,
        arrived: Events::ZERO,
        pressure: Pressure::default(),
        tables: Tables {
            limit: 1 << 18,
            ..Tables::default()
        },
        alarms: Vec::new(),
    }
}

/// Counts changes of state; `None` is no connection.
pub(crate) fn happened(events: &mut Events, before: Option<State>, after: State, count: u64) {
    let from = before.map_or(0, |state| state as usize);
    events.transitions[from][after as usize] += count;
}

/// What the connections of a web server do.
fn connections(sample: &mut Sample) {
    use State::{CloseWait, Established, FinWait, LastAck, SynReceived, SynSent, TimeWait};

    let happen = [
        (None, SynSent, 1_200),
        (None, Established, 3),
        (Some(SynSent), SynReceived, 1_180),
        (Some(SynReceived), Established, 1_177),
        (Some(Established), FinWait, 80),
        (Some(FinWait), CloseWait, 75),
        (Some(CloseWait), LastAck, 73),
        (Some(LastAck), TimeWait, 70),
        (Some(Established), State::Closed, 2),
    ];
    for (before, after, count) in happen {
        happened(&mut sample.events, before, after, count);
    }
    sample.events.adopted = 3;
    let now = [
        (0, SynSent, 12),
        (0, SynReceived, 3),
        (0, Established, 1_100),
        (1, Established, 8),
        (0, FinWait, 4),
        (0, CloseWait, 2),
        (1, LastAck, 3),
        (0, TimeWait, 64),
    ];
    for (version, state, count) in now {
        sample.tables.states[version][state as usize - 1] = count;
    }
}

/// Counts frames at a hook of the interface with this index.
pub(crate) fn count(
    sample: &mut Sample,
    interface: usize,
    hook: Hook,
    verdict: Verdict,
    packets: u64,
    bytes: u64,
) {
    let counters = &mut sample.interfaces[interface].counters[hook as usize];
    counters.cells[verdict.cell()]
        .tally
        .add(Tally { packets, bytes });
}

/// A web server that is being scanned.
pub(super) fn sample() -> Sample {
    use Hook::{Egress as Out, Ingress as In};

    let mut sample = empty(&["eth0", "lo"]);
    sample.uptime = Duration::from_micros(125_007_900);
    sample.interfaces[1].ingress = Ingress::Generic;
    sample.interfaces[1].egress = Egress::None;
    let mut count = |interface, hook, verdict, packets, bytes| {
        count(&mut sample, interface, hook, verdict, packets, bytes);
    };
    count(0, In, Verdict::ACCEPT, 7_530_000, 987_654_321);
    count(0, Out, Verdict::ACCEPT, 4_812_333, 9_999_000_000);
    count(1, In, Verdict::ACCEPT, 12_345, 1_000_000);
    count(
        0,
        In,
        Verdict::dropped(Reason::FlagsNull),
        34_567,
        2_080_860,
    );
    count(0, In, Verdict::dropped(Reason::FlagsXmas), 4_064, 243_840);
    count(0, In, Verdict::dropped(Reason::FlagsSynFin), 12, 720);
    count(0, Out, Verdict::would_drop(Reason::BadLength), 3, 180);
    count(0, In, Verdict::bypass(Bypass::NotIp), 42, 2_520);
    count(0, In, Verdict::bypass(Bypass::NotTcp), 4_321, 519_360);
    count(0, In, Verdict::bypass(Bypass::Fragment), 2, 300);
    connections(&mut sample);
    let seen = &mut sample.interfaces[0].counters[In as usize].flags;
    let (syn, fin, psh) = (TcpFlags::SYN, TcpFlags::FIN, TcpFlags::PSH);
    seen[0] = 34_567;
    seen[usize::from(syn.bits())] = 1_200;
    seen[usize::from(syn.with(TcpFlags::ACK).bits())] = 1_180;
    seen[usize::from(psh.with(TcpFlags::ACK).bits())] = 11_000_000;
    seen[usize::from(syn.with(fin).bits())] = 12;
    seen[usize::from(fin.with(psh).with(TcpFlags::URG).bits())] = 4_064;
    seen[usize::from(syn.with(TcpFlags::ECE).with(TcpFlags::CWR).bits())] = 800;
    sample
}

/// The server a second before, and then.
pub(super) fn reading() -> Reading {
    let later = sample();
    let mut earlier = later.clone();
    earlier.uptime -= Duration::from_secs(1);
    let cells = &mut earlier.interfaces[0].counters;
    let mut less = |hook: Hook, verdict: Verdict, packets, bytes| {
        let cell = &mut cells[hook as usize].cells[verdict.cell()].tally;
        cell.packets -= packets;
        cell.bytes -= bytes;
    };
    less(Hook::Ingress, Verdict::ACCEPT, 1_204, 150_000);
    less(Hook::Egress, Verdict::ACCEPT, 980, 1_250_000);
    less(
        Hook::Ingress,
        Verdict::dropped(Reason::FlagsNull),
        30,
        1_800,
    );
    less(Hook::Ingress, Verdict::dropped(Reason::FlagsXmas), 4, 240);
    less(Hook::Ingress, Verdict::bypass(Bypass::NotTcp), 3, 360);
    let [opened, closed] = [
        (0, State::SynSent),
        (State::LastAck as usize, State::TimeWait),
    ];
    earlier.events.transitions[opened.0][opened.1 as usize] -= 12;
    earlier.events.transitions[closed.0][closed.1 as usize] -= 10;
    let mut reading = Reading::first(earlier);
    reading.advance(later);
    reading
}
