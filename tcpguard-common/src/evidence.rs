//! What is kept of single frames that are objected to, for an operator to look at.
//!
//! Of each reason the last few frames are kept on each CPU, so a flood of one kind pushes out nothing
//! of another. And how many a second are kept is limited where they are counted, so that keeping
//! evidence does not become the attack.
#![expect(
    clippy::cast_possible_truncation,
    reason = "there are few reasons, and few frames of each are kept"
)]

use crate::{conn::time::Ticks, reason::Reason};

/// Octets that are kept of a frame: enough for all headers, and a little of what they carry.
pub const SNAP: usize = 216;
/// Frames that are kept of each reason, on each CPU.
pub const KEPT: usize = 16;
/// Frames that are kept with one verdict in a tick, on each CPU, by each hook of an interface.
const ALLOWED: u32 = KEPT as u32;

/// How many frames with one verdict were kept in the present tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Allowance {
    tick: Ticks,
    taken: u32,
}

impl Allowance {
    /// Nothing kept yet.
    pub const ZERO: Self = Self {
        tick: Ticks(0),
        taken: 0,
    };

    /// Whether one more may be kept; if so, it is reckoned in.
    #[inline(always)]
    pub const fn take(&mut self, now: Ticks) -> bool {
        if self.tick.0 != now.0 {
            *self = Self {
                tick: now,
                taken: 0,
            };
        }
        if self.taken >= ALLOWED {
            return false;
        }
        self.taken += 1;
        true
    }
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Record {
    /// Its number on its shelf, from 1 on; 0 while it is being written.
    pub number: u64,
    /// When it was judged, in nanoseconds of the kernel's boot clock, which goes on while the machine
    /// sleeps.
    pub time_ns: u64,
    /// How many frames its cell of the counters had counted on this CPU, with this one.
    pub count: u64,
    /// Octets of the frame.
    pub octets: u32,
    /// The tracker's [`Ruling::bits`](crate::conn::ruling::Ruling::bits); 0 where it was not asked.
    pub ruling: u32,
    /// The verdict's cell.
    pub cell: u16,
    /// Where it was seen: [`counter_index`](crate::abi::counter_index).
    pub place: u16,
    /// How many octets of it are in `frame`.
    pub captured: u16,
    /// Zero.
    pub reserved: u16,
    /// The first octets of the frame, as the hook sees it.
    pub frame: [u8; SNAP],
}

/// The last frames of one reason on one CPU, by number modulo [`KEPT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Shelf {
    /// How many there have been.
    pub written: u64,
    /// The last of them.
    pub records: [Record; KEPT],
}

/// Which shelf is a reason's, on a CPU.
#[inline(always)]
#[must_use]
pub const fn shelf(cpu: u32, reason: Reason) -> u32 {
    cpu * Reason::COUNT as u32 + reason as u32
}

/// How many shelves there are for so many CPUs.
#[must_use]
pub const fn shelves(cpus: u32) -> u32 {
    cpus * Reason::COUNT as u32
}

const _: () = assert!(KEPT.is_power_of_two());
const _: () = assert!(size_of::<Record>() == 256);
const _: () = assert!(size_of::<Shelf>() == 8 + 256 * KEPT);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_kept_up_to_the_allowance_of_each_tick() {
        let mut allowance = Allowance::ZERO;
        for tick in [7, 8, u32::MAX, 0] {
            let kept = (0..1_000).filter(|_| allowance.take(Ticks(tick)));
            assert_eq!(kept.count(), KEPT, "{tick}");
        }
    }

    #[test]
    fn every_reason_of_every_cpu_has_a_shelf_of_its_own() {
        let mut taken = vec![false; shelves(3) as usize];
        for cpu in 0..3 {
            for reason in Reason::ALL {
                let taken = taken.get_mut(shelf(cpu, reason) as usize).unwrap();
                assert!(!*taken, "{cpu} {reason}");
                *taken = true;
            }
        }
        assert!(taken.into_iter().all(|it| it));
    }
}
