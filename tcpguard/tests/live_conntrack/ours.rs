//! The guard's own judgement of a frame: parse, flags, and the tracker with a table of its own.

use tcpguard_common::{
    conn::{
        entry::Entry,
        half::Marks,
        ruling::Ruling,
        seen::{Seen, Voice},
        time::Ticks,
        witness::{Plea, learn},
    },
    cursor::SliceCursor,
    flow::{FlowKey4, FlowKey6},
    parse::{Link, parse},
    segment::{Addresses, Segment},
    table::host::Table,
    verdict::Verdict,
    wire::options::Octets,
};

/// Room for every conversation of a run.
const CONNECTIONS: u32 = 1 << 16;

/// A guard of a router that sees both directions. It picks up connections in the middle if it is
/// still learning.
pub(crate) struct Guard {
    learning: bool,
    ipv4: Table<FlowKey4>,
    ipv6: Table<FlowKey6>,
}

impl Guard {
    pub(crate) fn new(learning: bool) -> Self {
        Self {
            learning,
            ipv4: Table::new(CONNECTIONS, [1, 2]),
            ipv6: Table::new(CONNECTIONS, [3, 4]),
        }
    }

    /// Decides about a frame.
    pub(crate) fn judge(&self, frame: &[u8], now: Ticks) -> Judged {
        let mut segment = Segment::EMPTY;
        if let Err(verdict) = parse(&mut SliceCursor::new(frame), Link::Ethernet, &mut segment) {
            return Judged::without_entry(segment, verdict);
        }
        if let Some(reason) = segment.flags.offence() {
            return Judged::without_entry(segment, Verdict::dropped(reason));
        }
        let seen = Seen::new(&segment, now, Voice::FOREIGN);
        let seen = seen.with_options(&Options(options(frame, &segment)));
        let plead = || {
            if self.learning {
                learn(&seen)
            } else {
                Plea::Refuse
            }
        };
        let (from, to) = (segment.source_port, segment.destination_port);
        match segment.addresses {
            Addresses::V4 {
                source,
                destination,
            } => {
                let (key, way) = FlowKey4::new((source, from), (destination, to));
                let loose = self.ipv4.entry(&key).is_some_and(|entry| is_loose(&entry));
                Judged {
                    segment,
                    ruling: self.ipv4.decide(&key, way, &seen, plead),
                    loose,
                }
            }
            Addresses::V6 {
                source,
                destination,
            } => {
                let (key, way) = FlowKey6::new((source, from), (destination, to));
                let loose = self.ipv6.entry(&key).is_some_and(|entry| is_loose(&entry));
                Judged {
                    segment,
                    ruling: self.ipv6.decide(&key, way, &seen, plead),
                    loose,
                }
            }
        }
    }
}

/// What the guard decided, and how sure it was.
#[derive(Clone, Copy)]
pub(crate) struct Judged {
    pub(crate) segment: Segment,
    pub(crate) ruling: Ruling,
    /// Whether it had no handshake, seen from its beginning, to hold numbers against.
    pub(crate) loose: bool,
}

impl Judged {
    fn without_entry(segment: Segment, verdict: Verdict) -> Self {
        Self {
            segment,
            ruling: Ruling::new(verdict),
            loose: false,
        }
    }
}

fn is_loose<K>(entry: &Entry<K>) -> bool {
    entry
        .halves
        .iter()
        .any(|half| half.marks.contains(Marks::LOOSE))
}

/// The options of a segment that the tracker reads.
pub(crate) fn options<'a>(frame: &'a [u8], segment: &Segment) -> &'a [u8] {
    let at = usize::from(segment.options_at);
    &frame[at..at + usize::from(segment.options_len)]
}

struct Options<'a>(&'a [u8]);

impl Octets for Options<'_> {
    fn octet(&self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn word(&self, at: usize) -> Option<u32> {
        let word = self.0.get(at..at + 4)?;
        word.try_into().ok().map(u32::from_be_bytes)
    }
}
