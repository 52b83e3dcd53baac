//! How fast it has been: rates over the last intervals as sparklines.

use std::{collections::VecDeque, time::Duration};

use ratatui::text::{Line, Span};
use tcpguard_common::{abi::Hook, verdict::VerdictKind};

use super::{
    number,
    reading::{Rate, Reading},
    tone::{Palette, Tone},
    turnover::opened,
};

/// More intervals than any screen is wide.
const KEPT: usize = 512;
/// Width of a rate.
const RATE: usize = 7;
/// From none to all, in eighths.
const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The rates of the last intervals, the latest last.
#[derive(Default)]
pub(super) struct History {
    rates: VecDeque<[Rate; 3]>,
    until: Duration,
}

impl History {
    /// Adds an interval, unless the reading is the one that was added last.
    pub(super) fn add(&mut self, reading: &Reading) {
        if reading.elapsed().is_zero() || reading.sample.uptime == self.until {
            return;
        }
        self.until = reading.sample.uptime;
        let kind = if reading.sample.enforcing {
            VerdictKind::Drop
        } else {
            VerdictKind::WouldDrop
        };
        self.rates.push_back([
            reading.at(Hook::Ingress).packets,
            reading.overall(|counters| counters.total(kind)).packets,
            reading.growth(opened),
        ]);
        if self.rates.len() > KEPT {
            self.rates.pop_front();
        }
    }

    fn latest(&self, index: usize) -> Rate {
        let latest = self.rates.back().and_then(|rates| rates.get(index));
        latest.copied().unwrap_or_default()
    }

    /// The last `width` intervals of a rate as a picture of so many lines, from the highest.
    fn picture(&self, index: usize, width: usize, lines: usize) -> Vec<String> {
        let skipped = self.rates.len().saturating_sub(width);
        let rates = self.rates.iter().skip(skipped);
        let rates: Vec<_> = rates
            .map(|rates| rates.get(index).map_or(0, |rate| rate.per_second()))
            .collect();
        let most = rates.iter().copied().max().unwrap_or(0).max(1);
        let blank = " ".repeat(width - rates.len());
        let line = |line: usize| {
            let levels = rates.iter().map(|rate| level(*rate, most, lines, line));
            blank.chars().chain(levels).collect()
        };
        (0..lines).rev().map(line).collect()
    }
}

/// What is drawn of a rate on one of so many lines, counted from the lowest. What is not zero is seen.
fn level(rate: u64, most: u64, lines: usize, line: usize) -> char {
    let whole = lines * 8;
    let eighths = (u128::from(rate) * whole as u128).div_ceil(u128::from(most));
    let eighths = usize::try_from(eighths).unwrap_or(whole);
    LEVELS[eighths.saturating_sub(line * 8).min(8)]
}

/// Names and meanings of the rates.
fn kinds(enforcing: bool) -> [(&'static str, Tone); 3] {
    let objected = if enforcing {
        ("dropped/s", Tone::Bad)
    } else {
        ("would drop/s", Tone::Warning)
    };
    [
        ("received/s", Tone::Good),
        objected,
        ("new conns/s", Tone::Plain),
    ]
}

/// All three below each other, each on so many lines; the name and the rate of now stand before it.
pub(super) fn block(
    history: &History,
    enforcing: bool,
    (width, lines): (usize, usize),
    palette: Palette,
) -> Vec<Line<'static>> {
    const NAME: usize = 12;
    let room = width.saturating_sub(NAME + RATE + 3).min(KEPT);
    let rows = (0..)
        .zip(kinds(enforcing))
        .flat_map(|(index, (name, tone))| {
            let now = number::rate(history.latest(index), RATE);
            let picture = history.picture(index, room, lines).into_iter().enumerate();
            picture.map(move |(line, picture)| {
                // On the lowest line, where the picture stands.
                let (name, now) = if line + 1 == lines {
                    (name, now.as_str())
                } else {
                    ("", "")
                };
                Line::from(vec![
                    Span::styled(format!("{name:<NAME$}"), palette.style(Tone::Quiet)),
                    Span::styled(format!(" {now:>RATE$}  "), palette.style(tone)),
                    Span::styled(picture, palette.style(tone)),
                ])
            })
        });
    rows.collect()
}

/// All three beside each other on one line, if it has room for them.
pub(super) fn line(
    history: &History,
    enforcing: bool,
    width: usize,
    palette: Palette,
) -> Option<Line<'static>> {
    const NAMES: [&str; 3] = ["recv/s", "drop/s", "new/s"];
    const GAP: usize = 2;
    let each = (width + GAP) / NAMES.len() - GAP;
    let mut line = Line::default();
    for ((index, name), (_, tone)) in (0..).zip(NAMES).zip(kinds(enforcing)) {
        let now = number::rate(history.latest(index), RATE);
        let told = format!(" {now:>0$} ", RATE - 1);
        let room = each.checked_sub(name.len() + told.chars().count() + 1)?;
        let gap = if index == 0 { 0 } else { GAP };
        line.push_span(Span::styled(
            format!("{:gap$}{name}", ""),
            palette.style(Tone::Quiet),
        ));
        line.push_span(Span::styled(told, palette.style(tone)));
        let picture = history.picture(index, room + 6 - name.len(), 1);
        line.push_span(Span::styled(picture.concat(), palette.style(tone)));
    }
    Some(line)
}

#[cfg(test)]
impl History {
    /// Rates that rise and fall.
    pub(super) fn specimen() -> Self {
        let wave = |step: u64, period: u64| Rate::Whole((step % period) * 100 / period);
        let rates = (0..200).map(|step| [wave(step, 16), wave(step, 40), wave(step / 4, 7)]);
        Self {
            rates: rates.collect(),
            until: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::specimen, *};

    fn history(rates: &[u64]) -> History {
        History {
            rates: rates.iter().map(|rate| [Rate::Whole(*rate); 3]).collect(),
            until: Duration::ZERO,
        }
    }

    #[test]
    fn the_highest_fills_its_line_and_what_is_not_zero_is_seen() {
        let history = history(&[0, 1, 400, 800]);
        assert_eq!(history.picture(0, 6, 1), ["   ▁▄█"]);
        assert_eq!(history.picture(0, 2, 1), ["▄█"]);
        assert_eq!(history.picture(0, 4, 2), ["   █", " ▁██"]);
        assert_eq!(History::default().picture(0, 3, 1), ["   "]);
    }

    #[test]
    fn a_reading_that_is_shown_twice_is_one_interval() {
        let mut history = History::default();
        let reading = specimen::reading();
        history.add(&reading);
        history.add(&reading);
        assert_eq!(history.rates.len(), 1);
        assert_eq!(history.latest(0), Rate::Whole(1_241));
        assert_eq!(history.latest(2), Rate::Whole(12));
    }
}
