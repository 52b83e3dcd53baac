//! The guard in the middle: one slot of a flow table, and what its host knows.

use std::cell::Cell;

use tcpguard_common::{
    conn::{
        Conn,
        entry::Entry,
        half::Marks,
        ruling::Ruling,
        seen::Seen,
        time::{QUIET, Ticks},
        track_plain,
        witness::Plea,
    },
    flow::{FlowKey4, Way},
    table::{Candidates, decide},
};

/// What the guard remembers of the one connection that there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Guard(pub(crate) Option<Conn>);

impl Guard {
    /// Decides about a segment of the peer `i`, as both hooks do.
    pub(crate) fn decide(&mut self, i: usize, seen: &Seen, plead: impl FnOnce() -> Plea) -> Ruling {
        let way = [Way::Up, Way::Down][i];
        if let Some(conn) = &mut self.0
            && let Some(ruling) = track_plain(conn, way, seen)
        {
            return ruling;
        }
        let slot = Slot(Cell::new(self.0));
        let ruling = decide(&slot, way, seen, plead);
        self.0 = slot.0.get();
        ruling
    }

    /// The connection, if both sides were heard just now, beyond the handshake and without a doubt.
    pub(crate) fn sure(&self, now: Ticks) -> Option<&Conn> {
        self.0.as_ref().filter(|conn| {
            let [one, two] = &conn.halves;
            let fresh = |seen| now.since(seen) <= QUIET;
            !conn.state().is_half_open()
                && one.marks.common(two.marks).contains(Marks::HEARD)
                && !one.marks.with(two.marks).contains(Marks::LOOSE)
                && fresh(one.seen)
                && fresh(two.seen)
        })
    }
}

/// A table of one slot.
struct Slot(Cell<Option<Conn>>);

impl Candidates<FlowKey4> for Slot {
    type Place = ();

    fn find(&self) -> Option<()> {
        self.0.get().map(|_| ())
    }

    fn choose(&self, _: Ticks) -> Option<((), u32)> {
        Some(((), 0))
    }

    fn make_room(&self, _: Ticks, _: bool) -> Option<()> {
        None
    }

    fn claim(&self, (): (), _: u32) -> bool {
        true
    }

    fn publish(&self, (): ()) {}

    fn release(&self, (): ()) {
        self.0.set(None);
    }

    fn with<R>(&self, (): (), work: impl FnOnce(&mut Entry<FlowKey4>) -> R) -> R {
        let mut entry = Entry {
            key: FlowKey4::default(),
            conn: self.0.get().unwrap_or(Conn::SILENT),
        };
        let result = work(&mut entry);
        self.0.set(Some(entry.conn));
        result
    }
}
