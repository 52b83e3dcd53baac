//! What happens meanwhile, drawn by chance from a seed that is printed.

use std::time::Duration;

use xtask::lab::forge::Dice;

use super::filter::Filter;

/// Something that goes wrong, or that somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// kill -9 of what watches the guard; it is started again.
    KillWatcher,
    /// The guard is a process's instead, which is killed with -9, and attached again.
    KillOwner,
    /// kill -9 in the middle of a reload.
    KillReload,
    /// Another policy, and the former one.
    Reload,
    /// The programs of this release in place of themselves.
    Upgrade,
    /// A second interface is guarded, and is not any more.
    SecondInterface,
    /// The guarded interface goes down and up.
    LinkDown,
    /// A reload that gets so little memory that it fails somewhere.
    Memory,
    /// A reload by whose clocks the machine has run for a day more.
    Clock,
    /// For a while there is room for a tenth of the connections.
    LittleRoom,
}

impl Fault {
    const ALL: [Self; 10] = [
        Self::KillWatcher,
        Self::KillOwner,
        Self::KillReload,
        Self::Reload,
        Self::Upgrade,
        Self::SecondInterface,
        Self::LinkDown,
        Self::Memory,
        Self::Clock,
        Self::LittleRoom,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KillWatcher => "kill -9 of the watcher",
            Self::KillOwner => "kill -9 of the owner",
            Self::KillReload => "kill -9 of a reload",
            Self::Reload => "reload",
            Self::Upgrade => "upgrade",
            Self::SecondInterface => "second interface",
            Self::LinkDown => "link down",
            Self::Memory => "no memory",
            Self::Clock => "clock step",
            Self::LittleRoom => "a tenth of the table",
        }
    }

    /// Only what happens to the interface happens to others than tcpguard.
    pub(crate) fn befalls(self, filter: Filter) -> bool {
        filter.is_tcpguard() || self == Self::LinkDown
    }
}

/// What happens in a turn, by its number: all faults before one comes again, and in each turn as many as there is
/// time for.
pub(crate) fn deal(seed: u64, turn: usize, lasting: Duration) -> Vec<Fault> {
    /// One in so many seconds.
    const EVERY: u64 = 3;
    // Nothing disturbs the first, which others are compared with.
    let Some(turn) = turn.checked_sub(1) else {
        return Vec::new();
    };
    let each = usize::try_from(lasting.as_secs() / EVERY)
        .unwrap_or(1)
        .max(1);
    let mut dice = Dice::new(seed);
    let mut deck = Fault::ALL.map(|fault| (dice.throw(), fault));
    deck.sort_by_key(|(lot, _)| *lot);
    let faults = deck.iter().map(|(_, fault)| *fault).cycle();
    faults.skip(turn * each % deck.len()).take(each).collect()
}
