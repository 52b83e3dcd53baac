//! Captures, from whoever has written them.

use std::io::{self, ErrorKind, Read};

use tcpguard::{
    engine::{Engine as _, Rules, host::HostEngine},
    replay::{
        self,
        capture::Capture,
        output::{Json, Output as _, Summary, Text},
    },
};
use tcpguard_common::policy::Policy;

/// Octets of a frame's header in either format, at least.
const LEAST: usize = 12;

/// Holds all that must hold of a capture against these octets.
pub fn check(octets: &[u8]) {
    let frames = read(octets, octets.len());
    assert_eq!(read(Dribble::of(octets), octets.len()), frames);
    is_replayed(octets);
}

/// A frame, and what is said of it.
type Frame = (u16, u128, Vec<u8>, u32);

/// Its frames, and what ended it.
fn read(reader: impl Read, len: usize) -> (Vec<Frame>, Option<String>) {
    let mut frames = Vec::new();
    let mut capture = match Capture::new(reader) {
        Ok(capture) => capture,
        Err(error) => return (frames, Some(format!("{error:#}"))),
    };
    loop {
        match capture.next_record() {
            Ok(Some(record)) => {
                assert!(record.octets.len() <= len);
                let nanos = record.time.as_nanos();
                frames.push((
                    record.link_type,
                    nanos,
                    record.octets.to_vec(),
                    record.wire_len,
                ));
                assert!(
                    frames.len() * LEAST <= len,
                    "more frames than there is room for"
                );
            }
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(format!("{error:#}"))),
        }
    }
}

/// Whatever is in it, it is printed in both ways, as far as it goes.
fn is_replayed(octets: &[u8]) {
    let mut json = Vec::new();
    let mut text = Vec::new();
    let Ok(mut capture) = Capture::new(octets) else {
        return;
    };
    let mut engine = HostEngine::new(Rules::stateless(Policy::ENFORCE));
    let mut lines = 0;
    {
        let mut json = Json(Box::new(&mut json));
        let mut text = Text::new(Box::new(&mut text), false);
        let _ = replay::each_line(&mut capture, &mut engine, |line| {
            lines += 1;
            json.line(line)?;
            Ok(text.line(line)?)
        });
        let summary = Summary {
            counters: engine.counters().expect("counts in memory"),
            events: engine.events().expect("counts in memory"),
            states: engine.states().expect("counts in memory"),
        };
        json.summary(&summary).expect("memory takes everything");
        text.summary(&summary).expect("memory takes everything");
        json.flush().expect("memory takes everything");
        text.flush().expect("memory takes everything");
    }
    let json = String::from_utf8(json).expect("objects are UTF-8");
    assert_eq!(json.lines().count(), lines + 1);
    for line in json.lines() {
        let _: serde_json::Value = serde_json::from_str(line).expect("an object");
    }
    let text = String::from_utf8(text).expect("lines are UTF-8");
    assert!(text.lines().count() >= lines);
}

/// Octets that come one by one, with an interruption before each.
struct Dribble<'a> {
    rest: &'a [u8],
    comes: bool,
}

impl<'a> Dribble<'a> {
    fn of(rest: &'a [u8]) -> Self {
        Self { rest, comes: false }
    }
}

impl Read for Dribble<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.comes = !self.comes;
        if !self.comes {
            return Err(ErrorKind::Interrupted.into());
        }
        let len = into.len().min(1);
        self.rest.read(&mut into[..len])
    }
}
