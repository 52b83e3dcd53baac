//! Writing single judgements down: for a replay, and for the debug log.
//!
//! Both are off in a guard at work. They read the frame once more in functions of their own, so that
//! the path of every packet carries nothing for them but a constant that the verifier removes.

use aya_ebpf::EbpfContext;
use tcpguard_common::{
    abi::{Adjudication, Transcript},
    parse::{Link, parse},
    segment::Segment,
    verdict::Verdict,
};

use crate::{
    config,
    maps::ADJUDICATION,
    packet::{Buffer, Packet},
};

/// Writes a judgement down if the loader asked for that.
#[inline(always)]
pub(crate) fn write<C: Buffer + EbpfContext>(ctx: &C, link: Link, verdict: Verdict) {
    const ADJUDICATE: u32 = Transcript::Adjudicate as u32;
    const LOG: u32 = Transcript::Log as u32;
    match config::transcript() {
        ADJUDICATE => adjudicate(ctx, link, verdict),
        LOG if verdict.reason().is_some() => log(ctx, link, verdict),
        _ => {}
    }
}

/// Leaves the judgement where the host reads it after the run.
#[inline(never)]
fn adjudicate(ctx: &impl Buffer, link: Link, verdict: Verdict) {
    let mut segment = Segment::EMPTY;
    let parsed = parse(&mut Packet::new(ctx), link, &mut segment).is_ok();
    if let Some(last) = ADJUDICATION.get_ptr_mut(0) {
        #[expect(unsafe_code, reason = "map values are reached through raw pointers")]
        // SAFETY: the pointer is valid for the run of the program; a replay runs one at a time.
        unsafe {
            *last = Adjudication::new(verdict, parsed.then_some(&segment));
        }
    }
}

/// Without aya-log there is nowhere to write.
#[cfg(not(feature = "log"))]
fn log(_ctx: &impl Buffer, _link: Link, _verdict: Verdict) {}

/// A debug record of a segment that was objected to.
#[cfg(feature = "log")]
#[inline(never)]
fn log(ctx: &(impl Buffer + EbpfContext), link: Link, verdict: Verdict) {
    use aya_log_ebpf::debug;
    use tcpguard_common::segment::Addresses;

    let Some(reason) = verdict.reason() else {
        return;
    };
    let mut segment = Segment::EMPTY;
    if parse(&mut Packet::new(ctx), link, &mut segment).is_err() {
        debug!(ctx, "{}: no whole TCP header", reason.as_str());
        return;
    }
    let (from, to) = (segment.source_port, segment.destination_port);
    match segment.addresses {
        Addresses::V4 {
            source,
            destination,
        } => {
            debug!(
                ctx,
                "{}: {:i}:{} > {:i}:{}",
                reason.as_str(),
                source,
                from,
                destination,
                to
            );
        }
        Addresses::V6 {
            source,
            destination,
        } => debug!(
            ctx,
            "{}: {:i}.{} > {:i}.{}",
            reason.as_str(),
            octets(source),
            from,
            octets(destination),
            to
        ),
    }
}

/// An address as the log formats it.
#[cfg(feature = "log")]
#[inline(always)]
fn octets(words: [u32; 4]) -> [u8; 16] {
    let [a, b, c, d] = words.map(u32::to_ne_bytes);
    [
        a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c[0], c[1], c[2], c[3], d[0], d[1], d[2],
        d[3],
    ]
}
