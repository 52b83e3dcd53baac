//! What is counted, once for each frame: the same code counts in the kernel and on the host.

use crate::{
    conn::{ruling::Ruling, state::State},
    evidence::Allowance,
    flags::TcpFlags,
    judge::Outcome,
    verdict::{Verdict, VerdictKind},
};

/// Frames and their octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Tally {
    /// Frames.
    pub packets: u64,
    /// Octets of these frames, link-layer header included.
    pub bytes: u64,
}

impl Tally {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// Frames with one verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Cell {
    /// How many.
    pub tally: Tally,
    /// How many of them were kept as evidence of late; of no meaning in a sum.
    pub allowance: Allowance,
}

impl Cell {
    /// Nothing counted yet.
    pub const ZERO: Self = Self {
        tally: Tally {
            packets: 0,
            bytes: 0,
        },
        allowance: Allowance::ZERO,
    };
}

/// Everything that is counted at one hook of one interface, on one CPU.
///
/// A frame is counted in exactly one cell, so totals are sums and nothing is counted twice. Each CPU
/// writes its own copy, so nothing here needs an atomic; the sum over CPUs is exact up to the frames
/// that are being counted while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Counters {
    /// By [`Verdict::cell`].
    pub cells: [Cell; Verdict::CELLS],
    /// TCP segments by the nine bits of their flag set.
    pub flags: [u64; TcpFlags::SETS],
}

/// What happened to connections, counted on one CPU for all hooks and interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Events {
    /// Changes of state, by the numbers of the state before and after; 0 is none.
    pub transitions: [[u64; State::COUNT + 1]; State::COUNT + 1],
    /// Connections taken over in their middle.
    pub adopted: u64,
    /// Directions that were re-anchored because the tracker could not be sure.
    pub resync: u64,
    /// Segments that passed without being remembered, because the table had no room.
    pub table_full: u64,
    /// SYNs that were answered with a cookie.
    pub cookies_sent: u64,
    /// Cookies that came back.
    pub cookies_proved: u64,
}

impl Events {
    /// Nothing counted yet.
    pub const ZERO: Self = Self {
        transitions: [[0; State::COUNT + 1]; State::COUNT + 1],
        adopted: 0,
        resync: 0,
        table_full: 0,
        cookies_sent: 0,
        cookies_proved: 0,
    };

    /// Counts what a ruling brought about.
    #[inline(always)]
    pub fn count(&mut self, ruling: Ruling) {
        if ruling.before_number() != ruling.after_number() {
            let from = self.transitions.get_mut(ruling.before_number());
            if let Some(count) = from.and_then(|to| to.get_mut(ruling.after_number())) {
                *count += 1;
            }
        }
        self.adopted += u64::from(ruling.is_adopted());
        self.resync += u64::from(ruling.is_resync());
        self.table_full += u64::from(ruling.is_table_full());
        self.cookies_proved += u64::from(ruling.is_proved());
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        let sums = self.transitions.iter_mut().flatten();
        for (sum, part) in sums.zip(other.transitions.iter().flatten()) {
            *sum += part;
        }
        self.adopted += other.adopted;
        self.resync += other.resync;
        self.table_full += other.table_full;
        self.cookies_sent += other.cookies_sent;
        self.cookies_proved += other.cookies_proved;
    }
}

impl Counters {
    /// Nothing counted yet.
    pub const ZERO: Self = Self {
        cells: [Cell::ZERO; Verdict::CELLS],
        flags: [0; TcpFlags::SETS],
    };

    /// Counts a segment by its flags.
    #[inline(always)]
    pub fn count_flags(&mut self, flags: TcpFlags) {
        if let Some(seen) = self.flags.get_mut(usize::from(flags.bits())) {
            *seen += 1;
        }
    }

    /// Counts a frame of `octets` octets in a verdict's cell, by the number of that, and returns how many
    /// were kept of late that are counted there.
    #[inline(always)]
    pub fn count_frame(&mut self, cell: usize, octets: u32) -> Option<&mut Allowance> {
        let Cell { tally, allowance } = self.cells.get_mut(cell)?;
        tally.packets += 1;
        tally.bytes += u64::from(octets);
        Some(allowance)
    }

    /// Counts what was decided about a frame of `octets` octets.
    pub fn count(&mut self, outcome: &Outcome, octets: u32) {
        if let Some(segment) = &outcome.segment {
            self.count_flags(segment.flags);
        }
        self.count_frame(outcome.verdict.cell(), octets);
    }

    /// What was counted, cell by cell.
    pub fn tallies(&self) -> impl Iterator<Item = Tally> {
        self.cells.iter().map(|cell| cell.tally)
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (sum, part) in self.cells.iter_mut().zip(&other.cells) {
            sum.tally.add(part.tally);
        }
        for (sum, part) in self.flags.iter_mut().zip(&other.flags) {
            *sum += part;
        }
    }

    /// Frames with exactly this verdict.
    #[must_use]
    pub fn tally(&self, verdict: Verdict) -> Tally {
        let cell = self.cells.get(verdict.cell());
        cell.map(|cell| cell.tally).unwrap_or_default()
    }

    /// Frames with a verdict of this kind, whatever its cause.
    #[must_use]
    pub fn total(&self, kind: VerdictKind) -> Tally {
        let mut total = Tally::default();
        for (cell, tally) in self.tallies().enumerate() {
            if Verdict::from_cell(cell).is_some_and(|verdict| verdict.kind() == kind) {
                total.add(tally);
            }
        }
        total
    }
}
