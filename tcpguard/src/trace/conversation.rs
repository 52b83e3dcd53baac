//! What a capture says about its connections: all of them in a list, and one of them in full.

use std::{collections::HashMap, net::SocketAddr};

use tcpguard_common::{
    conn::{
        ruling::{Direction, Ruling},
        state::State,
    },
    flags::TcpFlags,
    seq::SeqNum,
    verdict::{Verdict, VerdictKind},
};

use super::{
    arithmetic::{Fate, Ledger, Reckoning, Said},
    selection::Selection,
};
use crate::replay::output::{Line, SegmentLine};

/// What is told of a connection in a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conversation {
    /// From 1, in the order in which they begin.
    pub(super) number: u64,
    /// The end that spoke first, and the other one.
    pub(super) ends: [SocketAddr; 2],
    /// Segments between them.
    pub(super) frames: u64,
    /// Octets of payload from each end, those that were sent again included.
    pub(super) octets: [u64; 2],
    /// Segments that would be dropped.
    pub(super) dropped: u64,
    /// The last state that was seen of it.
    pub(super) state: Option<State>,
    /// Whether the tracker has said who spoke first.
    oriented: bool,
}

/// A segment of the connection that is shown in full.
#[derive(Clone)]
pub(super) struct Row {
    /// What was decided.
    pub(super) line: Line,
    /// The segment.
    pub(super) segment: SegmentLine,
    /// What its numbers come to.
    pub(super) reckoning: Reckoning,
}

/// Everything that a capture says about connections.
#[derive(Default)]
pub(super) struct Conversations {
    /// In the order in which they begin.
    pub(super) list: Vec<Conversation>,
    /// Where in the list; by the lower end, then the higher.
    places: HashMap<[SocketAddr; 2], usize>,
    /// Which one is kept in full; without a choice, the first as long as it is the only one.
    selection: Option<Selection>,
    /// The one that is.
    kept: Option<usize>,
    /// Its segments.
    pub(super) rows: Vec<Row>,
    ledger: Ledger,
}

impl Conversations {
    /// None yet; the one that is selected will be kept in full.
    pub(super) fn new(selection: Option<Selection>) -> Self {
        Self {
            selection,
            ..Self::default()
        }
    }

    /// Puts a frame to its conversation, if it has one.
    pub(super) fn add(&mut self, line: &Line) {
        let Some(segment) = line.segment else { return };
        let ends = [segment.ends.0, segment.ends.1];
        let place = self.place(ends);
        let Some(conversation) = self.list.get_mut(place) else {
            return;
        };
        conversation.orient(ends, line.ruling);
        conversation.count(&segment, line);
        if self.kept == Some(place) {
            // Not by the tracker's direction, which a dropped segment may not have.
            let from_second = ends != canonical(ends);
            let reckoning = self.ledger.enter(from_second, &said(&segment, line));
            self.rows.push(Row {
                line: *line,
                segment,
                reckoning,
            });
        }
    }

    /// The one that is kept in full.
    pub(super) fn shown(&self) -> Option<&Conversation> {
        self.list.get(self.kept?)
    }

    fn place(&mut self, ends: [SocketAddr; 2]) -> usize {
        let key = canonical(ends);
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.list.len();
        let conversation = Conversation::new(place as u64 + 1, ends);
        match self.selection {
            Some(selection) if selection.is(conversation.number, ends) => self.kept = Some(place),
            None if place == 0 => self.kept = Some(place),
            None => {
                self.kept = None;
                self.rows = Vec::new();
            }
            Some(_) => {}
        }
        self.places.insert(key, place);
        self.list.push(conversation);
        place
    }
}

impl Conversation {
    const fn new(number: u64, ends: [SocketAddr; 2]) -> Self {
        Self {
            number,
            ends,
            frames: 0,
            octets: [0; 2],
            dropped: 0,
            state: None,
            oriented: false,
        }
    }

    /// Whether a segment goes from the first of the ends to the second.
    pub(super) fn is_forth(&self, segment: &SegmentLine) -> bool {
        segment.ends.0 == self.ends[0]
    }

    /// Turns the ends around if the first segment that the tracker takes goes in the reply direction.
    fn orient(&mut self, ends: [SocketAddr; 2], ruling: Option<Ruling>) {
        let Some(direction) = ruling.and_then(Ruling::direction) else {
            return;
        };
        let [source, destination] = ends;
        let first = match direction {
            Direction::Original => source,
            Direction::Reply => destination,
        };
        if !self.oriented && first != self.ends[0] {
            self.ends.reverse();
            self.octets.reverse();
        }
        self.oriented = true;
    }

    fn count(&mut self, segment: &SegmentLine, line: &Line) {
        let from = usize::from(!self.is_forth(segment));
        self.frames += 1;
        self.octets[from] += u64::from(segment.payload_len);
        self.dropped += u64::from(line.verdict.is_drop());
        self.state = line.ruling.and_then(Ruling::after).or(self.state);
    }
}

fn canonical(mut ends: [SocketAddr; 2]) -> [SocketAddr; 2] {
    ends.sort();
    ends
}

fn said(segment: &SegmentLine, line: &Line) -> Said {
    let resync = line.ruling.is_some_and(Ruling::is_resync);
    let opened = line.ruling.is_some_and(|ruling| {
        ruling.after() == Some(State::SynSent) && ruling.before() != Some(State::SynSent)
    });
    Said {
        seq: SeqNum(segment.seq),
        ack: SeqNum(segment.ack),
        flags: segment.flags,
        payload_len: segment.payload_len,
        fate: fate(line.verdict, resync),
        opens: opened && segment.flags.contains(TcpFlags::SYN),
    }
}

const fn fate(verdict: Verdict, resync: bool) -> Fate {
    match verdict.kind() {
        VerdictKind::Accept | VerdictKind::WouldDrop if resync => Fate::Believed,
        VerdictKind::Accept | VerdictKind::WouldDrop => Fate::Accepted,
        VerdictKind::Ignore | VerdictKind::Bypass => Fate::Ignored,
        VerdictKind::Drop => Fate::Dropped,
    }
}
