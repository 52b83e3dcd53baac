//! What both hooks do with a frame.

use tcpguard_common::{
    conn::{ruling::Ruling, seen::Voice},
    flow::Ends,
    judge::judge_flags,
    parse::{self, Link, Plain},
    policy::Standing,
    reason::Reason,
    verdict::{Bypass, Verdict},
};

use crate::{
    admission::{self, Admitting, Listed},
    clock,
    config::{self, Hooked},
    cookie::Cookied,
    evidence::Kept,
    flow::{self, Course, Tracked},
    options::Optioned,
    packet::Buffer,
    parsed::{self, Held, Parseable, Parsed, TcpView},
    report::{self, Place},
    table::Tabled,
    transcript::{self, Transcribe},
};

/// Of a source that is denied.
const DENIED: Verdict = Verdict::dropped(Reason::Denied);

/// What was decided about a frame, and what the tracker said of it: [`Ruling::bits`], or 0.
///
/// [`Ruling::bits`]: tcpguard_common::conn::ruling::Ruling::bits
#[derive(Clone, Copy)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    /// Whether it is a SYN that is answered here, and goes no further.
    pub(crate) is_answered: bool,
    pub(crate) ruling: u32,
}

impl Judgement {
    /// Of a frame that is passed on or dropped.
    #[inline(always)]
    fn new(verdict: Verdict, ruling: u32) -> Self {
        Self {
            verdict,
            is_answered: false,
            ruling,
        }
    }

    /// As one number, which is never 0.
    #[inline(always)]
    fn bits(self) -> u64 {
        u64::from(self.ruling) << 32 | self.verdict.cell() as u64
    }

    /// From such a number.
    #[inline(always)]
    fn from_bits(bits: u64) -> Option<Self> {
        let verdict = Verdict::from_cell((bits & 0xff) as usize)?;
        Some(Self::new(verdict, (bits >> 32) as u32))
    }
}

/// What a hook's context has to be able to do.
pub(crate) trait Guarded:
    Admitting + Buffer + Cookied + Kept + Optioned + Parseable + Tracked + Transcribe
{
}

impl<C: Admitting + Buffer + Cookied + Kept + Optioned + Parseable + Tracked + Transcribe> Guarded
    for C
{
}

/// Judges a frame, counts it, and writes its judgement down if the loader asked for that.
///
/// The first look takes it for a plain segment whose length is known without a call, as nearly all are.
/// Whatever else there is, is found by a second look.
#[inline(always)]
pub(crate) fn guard<C: Guarded>(ctx: &C) -> Judgement {
    let place = Place::of(ctx);
    let seen = if config::is_special::<C>() {
        look_specially(ctx, place)
    } else {
        look::<C, false>(ctx, place)
    };
    let judgement = if let Some(judgement) = Judgement::from_bits(seen) {
        judgement
    } else {
        ctx.gather();
        look_again(ctx, place, seen == ABSENT)
    };
    transcript::write(ctx, place, judgement);
    judgement
}

/// [`look`] by a call where sources are listed, frames have no link layer or judgements are written down, so that
/// nobody else pays for asking.
#[inline(never)]
fn look_specially<C: Guarded>(ctx: &C, place: Place) -> u64 {
    look::<C, true>(ctx, place)
}

/// What [`look`] says of a plain segment without an entry: no verdict.
const ABSENT: u64 = 1 << 8;

/// Judges and counts a plain segment that is illegal by its flags, or of a connection that is plainly
/// going on; [`Judgement::bits`], [`ABSENT`], or 0 of any other frame.
///
/// Without calls, unless it is `SPECIAL` or of IPv6: each costs about as much as the parser (9 ns, AMD EPYC with
/// its returns guarded).
#[inline(always)]
fn look<C: Guarded, const SPECIAL: bool>(ctx: &C, place: Place) -> u64 {
    let seen = parsed::plain(
        ctx,
        link::<SPECIAL>(place),
        #[inline(always)]
        |cursor| {
            let segment = parse::plain4(cursor)?;
            Some(look_at::<_, _, SPECIAL>(ctx, place, &segment))
        },
        #[inline(always)]
        |_| Some(look6::<C, SPECIAL>(ctx, place)),
    );
    seen.unwrap_or_default()
}

/// [`look`] at a segment of IPv6. By a call, because its addresses take so much stack that the tracker would not
/// have enough.
#[inline(never)]
fn look6<C: Guarded, const SPECIAL: bool>(ctx: &C, place: Place) -> u64 {
    let seen = parsed::plain(
        ctx,
        link::<SPECIAL>(place),
        #[inline(always)]
        |_| None,
        #[inline(always)]
        |cursor| {
            let segment = parse::plain6(cursor)?;
            Some(look_at::<_, _, SPECIAL>(ctx, place, &segment))
        },
    );
    seen.unwrap_or_default()
}

/// What frames begin with; without asking, Ethernet.
#[inline(always)]
fn link<const SPECIAL: bool>(place: Place) -> Link {
    if SPECIAL {
        place.link()
    } else {
        Link::Ethernet
    }
}

#[inline(always)]
fn look_at<C: Guarded, I: Ends<Key: Tabled + Held> + Listed, const SPECIAL: bool>(
    ctx: &C,
    place: Place,
    segment: &Plain<I, TcpView>,
) -> u64 {
    let standing = if SPECIAL {
        admission::standing::<C>(segment.ip)
    } else {
        Standing::Unlisted
    };
    let flags = segment.tcp.flags();
    let illegal = judge_flags(flags);
    let objection = if illegal.is_drop() {
        illegal
    } else if matches!(standing, Standing::Denied) {
        DENIED
    } else {
        return accept::<C, _, SPECIAL>(ctx, place, segment, standing);
    };
    let verdict = config::policy::<C>().toward(standing).apply(objection);
    let judgement = Judgement::new(verdict, 0);
    if SPECIAL && !judgement.verdict.is_drop() {
        return 0;
    }
    report::segment(ctx, place, judgement, flags, ctx.known_octets());
    judgement.bits()
}

/// [`look_at`] a segment with legal flags.
#[inline(always)]
fn accept<C: Guarded, I: Ends<Key: Tabled + Held>, const SPECIAL: bool>(
    ctx: &C,
    place: Place,
    segment: &Plain<I, TcpView>,
    standing: Standing,
) -> u64 {
    let mut ruling = 0;
    if config::tracking() {
        let now = if SPECIAL { clock::now } else { clock::kernels };
        match flow::track_plain::<C, _>(segment, standing, now) {
            Course::Going(going) if SPECIAL => ruling = going.bits(),
            Course::Going(_) => {}
            Course::Absent => return ABSENT,
            Course::Unknown => return 0,
        }
    }
    report::accepted(place, segment.tcp.flags(), ctx.known_octets());
    Judgement::new(Verdict::ACCEPT, ruling).bits()
}

/// Judges and counts a frame that may be anything; the first look knows if it is a plain segment that has
/// no entry. By a call, because the tracker needs all of the stack that there is.
#[inline(never)]
fn look_again<C: Guarded>(ctx: &C, place: Place, is_absent: bool) -> Judgement {
    if is_absent && let Some(judgement) = look_at_stray(ctx, place) {
        return judgement;
    }
    look_at_anything(ctx, place)
}

/// Judges and counts a plain segment that belongs to no connection for certain.
#[inline(always)]
fn look_at_stray<C: Guarded>(ctx: &C, place: Place) -> Option<Judgement> {
    let parsed = Parsed::of::<C>()?;
    let bits = ctx.rule_stray(parsed);
    if bits == 0 {
        return None;
    }
    let policy = config::policy::<C>().toward(parsed.standing());
    let verdict = policy.apply(Ruling::from_trusted_bits(bits).verdict());
    let judgement = Judgement::new(verdict, bits);
    report::segment(ctx, place, judgement, parsed.flags(), ctx.known_octets());
    Some(judgement)
}

/// Judges and counts a frame that may be anything.
#[inline(always)]
fn look_at_anything<C: Guarded>(ctx: &C, place: Place) -> Judgement {
    let octets = ctx.octets();
    let Some(parsed) = Parsed::of::<C>() else {
        // The map has an entry for each hook.
        return frame_without_segment(ctx, place, Verdict::bypass(Bypass::Unreadable), octets);
    };
    if let Some(verdict) = parsed::whole(ctx, place.link(), parsed) {
        return frame_without_segment(ctx, place, verdict, octets);
    }
    let judgement = judge(ctx, parsed);
    report::segment(ctx, place, judgement, parsed.flags(), octets);
    judgement
}

#[inline(always)]
fn frame_without_segment<C: Guarded>(
    ctx: &C,
    place: Place,
    verdict: Verdict,
    octets: u32,
) -> Judgement {
    let judgement = Judgement::new(config::policy::<C>().apply(verdict), 0);
    report::frame(ctx, place, judgement, octets);
    judgement
}

/// Follows the connection of a frame that was judged and counted when it arrived.
///
/// As a rule its half has just been written, and this finds nothing new. But where addresses are
/// translated (NAT) it leaves as a segment of another connection, whose reply arrives under that name.
#[inline(always)]
pub(crate) fn follow<C: Guarded>(ctx: &C) {
    let link = Place::of(ctx).link();
    ctx.gather();
    if config::tracking()
        && let Some(parsed) = Parsed::of::<C>()
        && parsed::whole(ctx, link, parsed).is_none()
        && !judge_flags(parsed.flags()).is_drop()
    {
        report::event::<C>(flow::track(ctx, parsed, Voice::FORWARDED));
    }
}

/// By what stands in the segment alone, then by its source, then by its connection.
#[inline(always)]
fn judge<C: Guarded>(ctx: &C, parsed: &mut Parsed) -> Judgement {
    ctx.admit(parsed);
    if parsed.is_answered != 0 {
        return Judgement {
            is_answered: true,
            ..Judgement::new(Verdict::ACCEPT, 0)
        };
    }
    ctx.overhear(parsed);
    let mut verdict = judge_flags(parsed.flags());
    let mut ruling = 0;
    if is_tracked::<C>(parsed) {
        let ruled = flow::track(ctx, parsed, config::voice::<C>());
        report::event::<C>(ruled);
        C::weigh(ruled);
        verdict = ruled.verdict();
        ruling = ruled.bits();
    }
    if verdict.is_drop() {
        let policy = config::policy::<C>().toward(parsed.standing());
        verdict = policy.apply(verdict);
    }
    // Where it passes as if nothing were said of its source, that is counted; and what is only
    // objected to for another reason does not pass if its source may not.
    let denied = denied::<C>(parsed);
    if !verdict.is_drop()
        && (denied.is_drop() || verdict.reason().is_none() && denied.reason().is_some())
    {
        verdict = denied;
    }
    Judgement::new(verdict, ruling)
}

/// Whether the tracker is asked about a segment.
#[inline(always)]
pub(crate) fn is_tracked<C: Hooked>(parsed: &Parsed) -> bool {
    config::tracking() && !judge_flags(parsed.flags()).is_drop() && !denied::<C>(parsed).is_drop()
}

/// What becomes of a segment by its source alone.
#[inline(always)]
fn denied<C: Hooked>(parsed: &Parsed) -> Verdict {
    match parsed.standing() {
        Standing::Denied => config::policy::<C>().apply(DENIED),
        Standing::Unlisted | Standing::Trusted => Verdict::ACCEPT,
    }
}
