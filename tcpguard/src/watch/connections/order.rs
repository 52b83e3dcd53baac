//! In which order connections are listed.

use std::cmp::{Ordering, Reverse};

use crate::flows::Connection;

/// What they are ordered by, and whether the other way around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    by: By,
    is_reversed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum By {
    /// Who was heard last comes first.
    #[default]
    Idle,
    /// The youngest first.
    Age,
    /// In the order of a connection's life.
    State,
    /// Those that moved most octets first.
    Octets,
    /// By source, then by destination.
    Ends,
}

impl Order {
    /// By the next thing.
    pub(super) const fn next(self) -> Self {
        let by = match self.by {
            By::Idle => By::Age,
            By::Age => By::State,
            By::State => By::Octets,
            By::Octets => By::Ends,
            By::Ends => By::Idle,
        };
        Self {
            by,
            is_reversed: false,
        }
    }

    /// The other way around.
    pub(super) const fn reversed(self) -> Self {
        Self {
            is_reversed: !self.is_reversed,
            ..self
        }
    }

    /// What comes first, in words.
    pub(super) const fn words(self) -> &'static str {
        match (self.by, self.is_reversed) {
            (By::Idle, false) => "last heard first",
            (By::Idle, true) => "longest idle first",
            (By::Age, false) => "youngest first",
            (By::Age, true) => "oldest first",
            (By::State, false) => "by state",
            (By::State, true) => "by state, last first",
            (By::Octets, false) => "most octets first",
            (By::Octets, true) => "fewest octets first",
            (By::Ends, false) => "by source",
            (By::Ends, true) => "by source, last first",
        }
    }

    /// Of two connections.
    pub(super) fn of(self, one: &Connection, other: &Connection) -> Ordering {
        let order = match self.by {
            By::Idle => one.idle.cmp(&other.idle),
            By::Age => one.age.cmp(&other.age),
            By::State => (one.state as u8).cmp(&(other.state as u8)),
            By::Octets => Reverse(one.octets()).cmp(&Reverse(other.octets())),
            By::Ends => Ordering::Equal,
        };
        let order = order.then_with(|| one.order().cmp(&other.order()));
        if self.is_reversed {
            order.reverse()
        } else {
            order
        }
    }

    /// Keeps the first `most`, in order.
    pub(super) fn keep_first(self, connections: &mut Vec<Connection>, most: usize) {
        connections.sort_unstable_by(|one, other| self.of(one, other));
        connections.truncate(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conns::specimen::connections;

    #[test]
    fn each_order_has_words_of_its_own_and_comes_around() {
        let mut order = Order::default();
        let mut words = Vec::new();
        for _ in 0..5 {
            words.extend([order.words(), order.reversed().words()]);
            order = order.next();
        }
        assert_eq!(order, Order::default());
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 10);
    }

    #[test]
    fn the_first_of_the_order_are_kept() {
        let mut kept = connections();
        let by_octets = Order {
            by: By::Octets,
            is_reversed: false,
        };
        by_octets.keep_first(&mut kept, 2);
        let octets: Vec<_> = kept.iter().map(|it| it.reply.octets()).collect();
        assert_eq!(octets, [1_234_567, 1_000]);
    }
}
