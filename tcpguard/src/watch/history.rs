//! How fast it went of late, as lines that fit between words.

use std::collections::VecDeque;

use tcpguard_common::{abi::Hook, verdict::VerdictKind};

use super::reading::{Rate, Reading};
use super::turnover::opened;

/// As many readings as the widest screen shows.
const KEPT: usize = 200;
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Rates of one kind, the last one at the end.
#[derive(Default)]
pub(super) struct Track(VecDeque<u64>);

/// What is drawn as a line.
#[derive(Default)]
pub(super) struct History {
    pub(super) received: Track,
    /// What was objected to: stopped, or where nothing is, what would have been.
    pub(super) objected: Track,
    pub(super) opened: Track,
}

impl History {
    /// Goes on to a reading that has not been here before.
    pub(super) fn push(&mut self, reading: &Reading) {
        let kind = if reading.sample.enforcing {
            VerdictKind::Drop
        } else {
            VerdictKind::WouldDrop
        };
        let objected = reading.overall(|counters| counters.total(kind));
        self.received.push(reading.at(Hook::Ingress).packets);
        self.objected.push(objected.packets);
        self.opened.push(reading.growth(opened));
    }
}

impl Track {
    fn push(&mut self, rate: Rate) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(rate.per_second());
    }

    /// The last of them, `width` at most, each as high as it is beside the highest of these; those that
    /// are nothing leave a blank.
    pub(super) fn line(&self, width: usize) -> String {
        let shown = self.0.range(self.0.len().saturating_sub(width)..);
        let most = shown.clone().copied().max().unwrap_or(0);
        let level = |rate: &u64| {
            let last = LEVELS.len() as u128 - 1;
            let level = (u128::from(*rate) * last).checked_div(u128::from(most));
            let level = level.and_then(|level| usize::try_from(level).ok());
            let level = level.filter(|_| *rate > 0);
            level.and_then(|level| LEVELS.get(level)).unwrap_or(&' ')
        };
        let line: String = shown.map(level).collect();
        format!("{line:>width$}")
    }
}

#[cfg(test)]
pub(super) mod specimen {
    use super::*;

    /// Of a guard that is scanned now and then.
    pub(in super::super) fn history() -> History {
        let track = |rates: &[u64]| Track(rates.iter().copied().cycle().take(KEPT).collect());
        History {
            received: track(&[900, 1_000, 1_100, 1_241, 1_000]),
            objected: track(&[0, 0, 0, 12, 34, 34, 30, 8]),
            opened: track(&[12]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(rates: &[u64], width: usize) -> String {
        Track(rates.iter().copied().collect()).line(width)
    }

    #[test]
    fn the_highest_is_a_whole_block_and_nothing_is_blank() {
        assert_eq!(line(&[0, 1, 4, 7], 4), " ▂▅█");
        assert_eq!(line(&[1, 1_000], 2), "▁█");
        assert_eq!(line(&[5, 5], 2), "██");
        assert_eq!(line(&[0, 0], 2), "  ");
        assert_eq!(line(&[u64::MAX, 1], 2), "█▁");
    }

    #[test]
    fn the_last_is_at_the_right_edge_however_many_there_are() {
        assert_eq!(line(&[], 3), "   ");
        assert_eq!(line(&[7], 3), "  █");
        assert_eq!(
            line(&[9_999, 7, 7], 2),
            "██",
            "what is not shown has no say"
        );
    }
}
