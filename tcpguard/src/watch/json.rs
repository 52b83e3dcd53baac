//! A sample as one JSON object on one line: a contract that scripts rely on.
//!
//! Keys and their order are fixed, every known name is always there, and numbers are totals since
//! the guard was attached, over all interfaces and both hooks. Only `states` and `tables` tell what is
//! there now, or was when connections were last counted.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use tcpguard_common::{
    conn::state::State,
    counters::{Counters, Events, Tally},
    flags::TcpFlags,
    reason::Reason,
    verdict::{Bypass, Verdict, VerdictKind},
};

use super::turnover::transitions;
use crate::{
    flows::Tables as Flows,
    sample::{InterfaceSample, Sample},
};

/// The object, without the line's end.
pub(super) fn line(sample: &Sample) -> serde_json::Result<String> {
    serde_json::to_string(&Object::new(sample))
}

/// Fields are printed in their order here.
#[derive(Serialize)]
struct Object<'a> {
    ts: f64,
    uptime_s: f64,
    mode: &'static str,
    interfaces: Vec<Interface<'a>>,
    states: Map<&'static str, u64>,
    transitions: Map<String, u64>,
    verdicts: Map<&'static str, Volume>,
    reasons: Map<&'static str, Objections>,
    flags: Map<String, u64>,
    tables: Tables,
    adopted: u64,
    resync: u64,
    cookies: Cookies,
    bypass: Map<&'static str, u64>,
}

impl<'a> Object<'a> {
    fn new(sample: &'a Sample) -> Self {
        let total = sample.total();
        let packets = |verdict| total.tally(verdict).packets;
        Self {
            ts: seconds(sample.taken.duration_since(UNIX_EPOCH).unwrap_or_default()),
            uptime_s: seconds(sample.uptime),
            mode: if sample.enforcing {
                "enforce"
            } else {
                "observe"
            },
            interfaces: sample.interfaces.iter().map(Interface::new).collect(),
            states: State::ALL
                .map(|state| (state.as_str(), sample.tables.in_state(state)))
                .into(),
            transitions: changes(&sample.events),
            verdicts: VerdictKind::ALL
                .map(|kind| (kind.as_str(), Volume::from(total.total(kind))))
                .into(),
            reasons: Reason::ALL
                .map(|reason| {
                    let dropped = packets(Verdict::dropped(reason));
                    let would_drop = packets(Verdict::would_drop(reason));
                    (
                        reason.as_str(),
                        Objections {
                            dropped,
                            would_drop,
                        },
                    )
                })
                .into(),
            flags: flags(&total),
            tables: Tables::new(&sample.tables, &sample.events),
            adopted: sample.events.adopted,
            resync: sample.events.resync,
            cookies: Cookies {
                half_open: sample.pressure.half_open(),
                sent: sample.events.cookies_sent,
                proved: sample.events.cookies_proved,
            },
            bypass: Bypass::ALL
                .map(|cause| (cause.as_str(), packets(Verdict::bypass(cause))))
                .into(),
        }
    }
}

/// To the millisecond: more digits would only say how long it took to read.
fn seconds(time: Duration) -> f64 {
    Duration::new(time.as_secs(), time.subsec_millis() * 1_000_000).as_secs_f64()
}

/// Those that happened. Of a connection that began there is no state before: `->SYN-SENT`.
fn changes(events: &Events) -> Map<String, u64> {
    let name = |state: Option<State>| state.map_or("-", State::as_str);
    let changes = transitions(events).map(|it| {
        let change = format!("{}>{}", name(it.before), name(it.after));
        (change, it.count)
    });
    Map(changes.collect())
}

/// The nine legal sets, and every other set that was seen, by their bits.
fn flags(total: &Counters) -> Map<String, u64> {
    let sets = (0..).map(TcpFlags::new).zip(total.flags);
    let listed = sets.filter(|(set, seen)| *seen > 0 || is_plainly_legal(*set));
    Map(listed.map(|(set, seen)| (set.to_string(), seen)).collect())
}

/// Legal, and without the flags that may be on any legal set.
fn is_plainly_legal(set: TcpFlags) -> bool {
    let aside = [TcpFlags::PSH, TcpFlags::ECE, TcpFlags::CWR, TcpFlags::AE];
    set.is_legal() && !aside.into_iter().any(|flag| set.contains(flag))
}

/// SYN cookies, and what calls for them.
#[derive(Serialize)]
struct Cookies {
    half_open: u32,
    sent: u64,
    proved: u64,
}

#[derive(Serialize)]
struct Interface<'a> {
    name: &'a str,
    ingress: &'static str,
    egress: &'static str,
}

impl<'a> Interface<'a> {
    fn new(sample: &'a InterfaceSample) -> Self {
        Self {
            name: &sample.name,
            ingress: sample.ingress.as_str(),
            egress: sample.egress.as_str(),
        }
    }
}

#[derive(Serialize)]
struct Volume {
    packets: u64,
    bytes: u64,
}

impl From<Tally> for Volume {
    fn from(tally: Tally) -> Self {
        Self {
            packets: tally.packets,
            bytes: tally.bytes,
        }
    }
}

#[derive(Serialize)]
struct Objections {
    dropped: u64,
    would_drop: u64,
}

#[derive(Serialize)]
struct Tables {
    half_open: HalfOpen,
    conns: Connections,
}

impl Tables {
    /// Half-open connections live in the same tables, so all numbers are those of both together.
    fn new(tables: &Flows, events: &Events) -> Self {
        let max = tables.max();
        Self {
            half_open: HalfOpen {
                entries: tables.half_open(),
                max,
            },
            conns: Connections {
                entries: tables.entries(),
                max,
                full: events.table_full,
            },
        }
    }
}

#[derive(Serialize)]
struct HalfOpen {
    entries: u64,
    max: u64,
}

#[derive(Serialize)]
struct Connections {
    entries: u64,
    max: u64,
    full: u64,
}

/// An object whose keys keep their order.
struct Map<K, V>(Vec<(K, V)>);

impl<K, V, const N: usize> From<[(K, V); N]> for Map<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        Self(entries.into())
    }
}

impl<K: Serialize, V: Serialize> Serialize for Map<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::specimen, *};

    // Whole and in order, as DESIGN section 7 has it: scripts may rely on every character.
    const EXPECTED: &str = concat!(
        r#"{"ts":1763812984.25,"uptime_s":125.007,"mode":"enforce","#,
        r#""interfaces":[{"name":"eth0","ingress":"native","egress":"tcx"},"#,
        r#"{"name":"lo","ingress":"generic","egress":"none"}],"#,
        r#""states":{"SYN-SENT":12,"SYN-SENT2":0,"SYN-RECEIVED":3,"ESTABLISHED":1108,"#,
        r#""FIN-WAIT":4,"CLOSE-WAIT":2,"LAST-ACK":3,"TIME-WAIT":64,"CLOSED":0},"#,
        r#""transitions":{"->SYN-SENT":1200,"->ESTABLISHED":3,"SYN-SENT>SYN-RECEIVED":1180,"#,
        r#""SYN-RECEIVED>ESTABLISHED":1177,"ESTABLISHED>FIN-WAIT":80,"ESTABLISHED>CLOSED":2,"#,
        r#""FIN-WAIT>CLOSE-WAIT":75,"CLOSE-WAIT>LAST-ACK":73,"LAST-ACK>TIME-WAIT":70},"#,
        r#""verdicts":{"accept":{"packets":12354678,"bytes":10987654321},"#,
        r#""ignore":{"packets":0,"bytes":0},"drop":{"packets":38643,"bytes":2325420},"#,
        r#""bypass":{"packets":4365,"bytes":522180},"would_drop":{"packets":3,"bytes":180}},"#,
        r#""reasons":{"short-header":{"dropped":0,"would_drop":0},"#,
        r#""bad-offset":{"dropped":0,"would_drop":0},"bad-length":{"dropped":0,"would_drop":3},"#,
        r#""tiny-fragment":{"dropped":0,"would_drop":0},"port-zero":{"dropped":0,"would_drop":0},"#,
        r#""flags-null":{"dropped":34567,"would_drop":0},"#,
        r#""flags-syn-fin":{"dropped":12,"would_drop":0},"#,
        r#""flags-syn-rst":{"dropped":0,"would_drop":0},"#,
        r#""flags-fin-rst":{"dropped":0,"would_drop":0},"#,
        r#""flags-xmas":{"dropped":4064,"would_drop":0},"#,
        r#""flags-fin-no-ack":{"dropped":0,"would_drop":0},"#,
        r#""flags-no-ack":{"dropped":0,"would_drop":0},"#,
        r#""flags-other":{"dropped":0,"would_drop":0},"#,
        r#""synack-bad-ack":{"dropped":0,"would_drop":0},"#,
        r#""handshake-bad-ack":{"dropped":0,"would_drop":0},"#,
        r#""synack-unsolicited":{"dropped":0,"would_drop":0},"#,
        r#""no-connection":{"dropped":0,"would_drop":0},"#,
        r#""rst-no-connection":{"dropped":0,"would_drop":0},"#,
        r#""after-close":{"dropped":0,"would_drop":0},"#,
        r#""seq-above-window":{"dropped":0,"would_drop":0},"#,
        r#""seq-below-window":{"dropped":0,"would_drop":0},"#,
        r#""ack-of-unsent":{"dropped":0,"would_drop":0},"#,
        r#""ack-too-old":{"dropped":0,"would_drop":0},"#,
        r#""rst-out-of-window":{"dropped":0,"would_drop":0},"#,
        r#""inbound-closed":{"dropped":0,"would_drop":0},"denied":{"dropped":0,"would_drop":0},"#,
        r#""rate-limited":{"dropped":0,"would_drop":0},"#,
        r#""cookie-invalid":{"dropped":0,"would_drop":0}},"#,
        r#""flags":{"-":34567,"S":1200,"FS":12,"R":0,"A":0,"FA":0,"SA":1180,"RA":0,"#,
        r#""PA":11000000,"SU":0,"FPU":4064,"AU":0,"FAU":0,"SEC":800},"#,
        r#""tables":{"half_open":{"entries":15,"max":524288},"#,
        r#""conns":{"entries":1196,"max":524288,"full":0}},"adopted":3,"resync":0,"#,
        r#""cookies":{"half_open":0,"sent":0,"proved":0},"#,
        r#""bypass":{"not-ip":42,"not-tcp":4321,"fragment":2,"vlan-depth":0,"#,
        r#""extension-chain":0,"unreadable":0}}"#,
    );

    #[test]
    fn the_object_is_the_contract_to_the_letter() {
        assert_eq!(line(&specimen::sample()).unwrap(), EXPECTED);
    }

    #[test]
    fn it_parses_and_a_guard_that_counted_nothing_has_every_key() {
        let counted: serde_json::Value = serde_json::from_str(EXPECTED).unwrap();
        let empty = line(&specimen::empty(&["eth0"])).unwrap();
        let empty: serde_json::Value = serde_json::from_str(&empty).unwrap();
        for key in ["states", "verdicts", "reasons", "tables", "bypass"] {
            let keys = |object: &serde_json::Value| {
                object[key]
                    .as_object()
                    .unwrap()
                    .keys()
                    .cloned()
                    .collect::<Vec<_>>()
            };
            assert_eq!(keys(&empty), keys(&counted), "{key}");
        }
        assert_eq!(empty["flags"].as_object().unwrap().len(), 9);
    }

    #[test]
    fn observing_is_told() {
        let sample = Sample {
            enforcing: false,
            ..specimen::sample()
        };
        assert!(line(&sample).unwrap().contains(r#""mode":"observe","#));
    }
}
