//! The page of connections: which are listed, in which order, and which one is chosen.
//!
//! ```text
//! flow tables -> List (filter, order, choice) -> view    a table
//!      keys -> prompt, choice                 -> detail  one connection with its two halves
//! ```
//!
//! A walk over the tables is followed by a rest of many times its length, however often somebody types,
//! and of what it finds only the first of the order are kept.

mod detail;
mod order;
mod view;

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Result;

use self::order::Order;
pub(super) use self::view::{Drawn, footer};
use super::{keys::Key, number::per_second};
use crate::{
    conns::Filter,
    flows::{Connection, Due, Flows, Walk},
};

/// Connections that are kept to be looked at.
const MOST: usize = 1000;
/// Rows that a page goes up or down.
const PAGE: usize = 10;

/// Both ends, which tell a connection from all others.
type Ends = (SocketAddr, SocketAddr);

/// A connection, and how fast it moves octets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    connection: Connection,
    /// Octets a second in both directions together; `None` before it has been seen twice.
    rate: Option<u64>,
}

/// What is listed.
#[derive(Default)]
pub(super) struct List {
    rows: Vec<Row>,
    /// How many pass the filter, listed or not.
    matching: usize,
    /// When the tables were walked last.
    walked: Option<Instant>,
    due: Due,
    /// Octets that those had moved at that time which were listed.
    before: HashMap<Ends, u64>,
    filter: Filter,
    /// How the filter was written.
    written: String,
    /// What is being typed in its place.
    prompt: Option<Prompt>,
    order: Order,
    chosen: Option<Ends>,
    is_detailed: bool,
}

/// A filter that is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Prompt {
    text: String,
    /// Why it makes no sense.
    complaint: Option<String>,
}

impl List {
    /// Whether keys are letters of a filter, and nothing else.
    pub(super) const fn is_typed_into(&self) -> bool {
        self.prompt.is_some()
    }

    /// Whether Esc has something to go back from.
    pub(super) const fn is_deep(&self) -> bool {
        self.is_typed_into() || self.is_detailed
    }

    /// Whether it is time to walk over the tables again.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_at(Instant::now())
    }

    /// Walks over the tables, which are mapped for that.
    pub(super) fn walk(&mut self, map: impl FnOnce() -> Result<Flows>) -> Result<()> {
        let mut found = Vec::new();
        let mut matching = 0;
        let walk = Walk::begin();
        map()?.for_each(|_, connection| {
            if self.filter.takes(&connection) {
                matching += 1;
                found.push(connection);
                if found.len() == 2 * MOST {
                    self.order.keep_first(&mut found, MOST);
                }
            }
        });
        self.order.keep_first(&mut found, MOST);
        self.take(found, walk.start);
        self.matching = matching;
        self.due = walk.end();
        Ok(())
    }

    /// Lists these.
    fn take(&mut self, found: Vec<Connection>, now: Instant) {
        let elapsed = self
            .walked
            .map(|walked| now.saturating_duration_since(walked));
        let row = |connection: Connection| Row {
            rate: self
                .before
                .get(&connection.order())
                .and_then(|before| rate(*before, connection.octets(), elapsed?)),
            connection,
        };
        let rows: Vec<_> = found.into_iter().map(row).collect();
        let moved = |row: &Row| (row.connection.order(), row.connection.octets());
        self.before = rows.iter().map(moved).collect();
        self.rows = rows;
        self.walked = Some(now);
    }

    /// Where the chosen one is in the list; the first one's place if it is not there.
    fn place(&self) -> usize {
        let is_chosen = |row: &Row| Some(row.connection.order()) == self.chosen;
        self.rows.iter().position(is_chosen).unwrap_or(0)
    }

    /// What a key does; nothing if it is none of this page's.
    pub(super) fn press(&mut self, key: Key) {
        if let Some(prompt) = self.prompt.take() {
            self.type_into(prompt, key);
            return;
        }
        match key {
            Key::Escape | Key::Backspace => self.is_detailed = false,
            Key::Enter => self.is_detailed = !self.is_detailed && !self.rows.is_empty(),
            Key::Char('/') => {
                self.is_detailed = false;
                self.prompt = Some(Prompt {
                    text: self.written.clone(),
                    complaint: None,
                });
            }
            Key::Char('s') => self.sort(self.order.next()),
            Key::Char('S') => self.sort(self.order.reversed()),
            Key::Up | Key::Char('k') => self.choose(self.place().saturating_sub(1)),
            Key::Down | Key::Char('j') => self.choose(self.place() + 1),
            Key::PageUp => self.choose(self.place().saturating_sub(PAGE)),
            Key::PageDown => self.choose(self.place() + PAGE),
            Key::Home => self.choose(0),
            Key::End => self.choose(usize::MAX),
            Key::Char(_) | Key::Tab | Key::Interrupt | Key::Repaint => {}
        }
        if key == Key::Enter {
            self.choose(self.place());
        }
    }

    fn choose(&mut self, place: usize) {
        let last = self.rows.len().saturating_sub(1);
        let row = self.rows.get(place.min(last));
        self.chosen = row.map(|row| row.connection.order());
    }

    fn sort(&mut self, order: Order) {
        self.order = order;
        self.rows
            .sort_by(|one, other| order.of(&one.connection, &other.connection));
    }

    fn type_into(&mut self, mut prompt: Prompt, key: Key) {
        match key {
            Key::Escape => return,
            Key::Enter => match prompt.text.parse() {
                Ok(filter) => {
                    self.filter = filter;
                    prompt.text.trim().clone_into(&mut self.written);
                    // What is listed was chosen by another one.
                    let takes = |row: &Row| self.filter.takes(&row.connection);
                    self.rows.retain(takes);
                    self.matching = self.rows.len();
                    return;
                }
                Err(complaint) => prompt.complaint = Some(complaint),
            },
            Key::Backspace => {
                prompt.text.pop();
                prompt.complaint = None;
            }
            Key::Char(char) => {
                prompt.text.push(char);
                prompt.complaint = None;
            }
            Key::Tab
            | Key::Up
            | Key::Down
            | Key::PageUp
            | Key::PageDown
            | Key::Home
            | Key::End
            | Key::Interrupt
            | Key::Repaint => {}
        }
        self.prompt = Some(prompt);
    }
}

/// How many octets more than before that is, a second.
fn rate(before: u64, now: u64, elapsed: Duration) -> Option<u64> {
    // A direction that was anchored anew may have gone back.
    let octets = now.saturating_sub(before);
    (!elapsed.is_zero()).then(|| per_second(octets, elapsed))
}

#[cfg(test)]
pub(super) mod specimen {
    use super::*;
    use crate::conns::specimen::connections;

    /// Of a few connections that were seen twice.
    pub(in super::super) fn list() -> List {
        let mut list = List::default();
        let start = Instant::now();
        let mut later = connections();
        list.take(connections(), start);
        for connection in &mut later {
            connection.original.end = connection.original.end.plus(1_500);
        }
        list.take(later, start + Duration::from_secs(1));
        list.matching = list.rows.len();
        list.sort(Order::default());
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(list: &mut List, text: &str) {
        for char in text.chars() {
            list.press(Key::Char(char));
        }
    }

    fn sources(list: &List) -> Vec<String> {
        let rows = list.rows.iter();
        rows.map(|row| row.connection.source.to_string()).collect()
    }

    #[test]
    fn a_choice_stays_on_its_connection_when_the_order_changes() {
        let mut list = specimen::list();
        let first = sources(&list);
        list.press(Key::Down);
        list.press(Key::Down);
        let chosen = list.chosen;
        assert_eq!(chosen.unwrap().0.to_string(), first[2]);
        list.press(Key::Char('S'));
        assert_ne!(sources(&list), first);
        assert_eq!(list.chosen, chosen);
        assert_eq!(sources(&list)[list.place()], first[2]);
        for (key, place) in [
            (Key::End, 3),
            (Key::Down, 3),
            (Key::PageUp, 0),
            (Key::Up, 0),
        ] {
            list.press(key);
            assert_eq!(list.place(), place, "{key:?}");
        }
    }

    #[test]
    fn a_filter_is_typed_and_one_that_makes_no_sense_is_told_why() {
        let mut list = specimen::list();
        let all = list.rows.len();
        typed(&mut list, "/10.0.0.1 po");
        assert!(list.is_typed_into(), "q and the like are letters now");
        list.press(Key::Enter);
        let complaint = list.prompt.clone().unwrap().complaint.unwrap();
        assert!(complaint.contains("\"po\""), "{complaint}");
        list.press(Key::Backspace);
        list.press(Key::Backspace);
        typed(&mut list, "80");
        list.press(Key::Enter);
        assert!(!list.is_typed_into());
        assert_eq!((list.rows.len(), &*list.written), (2, "10.0.0.1 80"));
        typed(&mut list, "/x");
        list.press(Key::Escape);
        assert_eq!(list.written, "10.0.0.1 80", "it was not meant");
        assert!(list.rows.len() < all);
    }

    #[test]
    fn enter_shows_one_connection_and_escape_goes_back() {
        let mut list = specimen::list();
        assert!(!list.is_deep());
        list.press(Key::Enter);
        assert!(list.is_deep());
        assert_eq!(list.chosen, Some(list.rows[0].connection.order()));
        list.press(Key::Escape);
        assert!(!list.is_deep());
        let mut empty = List::default();
        empty.press(Key::Enter);
        assert!(!empty.is_deep());
    }

    #[test]
    fn a_rate_is_what_a_connection_has_moved_since_it_was_listed() {
        let rates: Vec<_> = specimen::list().rows.iter().map(|row| row.rate).collect();
        assert_eq!(rates, [Some(1_500); 4]);
        assert_eq!(rate(10, 40, Duration::from_secs(2)), Some(15));
        assert_eq!(rate(0, 5, Duration::from_secs(3)), Some(2));
        assert_eq!(
            rate(40, 10, Duration::from_secs(1)),
            Some(0),
            "anchored anew"
        );
        assert_eq!(rate(10, 40, Duration::ZERO), None);
    }
}
