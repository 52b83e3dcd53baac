//! From the text of a file to its scenarios.

use std::{collections::HashMap, fmt, str::FromStr, time::Duration};

use tcpguard_common::{conn::state::State, flags::TcpFlags, reason::Reason, verdict::Verdict};

use super::{
    Expected, Line, Place, Scenario,
    frame::{Number, Peer, Sent, TcpOption},
};

/// What cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

type Parsed<T> = Result<T, String>;

/// Everything that was read so far.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) scenarios: Vec<Scenario>,
    openings: HashMap<String, Vec<Line>>,
    /// The opening that is being read.
    opening: Option<String>,
}

impl Book {
    /// Reads one file.
    pub(super) fn read(&mut self, file: &'static str, text: &str) -> Result<(), Fault> {
        let known = self.scenarios.len();
        self.opening = None;
        for (index, text) in text.lines().enumerate() {
            let place = Place {
                file,
                line: index + 1,
            };
            let text = text.trim();
            if !text.is_empty() && !text.starts_with('#') {
                self.line(place, text)
                    .map_err(|what| Fault { place, what })?;
            }
        }
        let untold = self
            .scenarios
            .iter()
            .skip(known)
            .find(|scenario| scenario.clause.is_empty() || scenario.lines.is_empty());
        match untold {
            Some(scenario) => Err(Fault {
                place: scenario.place,
                what: "a scenario needs a clause and a segment".into(),
            }),
            None => Ok(()),
        }
    }

    fn line(&mut self, place: Place, text: &str) -> Parsed<()> {
        let (keyword, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        match keyword {
            "opening" => {
                self.openings.insert(rest.into(), Vec::new());
                self.opening = Some(rest.into());
            }
            "scenario" => {
                self.opening = None;
                self.scenarios.push(Scenario::named(rest, place));
            }
            "after" => self.begin_with(rest)?,
            "clause" => self.told()?.cite(rest),
            "pickup" if rest == "always" => self.told()?.picks_up = true,
            "isn" => self.told()?.isns = Some(isns(rest)?),
            _ => self.lines()?.push(line(place, text)?),
        }
        Ok(())
    }

    fn begin_with(&mut self, opening: &str) -> Parsed<()> {
        let begin = self.openings.get(opening).cloned();
        let begin = begin.ok_or_else(|| format!("no opening '{opening}'"))?;
        let lines = self.lines()?;
        if !lines.is_empty() {
            return Err("an opening comes first".into());
        }
        *lines = begin;
        Ok(())
    }

    /// The scenario that is being read.
    fn told(&mut self) -> Parsed<&mut Scenario> {
        let scenario = self.scenarios.last_mut().filter(|_| self.opening.is_none());
        scenario.ok_or_else(|| "this belongs to a scenario".into())
    }

    /// The lines of what is being read.
    fn lines(&mut self) -> Parsed<&mut Vec<Line>> {
        if let Some(name) = &self.opening {
            return self
                .openings
                .get_mut(name)
                .ok_or_else(|| "an opening needs a name".into());
        }
        self.told().map(|scenario| &mut scenario.lines)
    }
}

impl Scenario {
    fn named(name: &str, place: Place) -> Self {
        Self {
            name: name.into(),
            clause: String::new(),
            place,
            picks_up: false,
            isns: None,
            lines: Vec::new(),
        }
    }

    fn cite(&mut self, clause: &str) {
        if !self.clause.is_empty() {
            self.clause.push_str("; ");
        }
        self.clause.push_str(clause);
    }
}

fn isns(text: &str) -> Parsed<[u32; 2]> {
    let (orig, reply) = text.split_once(' ').ok_or("two numbers: isn 7 9")?;
    Ok([number(orig)?, number(reply.trim())?])
}

/// `+0.1 orig S 0 win 1000 -> accept SYN-SENT`
fn line(place: Place, text: &str) -> Parsed<Line> {
    let (left, right) = text
        .split_once("->")
        .ok_or("a segment needs '->' and a verdict")?;
    let mut words = Words(left.split_whitespace().collect());
    let after = match words.next_if(|word| word.starts_with('+')) {
        Some(word) => duration(word)?,
        None => Duration::ZERO,
    };
    Ok(Line {
        place,
        text: text.into(),
        after,
        sent: sent(&mut words)?,
        expected: expected(right)?,
    })
}

fn sent(words: &mut Words<'_>) -> Parsed<Sent> {
    let by = match words.next("a peer")? {
        "orig" => Peer::Orig,
        "reply" => Peer::Reply,
        other => return Err(format!("neither orig nor reply: '{other}'")),
    };
    let flags = words.next("flags")?;
    let mut sent = Sent {
        by,
        flags: TcpFlags::from_str(flags).map_err(|_| format!("no flags: '{flags}'"))?,
        seq: sequence(words.next("a sequence number")?)?,
        ack: None,
        payload_len: 0,
        window: 10000,
        options: Vec::new(),
    };
    while let Some(word) = words.next_if(|_| true) {
        match word {
            "ack" => sent.ack = Some(sequence(words.next("an acknowledgment number")?)?),
            "len" => sent.payload_len = number(words.next("a length")?)?,
            "win" => sent.window = number(words.next("a window")?)?,
            _ => sent.options.push(option(word, words)?),
        }
    }
    if sent.flags.contains(TcpFlags::ACK) && sent.ack.is_none() {
        return Err("a segment with ACK needs 'ack'".into());
    }
    Ok(sent)
}

fn option(word: &str, words: &mut Words<'_>) -> Parsed<TcpOption> {
    Ok(match word {
        "nop" => TcpOption::NoOperation,
        "sackok" => TcpOption::SackPermitted,
        "mss" => TcpOption::Mss(number(words.next("octets")?)?),
        "wscale" => TcpOption::WindowScale(number(words.next("a shift")?)?),
        "ts" => {
            let value = number(words.next("a time stamp")?)?;
            TcpOption::TimeStamps(value, number(words.next("a time stamp echo")?)?)
        }
        "sack" => {
            let mut blocks = vec![block(words.next("a block")?)?];
            while let Some(word) = words.next_if(|word| block(word).is_ok()) {
                blocks.push(block(word)?);
            }
            TcpOption::Sack(blocks)
        }
        "option" => {
            let hex = |word: &str| u8::from_str_radix(word, 16);
            let mut octets = Vec::new();
            while let Some(word) = words.next_if(|word| hex(word).is_ok()) {
                octets.push(hex(word).map_err(|error| error.to_string())?);
            }
            TcpOption::Raw(octets)
        }
        _ => return Err(format!("no part of a segment: '{word}'")),
    })
}

/// `accept STATE`, `ignore STATE` or `drop reason STATE`.
fn expected(text: &str) -> Parsed<Expected> {
    let mut words = Words(text.split_whitespace().collect());
    let verdict = match words.next("a verdict")? {
        "accept" => Verdict::ACCEPT,
        "ignore" => Verdict::IGNORE,
        "drop" => {
            let name = words.next("a reason")?;
            let reason = Reason::from_name(name).ok_or_else(|| format!("no reason: '{name}'"))?;
            Verdict::dropped(reason)
        }
        other => return Err(format!("no verdict: '{other}'")),
    };
    let after = match words.next("a state")? {
        "-" => None,
        name => Some(
            State::ALL
                .into_iter()
                .find(|state| state.as_str() == name)
                .ok_or_else(|| format!("no state: '{name}'"))?,
        ),
    };
    match words.next_if(|_| true) {
        Some(more) => Err(format!("behind the state: '{more}'")),
        None => Ok(Expected { verdict, after }),
    }
}

/// `10-20`
fn block(word: &str) -> Parsed<(Number, Number)> {
    let edges = word.split_once('-').ok_or("a block is left-right")?;
    Ok((sequence(edges.0)?, sequence(edges.1)?))
}

/// `12`, `-1` or `=12`
fn sequence(word: &str) -> Parsed<Number> {
    match word.strip_prefix('=') {
        Some(absolute) => Ok(Number::Absolute(number(absolute)?)),
        None => Ok(Number::Relative(number(word)?)),
    }
}

/// `+0.1`, `+3m`, `+2h` or `+5d`
fn duration(word: &str) -> Parsed<Duration> {
    let digits = word.trim_matches(|c: char| !c.is_ascii_digit());
    let unit = match word.trim_start_matches(|c: char| !c.is_ascii_alphabetic()) {
        "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(format!("no time: '{word}'")),
    };
    let count: f64 = number(digits)?;
    Duration::try_from_secs_f64(count * unit).map_err(|error| format!("{error}: '{word}'"))
}

fn number<N: FromStr>(word: &str) -> Parsed<N> {
    word.parse()
        .map_err(|_| format!("no number that fits here: '{word}'"))
}

/// The words that are left of a line.
struct Words<'a>(std::collections::VecDeque<&'a str>);

impl<'a> Words<'a> {
    fn next(&mut self, wanted: &str) -> Parsed<&'a str> {
        self.0
            .pop_front()
            .ok_or_else(|| format!("ends where {wanted} should be"))
    }

    fn next_if(&mut self, is: impl FnOnce(&str) -> bool) -> Option<&'a str> {
        let first = self.0.front().copied()?;
        if !is(first) {
            return None;
        }
        self.0.pop_front()
    }
}
