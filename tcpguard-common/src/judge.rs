//! The pipeline: one frame in, one [`Outcome`] out.

use crate::{
    cursor::Cursor,
    flags::TcpFlags,
    parse::{Link, parse},
    policy::Policy,
    segment::Segment,
    verdict::Verdict,
};

/// What was decided about a frame, and the segment that it carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Outcome {
    /// The fate of the frame.
    pub verdict: Verdict,
    /// What was judged; `None` if the frame gave no segment.
    pub segment: Option<Segment>,
}

impl Outcome {
    /// What the policy makes of it. A verdict without a reason is none of its business.
    pub const fn under(self, policy: &Policy) -> Self {
        Self {
            verdict: policy.apply(self.verdict),
            ..self
        }
    }
}

/// Reads a frame and decides about it, as if every check dropped.
///
/// The kernel programs take the same two steps one by one, because the verifier wants their results
/// in registers.
pub fn judge<C: Cursor>(cursor: &mut C, link: Link) -> Outcome {
    let mut segment = Segment::EMPTY;
    match parse(cursor, link, &mut segment) {
        Ok(()) => Outcome {
            verdict: judge_flags(segment.flags),
            segment: Some(segment),
        },
        Err(verdict) => Outcome {
            verdict,
            segment: None,
        },
    }
}

/// Decides about a segment by its flags alone, as if every check dropped.
///
/// An illegal one gets no further: it touches no connection and refreshes no timer.
#[inline(always)]
pub fn judge_flags(flags: TcpFlags) -> Verdict {
    match flags.offence() {
        Some(reason) => Verdict::dropped(reason),
        None => Verdict::ACCEPT,
    }
}
