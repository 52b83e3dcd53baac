//! What holds for every frame: drawn by chance in `properties.rs`, and searched for in `tcpguard/fuzz`.
#![expect(
    clippy::expect_used,
    reason = "what does not hold panics, in helpers as well"
)]

use tcpguard_common::{
    conn::{
        seen::{Seen, Voice},
        time::Ticks,
    },
    cookie::offer::Offer,
    counters::Counters,
    craft::TcpFrame,
    cursor::{SliceCursor, View},
    flow::{Ends, FlowKey4, FlowKey6, Way},
    judge::{Outcome, judge},
    parse::{self, Link, Plain},
    policy::Policy,
    reason::Reason,
    segment::{Addresses, Segment},
    verdict::{Verdict, VerdictKind},
    wire::{ethernet, options::LARGEST_SCALE, tcp},
};

/// What is said of a frame that is there to its last octet.
pub(crate) fn whole(octets: &[u8], link: Link) -> Outcome {
    judge(&mut SliceCursor::new(octets), link)
}

/// Whatever a capture has kept of it, there is a verdict.
pub(crate) fn is_answered(octets: &[u8], link: Link, wire_len: u32) {
    let outcome = whole(octets, link);
    assert!(Verdict::from_cell(outcome.verdict.cell()).is_some());
    let cut = judge(&mut SliceCursor::captured(octets, wire_len), link);
    assert!(Verdict::from_cell(cut.verdict.cell()).is_some());
}

/// What lies behind it in memory is not read.
pub(crate) fn is_read_alone(octets: &[u8], link: Link, behind: &[u8]) {
    let memory = [octets, behind].concat();
    assert_eq!(whole(octets, link), whole(&memory[..octets.len()], link));
}

/// With this many octets kept, it may be passed for want of headers, and else it is the same.
pub(crate) fn is_no_other_if_cut(octets: &[u8], link: Link, kept: usize) {
    let kept = kept.min(octets.len());
    let wire_len = u32::try_from(octets.len()).expect("a frame is short");
    let whole = whole(octets, link);
    let cut = judge(&mut SliceCursor::captured(&octets[..kept], wire_len), link);
    let same = cut.verdict == whole.verdict && cut.segment == whole.segment;
    assert!(
        same || cut.verdict.cause() == "unreadable",
        "{whole:?} {cut:?}"
    );
}

/// It is counted in one cell.
pub(crate) fn is_counted_once(octets: &[u8], link: Link) {
    let len = u32::try_from(octets.len()).expect("a frame is short");
    let outcome = whole(octets, link);
    let mut counters = Counters::ZERO;
    counters.count(&outcome, len);
    let tally = counters.tally(outcome.verdict);
    assert_eq!((tally.packets, tally.bytes), (1, len.into()));
    let packets = counters.tallies().map(|tally| tally.packets);
    assert_eq!(packets.sum::<u64>(), 1);
    let segments = u64::from(outcome.segment.is_some());
    assert_eq!(counters.flags.iter().sum::<u64>(), segments);
}

/// Observing drops nothing, and counts what enforcing drops.
pub(crate) fn is_softened_by_policy(octets: &[u8], link: Link) {
    let outcome = whole(octets, link);
    let enforced = outcome.under(&Policy::ENFORCE);
    let observed = outcome.under(&Policy::OBSERVE);
    assert!(!observed.verdict.is_drop());
    assert_eq!(enforced.verdict, outcome.verdict);
    assert_eq!(observed.verdict.reason(), enforced.verdict.reason());
    assert_eq!(
        enforced.verdict.is_drop(),
        observed.verdict.kind() == VerdictKind::WouldDrop
    );
    let off = Policy {
        drop: Policy::OBSERVE.drop,
        observe: Policy::OBSERVE.drop,
    };
    assert_eq!(outcome.under(&off).verdict.reason(), None::<Reason>);
}

/// Where the short way finds a segment, it is the one that the parser finds.
pub(crate) fn is_plainly_the_same(octets: &[u8], link: Link) {
    let mut cursor = SliceCursor::new(octets);
    match parse::ether_type(&mut cursor, link) {
        Ok(ethernet::IPV4) => {
            if let Some(plain) = parse::plain4(&mut cursor) {
                is_this(octets, link, plain, |segment| match segment.addresses {
                    Addresses::V4 {
                        source,
                        destination,
                    } => FlowKey4::new(
                        (source, segment.source_port),
                        (destination, segment.destination_port),
                    ),
                    Addresses::V6 { .. } => panic!("{segment:?} behind a header of IPv4"),
                });
            }
        }
        Ok(ethernet::IPV6) => {
            if let Some(plain) = parse::plain6(&mut cursor) {
                is_this(octets, link, plain, |segment| match segment.addresses {
                    Addresses::V6 {
                        source,
                        destination,
                    } => FlowKey6::new(
                        (source, segment.source_port),
                        (destination, segment.destination_port),
                    ),
                    Addresses::V4 { .. } => panic!("{segment:?} behind a header of IPv6"),
                });
            }
        }
        Ok(_) | Err(_) => {}
    }
}

fn is_this<I: Ends<Key: PartialEq + std::fmt::Debug>, V: View<{ tcp::HEADER_LEN }>>(
    octets: &[u8],
    link: Link,
    plain: Plain<I, V>,
    key: impl FnOnce(&Segment) -> (I::Key, Way),
) {
    let outcome = whole(octets, link);
    let segment = outcome.segment.expect("the parser finds it as well");
    let (from, to) = (plain.tcp.source_port(), plain.tcp.destination_port());
    assert_eq!(plain.ip.key(from, to), key(&segment));
    assert_eq!(plain.has_wanted_options(), segment.options_len > 0);
    let (now, voice) = (Ticks(7), Voice::FOREIGN);
    assert_eq!(
        Seen::plain(plain.tcp, plain.payload_len, now, voice),
        Seen::new(&segment, now, voice)
    );
}

/// A segment that is found is found again in a frame that is written of what it says.
pub(crate) fn is_read_as_it_is_written(octets: &[u8], link: Link) {
    let Some(segment) = whole(octets, link).segment else {
        return;
    };
    let [source, destination] = segment.ends();
    let options = options(octets, &segment);
    // Of a long one the beginning will do.
    let payload = usize::try_from(segment.payload_len.min(9)).expect("nine at most");
    let frame = TcpFrame {
        ports: (source.port(), destination.port()),
        seq: segment.seq.0,
        ack: segment.ack.0,
        window: segment.window,
        flags: segment.flags,
        options: options.to_vec(),
        payload: vec![0; payload],
        ..TcpFrame::between(source.ip(), destination.ip())
    };
    let written = frame.build();
    let again = whole(&written, frame.link).segment;
    let again = again.expect("a crafted frame gives a segment");
    assert_eq!(self::options(&written, &again), options);
    let right = Segment {
        options_at: again.options_at,
        options_len: u8::try_from(options.len()).expect("40 at most"),
        payload_len: u32::try_from(payload).expect("nine at most"),
        ..segment
    };
    assert_eq!(again, right);
}

/// Its options are read to their end, and say what options can say.
pub(crate) fn is_read_with_options(octets: &[u8], link: Link) {
    let Some(segment) = whole(octets, link).segment else {
        return;
    };
    let options = options(octets, &segment);
    let seen = Seen::new(&segment, Ticks(7), Voice::FOREIGN).with_options(&options);
    assert!(seen.sacked.since(seen.ack) <= 1 << 30, "{seen:?}");
    let mut offer = Offer::NOTHING;
    offer.read(&options);
    let scales = [seen.scale, offer.scale];
    let is_one = |scale| scale <= LARGEST_SCALE || scale == Seen::NO_SCALE;
    assert!(scales.into_iter().all(is_one), "{scales:?}");
}

/// The options of a segment, where they lie in its frame.
fn options<'a>(octets: &'a [u8], segment: &Segment) -> &'a [u8] {
    let begin = usize::from(segment.options_at);
    &octets[begin..begin + usize::from(segment.options_len)]
}
