//! What both hooks do with a frame.

use tcpguard_common::{conn::seen::Voice, judge::judge_flags, verdict::Verdict};

use crate::{
    config::{self, Hooked},
    flow::{self, Tracked},
    options::Optioned,
    packet::{self, Buffer},
    parsed::{self, Parseable, Parsed},
    report::{self, Judgement, Place},
    transcript::Transcribe,
};

/// What a hook's context has to be able to do.
pub(crate) trait Guarded:
    Buffer + Hooked + Optioned + Parseable + Tracked + Transcribe
{
}

impl<C: Buffer + Hooked + Optioned + Parseable + Tracked + Transcribe> Guarded for C {}

/// Judges a frame and counts it.
///
/// The first look takes the frame for a plain segment in one buffer, as nearly all are, and asks the
/// kernel nothing. Whatever else it is, is found by a second look.
#[inline(always)]
pub(crate) fn guard<C: Guarded>(ctx: &C) -> Verdict {
    let place = Place::of(ctx);
    // Of what nobody asks for nothing is written to memory.
    if !config::tracking()
        && let Some(flags) = parsed::plain_flags(ctx, place.link)
    {
        let judgement = Judgement {
            verdict: enforced::<C>(judge_flags(flags)),
            ruling: 0,
        };
        report::segment(ctx, place, judgement, flags, packet::linear(ctx));
        return judgement.verdict;
    }
    let mut parsed = Parsed::NOTHING;
    let octets = if config::tracking() && parsed::plain(ctx, place.link, &mut parsed) {
        packet::linear(ctx)
    } else {
        let broken = parsed::whole(ctx, place.link, &mut parsed);
        let octets = ctx.octets();
        if let Some(verdict) = broken {
            let verdict = config::policy::<C>().apply(verdict);
            report::frame(ctx, place, verdict, octets);
            return verdict;
        }
        octets
    };
    let judgement = judge(ctx, &mut parsed);
    report::segment(ctx, place, judgement, parsed.flags(), octets);
    judgement.verdict
}

/// Follows the connection of a frame that was judged and counted when it arrived.
///
/// As a rule its half has just been written, and this finds nothing new. But where addresses are
/// translated (NAT) it leaves as a segment of another connection, whose reply arrives under that name.
#[inline(always)]
pub(crate) fn follow<C: Guarded>(ctx: &C) {
    let mut parsed = Parsed::NOTHING;
    let link = Place::of(ctx).link;
    if !config::tracking() || parsed::whole(ctx, link, &mut parsed).is_some() {
        return;
    }
    if !judge_flags(parsed.flags()).is_drop() {
        report::event(flow::track(ctx, &mut parsed, Voice::FORWARDED));
    }
}

/// By what stands in the segment alone, then by its connection.
#[inline(always)]
fn judge<C: Guarded>(ctx: &C, parsed: &mut Parsed) -> Judgement {
    let mut verdict = judge_flags(parsed.flags());
    let mut bits = 0;
    if !verdict.is_drop() && config::tracking() {
        let ruling = flow::track(ctx, parsed, config::voice::<C>());
        report::event(ruling);
        verdict = ruling.verdict();
        bits = ruling.bits();
    }
    Judgement {
        verdict: enforced::<C>(verdict),
        ruling: bits,
    }
}

/// What the policy of the hook makes of a verdict.
#[inline(always)]
fn enforced<C: Hooked>(verdict: Verdict) -> Verdict {
    if verdict.is_drop() {
        config::policy::<C>().apply(verdict)
    } else {
        verdict
    }
}
