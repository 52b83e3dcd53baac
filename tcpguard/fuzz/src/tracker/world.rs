//! A flow table, what is said to it, and what must hold of each answer.

use std::fmt::Debug;

use tcpguard_common::{
    conn::{
        self, Conn,
        entry::Entry,
        half::{Half, Marks},
        ruling::Ruling,
        seen::{Class, Seen},
        state::State,
        time::{QUIET, Ticks, lifetime},
    },
    flow::{FlowKey4, FlowKey6, Way},
    table::{
        host::Table,
        key::{Key, Seed},
    },
    verdict::Verdict,
};

use super::moves::Move;

/// A key that there are many of.
pub(super) trait Numbered: Key + Default + Debug {
    /// One of them.
    fn numbered(number: u8) -> Self;
}

impl Numbered for FlowKey4 {
    fn numbered(number: u8) -> Self {
        Self {
            addresses: [1, 2],
            ports: [80, number.into()],
        }
    }
}

impl Numbered for FlowKey6 {
    fn numbered(number: u8) -> Self {
        Self {
            addresses: [[1; 4], [2; 4]],
            ports: [80, number.into()],
        }
    }
}

/// A table of sixteen slots.
pub(super) struct World<K: Numbered> {
    table: Table<K>,
    /// Where either side's numbers begin.
    origins: [u32; 2],
    now: Ticks,
    /// Whether the first side is the second end of the key.
    upside_down: bool,
}

/// A segment, and the entry that it finds, live or not.
#[derive(Debug)]
struct Case<'a> {
    step: &'a Move,
    seen: Seen,
    before: Option<Conn>,
    way: Way,
}

impl<K: Numbered> World<K> {
    pub(super) fn new(origins: [u32; 2], start: Ticks, upside_down: bool) -> Self {
        Self {
            table: Table::new(1, Seed::known(1)),
            origins,
            now: start,
            upside_down,
        }
    }

    /// What is said to a segment.
    pub(super) fn take(&mut self, step: &Move) -> Ruling {
        self.now = Ticks(self.now.0.wrapping_add(step.later));
        let key = K::numbered(step.connection);
        let all: Vec<_> = self.table.entries().collect();
        let before = self.table.entry(&key).map(|entry| entry.conn);
        let case = self.case(step, before);
        let ruling = decide(&self.table, &key, &case);
        if case.live().is_none() {
            // An entry past its lifetime is as good as none.
            let elsewhere = Table::new(1, Seed::known(1));
            let anew = decide(&elsewhere, &key, &case);
            assert!(
                ruling == anew || ruling.is_table_full(),
                "{ruling:?} {anew:?}"
            );
        }
        case.is_plainly_the_same();
        case.is_told_of(ruling, self.table.entry(&key).map(|entry| entry.conn));
        case.is_within_bounds(ruling);
        self.keeps(&all, &key);
        ruling
    }

    /// Whether of one side's numbers nothing is known, though there is more of the connection than a SYN: it was
    /// never heard, or only to reset. Segments would be held against numbers that nobody has said, so what
    /// becomes of them says nothing.
    pub(super) fn is_hearsay(&self, step: &Move) -> bool {
        let entry = self.table.entry(&K::numbered(step.connection));
        entry.is_some_and(|Entry { conn, .. }| {
            let said = Marks::SYN.with(Marks::ACKED_SYN);
            let is_unknown = |half: &Half| !half.marks.intersects(said);
            conn.state() != State::SynSent && conn.halves.iter().any(is_unknown)
        })
    }

    fn case<'a>(&self, step: &'a Move, before: Option<Conn>) -> Case<'a> {
        let up = (step.side == 0) != self.upside_down;
        let way = if up { Way::Up } else { Way::Down };
        // One past its lifetime may have given way in one world and not in another.
        let live = before.filter(|conn| conn.is_live(self.now));
        let [me, other] = way.order(live.map_or([Half::SILENT; 2], |conn| conn.halves));
        let [first, second] = self.origins;
        let origins = [[first, second], [second, first]][step.side];
        Case {
            step,
            seen: step.seen(&me, &other, origins, self.now),
            before,
            way,
        }
    }

    /// Other connections are as they were, and what gave way may give way.
    fn keeps(&self, before: &[Entry<K>], key: &K) {
        for entry in before.iter().filter(|entry| !entry.key.is(key)) {
            match self.table.entry(&entry.key) {
                Some(there) => assert_eq!(there, *entry),
                None => assert!(entry.conn.readiness(self.now) > 0, "{entry:?}"),
            }
            let idle = entry.conn.idle(self.now);
            let outlived = idle > lifetime(entry.conn.state());
            assert!(!outlived || !entry.conn.is_live(self.now), "{entry:?}");
        }
    }
}

fn decide<K: Numbered>(table: &Table<K>, key: &K, case: &Case<'_>) -> Ruling {
    let seen = &case.seen;
    table.decide(key, case.way, seen, || case.step.plea(seen))
}

impl Case<'_> {
    /// The connection, unless it is over.
    fn live(&self) -> Option<&Conn> {
        self.before
            .as_ref()
            .filter(|conn| conn.is_live(self.seen.now))
    }

    /// The shorter way leads to the same, where it leads anywhere.
    fn is_plainly_the_same(&self) {
        let Some(before) = self.before else {
            return;
        };
        let (mut short, mut long) = (before, before);
        if let Some(ruling) = conn::track_plain(&mut short, self.way, &self.seen) {
            assert_eq!(ruling, conn::track(&mut long, self.way, &self.seen));
            assert_eq!(short, long);
        } else {
            assert_eq!(short, before);
        }
    }

    /// What is said of the connection is how it was and how it is.
    fn is_told_of(&self, ruling: Ruling, after: Option<Conn>) {
        let verdict = ruling.verdict();
        let told = || format!("{self:?} {ruling:?} {after:?}");
        if verdict.is_drop() || verdict == Verdict::IGNORE {
            assert_eq!(after, self.before, "{}", told());
        }
        let state = |conn: &Conn| conn.state();
        if let Some(before) = ruling.before() {
            assert_eq!(self.live().map(state), Some(before), "{}", told());
        }
        if let Some(state_after) = ruling.after() {
            assert_eq!(after.as_ref().map(state), Some(state_after), "{}", told());
        }
        if let (Some(before), Some(after)) = (ruling.before(), ruling.after())
            && self.step.is_foreign()
        {
            let anew = before as u8 >= State::LastAck as u8 && after == State::SynSent;
            let loose = self.before.is_some_and(|conn| !is_anchored(&conn));
            assert!(after as u8 >= before as u8 || anew || loose, "{}", told());
        }
    }

    /// Where a tracker is sure, nothing is accepted beyond what the peers can mean.
    fn is_within_bounds(&self, ruling: Ruling) {
        let Some([me, other]) = self.sure() else {
            return;
        };
        // What a witness says of goes before.
        let is_believed = ruling.is_adopted() || !self.step.is_foreign();
        if ruling.verdict() != Verdict::ACCEPT || is_believed {
            return;
        }
        let Seen { seq, ack, .. } = self.seen;
        let ahead = seq.offset_from(other.ack);
        match self.seen.class() {
            Class::Rst => assert!(seq == other.ack || seq == me.end, "{self:?} {ruling:?}"),
            Class::Ack => assert!(
                ahead <= i64::from(other.window) && ack.offset_from(other.end) <= 0,
                "{self:?} {ruling:?}"
            ),
            Class::Syn => assert_eq!(ruling.after(), Some(State::SynSent), "{self:?} {ruling:?}"),
            Class::SynAck => panic!("{self:?} {ruling:?}"),
        }
    }

    /// Both halves, the segment's own first, if the connection is beyond its handshake and both were heard just
    /// now without a doubt.
    fn sure(&self) -> Option<[Half; 2]> {
        let conn = self.live()?;
        let halves = self.way.order(conn.halves);
        let is_fresh = |half: &Half| self.seen.now.since(half.seen) <= QUIET;
        let is_sure = !conn.state().is_half_open()
            && is_anchored(conn)
            && halves.iter().all(is_fresh)
            && !halves[0].marks.contains(Marks::LOCAL);
        is_sure.then_some(halves)
    }
}

/// Whether both directions were heard, and have acknowledged each other in a handshake that was seen from its
/// beginning.
fn is_anchored(conn: &Conn) -> bool {
    let [one, two] = conn.halves.map(|half| half.marks);
    let known = Marks::HEARD.with(Marks::ACKED_SYN);
    one.common(two).contains(known) && !one.with(two).contains(Marks::LOOSE)
}
