//! The text format of Prometheus, version 0.0.4: families of samples.
//!
//! Not by a library: those there are write `OpenMetrics`, in which `promtool check metrics` misses the
//! types of counters.

use std::fmt::{Display, Write as _};

/// What a value does over time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// It only grows, and begins anew with the guard.
    Counter,
    /// It comes and goes.
    Gauge,
}

/// Labels of a sample by name and value.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

/// A page of metrics, as it is written.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(self.0, "# HELP tcpguard_{name} {help}");
        let _ = writeln!(self.0, "# TYPE tcpguard_{name} {kind}");
    }

    /// A sample of the family of this name.
    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        let _ = write!(self.0, "tcpguard_{name}");
        let mut separator = '{';
        for (label, value) in labels {
            let _ = write!(self.0, "{separator}{label}=\"{}\"", escaped(value));
            separator = ',';
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// A family of one sample without labels.
    pub(super) fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// The name of an interface may be nearly anything.
fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_their_family_and_labels_are_escaped() {
        let mut page = Page::default();
        page.family("frames_total", Kind::Counter, "Frames.");
        page.sample("frames_total", &[("interface", "a\"\\b"), ("hook", "x")], 7);
        page.single("up_seconds", Kind::Gauge, "Time.", 1.5);
        assert_eq!(
            page.into_text(),
            "# HELP tcpguard_frames_total Frames.\n\
             # TYPE tcpguard_frames_total counter\n\
             tcpguard_frames_total{interface=\"a\\\"\\\\b\",hook=\"x\"} 7\n\
             # HELP tcpguard_up_seconds Time.\n\
             # TYPE tcpguard_up_seconds gauge\n\
             tcpguard_up_seconds 1.5\n"
        );
    }
}
