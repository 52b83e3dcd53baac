//! The rounds of one measurement.

use super::figures::median;

/// The middle and the ends.
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(rounds: &[f64]) -> Self {
        Self {
            median: median(rounds.iter().copied()),
            least: rounds.iter().copied().fold(f64::INFINITY, f64::min),
            most: rounds.iter().copied().fold(0.0, f64::max),
        }
    }

    pub(crate) fn range(&self) -> String {
        format!("{:.0} - {:.0}", self.least, self.most)
    }
}
