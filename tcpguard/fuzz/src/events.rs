//! What the kernel programs keep of frames, as it may lie in memory.

use std::time::{Duration, UNIX_EPOCH};

use tcpguard::{
    capture::pcapng::Blocks,
    events,
    evidence::{
        Counted, Exhibit,
        archive::{Place, Sighting},
    },
    replay::capture::Capture,
};
use tcpguard_common::{
    evidence::{Record, SNAP},
    parse::Link,
};

/// Octets of a record.
const LEN: usize = size_of::<Record>();
/// How many interfaces there are.
const PLACES: usize = 2;

/// Holds all that must hold of records against these octets; the last one may be cut.
pub fn check(octets: &[u8]) {
    let boot = UNIX_EPOCH + Duration::from_secs(1_763_812_984);
    let mut counted = Counted::default();
    let exhibits = octets.chunks(LEN).filter_map(|octets| {
        let mut whole = [0; LEN];
        whole[..octets.len()].copy_from_slice(octets);
        counted.exhibit(0, &record(&whole), boot)
    });
    let seen: Vec<_> = exhibits
        // Of an interface that nobody knows, nothing is shown.
        .filter(|exhibit| exhibit.slot < PLACES)
        .collect();
    let places = [
        Place::new("eth0".to_owned(), Link::Ethernet, true),
        Place::new("tun \"0\"".to_owned(), Link::RawIp, true),
    ];
    is_told(&places, &seen);
    is_captured(&places, &seen);
}

fn link(exhibit: &Exhibit) -> Link {
    Link::from_raw_ip(u32::from(exhibit.slot == 1))
}

fn sighting(exhibit: &Exhibit) -> Sighting {
    Sighting::new(exhibit.clone(), Some(link(exhibit)))
}

/// Each is one line, and one object.
fn is_told(places: &[Place; PLACES], seen: &[Exhibit]) {
    for exhibit in seen {
        let (place, sighting) = (&places[exhibit.slot], sighting(exhibit));
        let line = events::line(place, &sighting, false).expect("a line");
        assert!(!line.contains('\n') && !line.is_empty(), "{line}");
        let object = events::line(place, &sighting, true).expect("an object");
        let object: serde_json::Value = serde_json::from_str(&object).expect("an object");
        assert_eq!(object["octets"], exhibit.octets);
        assert_eq!(object["reason"], exhibit.verdict.cause());
    }
}

/// What is written of them as pcapng is read back.
fn is_captured(places: &[Place; PLACES], seen: &[Exhibit]) {
    let mut blocks = Blocks::new(places).expect("memory takes everything");
    for exhibit in seen {
        let written = blocks.packet(&sighting(exhibit));
        written.expect("memory takes everything");
    }
    let file = blocks.take();
    let mut capture = Capture::new(&file[..]).expect("a capture");
    for exhibit in seen {
        let record = capture
            .next_record()
            .expect("it is whole")
            .expect("a frame");
        let time = exhibit.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let link_type = match link(exhibit) {
            Link::Ethernet => 1,
            Link::RawIp => 101,
        };
        assert_eq!(record.link_type, link_type);
        assert_eq!(record.octets, exhibit.frame);
        assert_eq!(record.wire_len, exhibit.octets);
        // A file counts nanoseconds in 64 bits, which end in 2554.
        if let Ok(nanos) = u64::try_from(time.as_nanos()) {
            assert_eq!(record.time, Duration::from_nanos(nanos));
        }
    }
    assert_eq!(capture.next_record().expect("it is whole"), None);
}

/// The record that these octets are.
fn record(octets: &[u8; LEN]) -> Record {
    let (head, frame) = octets.split_at(LEN - SNAP);
    let field = |at: usize, len: usize| {
        let mut number = [0; 8];
        number[..len].copy_from_slice(&head[at..at + len]);
        u64::from_le_bytes(number)
    };
    let word = |at| u32::try_from(field(at, 4)).expect("four octets");
    let half = |at| u16::try_from(field(at, 2)).expect("two octets");
    Record {
        number: field(0, 8),
        time_ns: field(8, 8),
        count: field(16, 8),
        octets: word(24),
        ruling: word(28),
        cell: half(32),
        place: half(34),
        captured: half(36),
        reserved: half(38),
        frame: frame.try_into().expect("the rest is the frame"),
    }
}
