//! The pipeline: one frame in, one [`Outcome`] out.

use crate::{
    cursor::Cursor,
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
    // Not an `Option`, for the reason that `Verdict` is not an enum.
    has_segment: bool,
    segment: Segment,
}

impl Outcome {
    /// What was judged; `None` if the frame gave no segment.
    #[inline(always)]
    #[must_use]
    pub const fn segment(&self) -> Option<&Segment> {
        if self.has_segment { Some(&self.segment) } else { None }
    }
}

/// Reads a frame and decides about it.
#[inline(always)]
pub fn judge<C: Cursor>(cursor: &mut C, link: Link, policy: &Policy) -> Outcome {
    let mut segment = Segment::EMPTY;
    let parsed = parse(cursor, link, &mut segment);
    let verdict = match parsed {
        Ok(()) => judge_segment(&segment),
        Err(verdict) => verdict,
    };
    Outcome { verdict: policy.apply(verdict), has_segment: parsed.is_ok(), segment }
}

/// Decides about one segment by what stands in it alone, as if every check dropped.
///
/// An illegal one gets no further: it touches no connection and refreshes no timer.
#[inline(always)]
pub fn judge_segment(segment: &Segment) -> Verdict {
    match segment.flags.offence() {
        Some(reason) => Verdict::dropped(reason),
        None => Verdict::ACCEPT,
    }
}
