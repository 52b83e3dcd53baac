//! Frames with the verdict that is right for them, worked out by hand from the RFCs.
//!
//! One table for both engines: `parse.rs` holds it against the core, `kernel_engines.rs` in the
//! loader holds it against the core and the very bytecode in the kernel.

mod captured;
mod classes;
mod flags;
mod ipv4;
mod ipv6;
mod link;
mod tcp;
mod truncated;

use tcpguard_common::{
    craft::TcpFrame,
    flags::TcpFlags,
    parse::Link,
    reason::Reason,
    segment::Segment,
    verdict::{Bypass, Verdict},
};

/// A frame and what is right for it.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) link: Link,
    pub(crate) frame: Vec<u8>,
    /// Length on the wire; more than `frame` if a capture cut it.
    pub(crate) wire_len: u32,
    pub(crate) verdict: Verdict,
    pub(crate) segment: Option<Fields>,
}

/// What is to be read of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) flags: TcpFlags,
    pub(crate) window: u16,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) payload_len: u32,
}

impl Vector {
    /// A frame that gives the segment it was made with.
    pub(crate) fn accepted(name: impl Into<String>, frame: &TcpFrame) -> Self {
        Self::segment(name, frame, frame.build(), Verdict::ACCEPT)
    }

    /// As [`Vector::accepted`], of which some octets were changed since.
    pub(crate) fn accepted_as(name: impl Into<String>, frame: &TcpFrame, octets: Vec<u8>) -> Self {
        Self::segment(name, frame, octets, Verdict::ACCEPT)
    }

    /// A frame that is not judged.
    pub(crate) fn passed(name: impl Into<String>, octets: Vec<u8>, cause: Bypass) -> Self {
        Self::without_segment(name, octets, Verdict::bypass(cause))
    }

    /// A frame that is broken.
    pub(crate) fn dropped(name: impl Into<String>, octets: Vec<u8>, reason: Reason) -> Self {
        Self::without_segment(name, octets, Verdict::dropped(reason))
    }

    pub(crate) fn on(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    pub(crate) fn with_payload(mut self, octets: u32) -> Self {
        self.segment = self.segment.map(|fields| Fields {
            payload_len: octets,
            ..fields
        });
        self
    }

    pub(crate) fn cut_from(mut self, wire_len: usize) -> Self {
        self.wire_len = u32::try_from(wire_len).expect("a frame has fewer than 2^32 octets");
        self
    }

    fn segment(
        name: impl Into<String>,
        frame: &TcpFrame,
        octets: Vec<u8>,
        verdict: Verdict,
    ) -> Self {
        let fields = Fields {
            flags: frame.flags,
            window: frame.window,
            seq: frame.seq,
            ack: frame.ack,
            payload_len: u32::try_from(frame.payload.len()).expect("a frame is short"),
        };
        let vector = Self::without_segment(name, octets, verdict).on(frame.link);
        Self {
            segment: Some(fields),
            ..vector
        }
    }

    fn without_segment(name: impl Into<String>, frame: Vec<u8>, verdict: Verdict) -> Self {
        let wire_len = u32::try_from(frame.len()).expect("a frame has fewer than 2^32 octets");
        let (name, link) = (name.into(), Link::Ethernet);
        Self {
            name,
            link,
            frame,
            wire_len,
            verdict,
            segment: None,
        }
    }
}

impl From<&Segment> for Fields {
    fn from(segment: &Segment) -> Self {
        Self {
            flags: segment.flags,
            window: segment.window,
            seq: segment.seq.0,
            ack: segment.ack.0,
            payload_len: segment.payload_len,
        }
    }
}

/// Everything that is known to be right.
pub(crate) fn every() -> Vec<Vector> {
    let mut vectors = flags::vectors();
    vectors.extend(parser());
    vectors
}

/// Those about the way to the segment.
pub(crate) fn parser() -> Vec<Vector> {
    [
        truncated::vectors(),
        link::vectors(),
        ipv4::vectors(),
        ipv6::vectors(),
        tcp::vectors(),
        captured::vectors(),
    ]
    .concat()
}

/// Octets before the IP header of an Ethernet frame without tags.
const ETHERNET: usize = 14;

/// Writes `octets` at offset `at`.
fn patched(mut frame: Vec<u8>, at: usize, octets: &[u8]) -> Vec<u8> {
    frame[at..at + octets.len()].copy_from_slice(octets);
    frame
}
