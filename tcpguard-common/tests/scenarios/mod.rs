//! Conversations with the verdict that is right for each segment, worked out by hand from the RFCs
//! and from what kernels do.
//!
//! One set for both engines: `scenarios.rs` holds it against the core, `kernel_engines` in the
//! loader against the bytecode as well. A conversation is told as in packetdrill:
//!
//! ```text
//! # A comment.
//! opening syn-sent                     lines that others begin with
//! orig S 0 -> accept SYN-SENT
//!
//! scenario a SYN+ACK is wrong          what it proves
//! clause RFC 9293 section 3.10.7.3     what that stands on
//! after syn-sent                       begins with that opening
//! +0.1 reply SA 0 ack 2 win 1000 -> drop synack-bad-ack SYN-SENT
//! ```
//!
//! A line is a segment and what becomes of it:
//!
//! - `+0.1`: seconds since the line before, `+3m`, `+2h` and `+5d` are longer; left out, it is the
//!   same moment.
//! - `orig` or `reply`: which peer sends it. `orig` keeps its name if the other one opens anew.
//! - `S`: flags in the letters FSRPAUECN, `-` if there are none.
//! - `0`: the sequence number, counted from the sender's first; `=0` is the number as it stands.
//! - `ack 1`: counted from the other's first; every segment with ACK has it.
//! - `len 100`, `win 10000`: payload, and window as in the header; 0 and 10000 if left out.
//! - `mss 1460`, `wscale 7`, `sackok`, `ts 1 0`, `nop`, `sack 10-20` and `option 03 03`: options in
//!   this order on the wire, padded to a whole word; SACK edges count as `ack` does.
//! - behind the arrow: verdict, reason if it is `drop`, and the state of the connection afterwards;
//!   `-` if there is none, or if the flags alone kept the segment from being looked up.
//!
//! A scenario may also say `pickup always`, and `isn 7 9` to set where both peers' numbers begin.
//! Otherwise nothing in it depends on that, nor on the addresses, so each is played in every
//! [`World`].

mod frame;
mod grammar;

use std::{fmt, time::Duration};

use tcpguard_common::{conn::state::State, verdict::Verdict};

use self::{frame::Sent, grammar::Book};
pub(crate) use self::{frame::World, grammar::Fault};

/// The files, openings that all of them use first.
pub(crate) const FILES: [(&str, &str); 19] = [
    ("openings.scn", include_str!("openings.scn")),
    ("handshake.scn", include_str!("handshake.scn")),
    ("resyn.scn", include_str!("resyn.scn")),
    ("fast_open.scn", include_str!("fast_open.scn")),
    ("simultaneous.scn", include_str!("simultaneous.scn")),
    ("data.scn", include_str!("data.scn")),
    ("window.scn", include_str!("window.scn")),
    ("scale.scn", include_str!("scale.scn")),
    ("sack.scn", include_str!("sack.scn")),
    ("close.scn", include_str!("close.scn")),
    ("half_close.scn", include_str!("half_close.scn")),
    ("time_wait.scn", include_str!("time_wait.scn")),
    ("reset.scn", include_str!("reset.scn")),
    ("reset_handshake.scn", include_str!("reset_handshake.scn")),
    ("reuse.scn", include_str!("reuse.scn")),
    ("pickup.scn", include_str!("pickup.scn")),
    ("lifetime.scn", include_str!("lifetime.scn")),
    ("liberal.scn", include_str!("liberal.scn")),
    ("flags.scn", include_str!("flags.scn")),
];

/// A conversation.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// What it proves.
    pub(crate) name: String,
    /// The clause or the kernel's behaviour that this stands on.
    pub(crate) clause: String,
    pub(crate) place: Place,
    /// Whether a connection that is not known is taken over in its middle.
    pub(crate) picks_up: bool,
    isns: Option<[u32; 2]>,
    lines: Vec<Line>,
}

/// One line of a conversation.
#[derive(Clone, Debug)]
struct Line {
    place: Place,
    text: String,
    /// Since the line before.
    after: Duration,
    sent: Sent,
    expected: Expected,
}

/// A frame that arrives, and what is right for it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) place: Place,
    /// The line that it was made from.
    pub(crate) text: String,
    /// Since the first line.
    pub(crate) at: Duration,
    /// An Ethernet frame.
    pub(crate) frame: Vec<u8>,
    pub(crate) expected: Expected,
}

/// What is right for a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) verdict: Verdict,
    /// The state of the connection afterwards; `None` if there is none or it was not looked up.
    pub(crate) after: Option<State>,
}

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: &'static str,
    pub(crate) line: usize,
}

impl Scenario {
    /// The frames of the conversation in this world, oldest first; `None` if it cannot happen there.
    pub(crate) fn steps(&self, world: &World) -> Option<Vec<Step>> {
        let world = world.with_isns(self.isns, self.is_absolute())?;
        let mut at = Duration::ZERO;
        let steps = self.lines.iter().map(|line| {
            at += line.after;
            Step {
                place: line.place,
                text: line.text.clone(),
                at,
                frame: line.sent.frame(&world),
                expected: line.expected,
            }
        });
        Some(steps.collect())
    }

    fn is_absolute(&self) -> bool {
        self.lines.iter().any(|line| line.sent.is_absolute())
    }
}

/// Every scenario there is.
pub(crate) fn every() -> Vec<Scenario> {
    let mut book = Book::default();
    for (name, text) in FILES {
        if let Err(fault) = book.read(name, text) {
            panic!("{fault}");
        }
    }
    book.scenarios
}

/// The scenarios of one text.
pub(crate) fn read(file: &'static str, text: &str) -> Result<Vec<Scenario>, Fault> {
    let mut book = Book::default();
    book.read(file, text)?;
    Ok(book.scenarios)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verdict.kind().as_str())?;
        if let Some(reason) = self.verdict.reason() {
            write!(f, " {reason}")?;
        }
        write!(f, " {}", self.after.map_or("-", State::as_str))
    }
}
