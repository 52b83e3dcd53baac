//! The table of disagreements: what is known, and why it is so.
//!
//! A line is a pattern of six fields, a colon and a reason. `|` separates alternatives, `*` stands
//! for anything, and a state without a question mark for the same state with one, too.

use std::fmt;

/// Who says what a scenario says: it may be anybody.
const TOLD: &str = "told";

/// A set of classes with one reason.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    line: &'a str,
    fields: Vec<&'a str>,
    /// How many disagreements it has explained.
    pub(crate) seen: u32,
}

/// The lines of a table.
pub(crate) fn read(text: &str) -> Vec<Known<'_>> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(Known::read).collect()
}

impl<'a> Known<'a> {
    fn read(line: &'a str) -> Self {
        let (pattern, reason) = line.split_once(" : ").unwrap_or((line, ""));
        assert!(!reason.trim().is_empty(), "no reason: {line}");
        let fields: Vec<_> = pattern.split_whitespace().collect();
        assert_eq!(fields.len(), 6, "not six fields: {line}");
        Self {
            line,
            fields,
            seen: 0,
        }
    }

    /// Whether this is the reason for a class.
    pub(crate) fn explains(&self, class: &str) -> bool {
        let values = class.split_whitespace();
        let fits = |(field, value): (&&str, &str)| {
            let is = |wanted| {
                wanted == value || value.strip_suffix('?') == Some(wanted) || value == TOLD
            };
            *field == "*" || field.split('|').any(is)
        };
        self.fields.iter().zip(values).all(fits)
    }
}

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.line)
    }
}
