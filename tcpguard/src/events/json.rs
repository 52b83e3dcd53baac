//! Events as objects. The keys and their order are a contract, and those of a replay where both have them.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::Serialize;
use serde_json::value::RawValue;
use tcpguard_common::{
    abi::Hook,
    conn::{
        ruling::{Direction, Ruling},
        state::State,
    },
};

use crate::{
    evidence::archive::{Place, Sighting},
    replay::output::{NONE, Seconds},
};

#[derive(Serialize)]
struct Object<'a> {
    /// Kept as text: a double has too few digits for nanoseconds since 1970.
    ts: Box<RawValue>,
    interface: &'a str,
    hook: &'static str,
    verdict: &'static str,
    reason: &'static str,
    conn: String,
    dir: &'static str,
    flags: String,
    seq: u32,
    ack: u32,
    len: u32,
    state: &'static str,
    octets: u32,
    skipped: u64,
}

/// A frame.
pub(super) fn line(place: &Place, sighting: &Sighting) -> Result<String> {
    let exhibit = &sighting.exhibit;
    let segment = sighting.segment.as_ref();
    let direction = exhibit.ruling.and_then(Ruling::direction);
    let object = Object {
        ts: timestamp(exhibit.time)?,
        interface: &place.name,
        hook: match exhibit.hook {
            Hook::Ingress => "ingress",
            Hook::Egress => "egress",
        },
        verdict: exhibit.verdict.kind().as_str(),
        reason: exhibit.verdict.cause(),
        conn: segment.map_or(NONE.into(), |segment| {
            let [source, destination] = segment.ends();
            format!("{source}>{destination}")
        }),
        dir: direction.map_or(NONE, Direction::as_str),
        flags: segment.map_or(NONE.into(), |segment| segment.flags.to_string()),
        seq: segment.map_or(0, |segment| segment.seq.0),
        ack: segment.map_or(0, |segment| segment.ack.0),
        len: segment.map_or(0, |segment| segment.payload_len),
        state: sighting.state().map_or(NONE, State::as_str),
        octets: exhibit.octets,
        skipped: exhibit.skipped,
    };
    Ok(serde_json::to_string(&object)?)
}

fn timestamp(time: SystemTime) -> Result<Box<RawValue>> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(RawValue::from_string(Seconds(since).to_string())?)
}

#[cfg(test)]
mod tests {
    use super::{super::specimen, *};

    #[test]
    fn keys_have_their_order_and_time_all_its_digits() {
        let (place, sighting) = specimen::sighting(120);
        assert_eq!(
            line(&place, &sighting).unwrap(),
            "{\"ts\":1763812984.25,\"interface\":\"eth0\",\"hook\":\"ingress\",\"verdict\":\"drop\",\
             \"reason\":\"flags-null\",\"conn\":\"192.0.2.1:40000>192.0.2.2:80\",\"dir\":\"-\",\
             \"flags\":\"-\",\"seq\":1000,\"ack\":0,\"len\":0,\"state\":\"-\",\"octets\":54,\
             \"skipped\":120}"
        );
    }
}
