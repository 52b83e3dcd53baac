//! Writing single judgements down: for a replay, and for the debug log.
//!
//! Both are off in a guard at work. They read the frame once more in functions of their own, so that
//! the path of every packet carries nothing for them but a constant that the verifier removes.

#![expect(
    unsafe_code,
    reason = "global functions have plain names; memory comes as raw pointers"
)]

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    programs::{TcContext, XdpContext},
};
use tcpguard_common::{
    abi::{Adjudication, Transcript},
    parse::Link,
    verdict::Verdict,
};

use crate::{
    config::{self, Hooked},
    guard::Judgement,
    maps::ADJUDICATION,
    parsed::{self, Parseable, Parsed},
    report::Place,
};

/// A context whose judgements can be written down, by this hook's global function.
pub(crate) trait Transcribe {
    /// Reads the frame once more and writes its judgement down.
    fn transcribe(&self, raw_ip: u32, cell: u32, ruling: u32);
}

impl Transcribe for XdpContext {
    #[inline(always)]
    fn transcribe(&self, raw_ip: u32, cell: u32, ruling: u32) {
        transcribe_ingress(self.ctx, raw_ip, cell, ruling);
    }
}

impl Transcribe for TcContext {
    #[inline(always)]
    fn transcribe(&self, raw_ip: u32, cell: u32, ruling: u32) {
        transcribe_egress(self.skb.skb, raw_ip, cell, ruling);
    }
}

/// Whether judgements are written down.
#[inline(always)]
pub(crate) fn is_wanted() -> bool {
    config::transcript() != Transcript::Off as u32
}

/// Writes a judgement down if the loader asked for that.
#[inline(always)]
pub(crate) fn write(ctx: &impl Transcribe, place: Place, judgement: Judgement) {
    if is_wanted() {
        ctx.transcribe(
            place.raw_ip(),
            judgement.verdict.cell() as u32,
            judgement.ruling,
        );
    }
}

// Global functions, which the verifier checks once and by themselves; within the programs it would
// check them anew for each way through the parser, and give up. So they take a context and numbers,
// or memory of a known size, and have names that are not mangled (run on Linux 6.18).

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn transcribe_ingress(ctx: *mut xdp_md, raw_ip: u32, cell: u32, ruling: u32) -> u32 {
    transcribe(&XdpContext::new(ctx), raw_ip, cell, ruling)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn transcribe_egress(ctx: *mut __sk_buff, raw_ip: u32, cell: u32, ruling: u32) -> u32 {
    transcribe(&TcContext::new(ctx), raw_ip, cell, ruling)
}

/// What a debug record tells of a frame that was objected to.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Record {
    cell: u32,
    /// 4, 6, or 0 of a frame without a whole TCP header.
    version: u32,
    source: [u32; 4],
    destination: [u32; 4],
    ports: [u32; 2],
}

/// Reads the frame once more and writes down what was decided about it. Always 0: the verifier wants
/// a global function to return a number.
#[inline(always)]
fn transcribe<C: Hooked + Parseable>(ctx: &C, raw_ip: u32, cell: u32, ruling: u32) -> u32 {
    const ADJUDICATE: u32 = Transcript::Adjudicate as u32;
    const LOG: u32 = Transcript::Log as u32;
    let (Some(verdict), Some(parsed)) = (Verdict::from_cell(cell as usize), Parsed::of::<C>())
    else {
        return 0;
    };
    let _ = parsed::whole(ctx, Link::from_raw_ip(raw_ip), parsed);
    match config::transcript() {
        ADJUDICATE => adjudicate(verdict, parsed, ruling),
        LOG if verdict.reason().is_some() => {
            log_record(&record(cell, parsed));
        }
        _ => {}
    }
    0
}

/// Leaves the judgement where the host reads it after the run.
#[inline(always)]
fn adjudicate(verdict: Verdict, parsed: &Parsed, ruling: u32) {
    let segment = parsed.segment();
    let judgement = if parsed.version == 0 {
        Adjudication::new(verdict, None, 0)
    } else {
        Adjudication::new(verdict, Some(&segment), ruling)
    };
    if let Some(last) = ADJUDICATION.get_ptr_mut(0) {
        // SAFETY: the pointer is valid for the run of the program; a replay runs one at a time.
        unsafe {
            *last = judgement;
        }
    }
}

#[inline(always)]
fn record(cell: u32, parsed: &Parsed) -> Record {
    let [source, destination] = if parsed.version == 4 {
        parsed.ends4().map(|address| [address, 0, 0, 0])
    } else {
        parsed.ends6()
    };
    Record {
        cell,
        version: u32::from(parsed.version),
        source,
        destination,
        ports: parsed.ports().map(u32::from),
    }
}

/// Without aya-log there is nowhere to write.
#[cfg(not(feature = "log"))]
#[inline(always)]
fn log_record(_record: &Record) {}

/// Writes a debug record that begins with the verdict's number: of its name, copied by a length that
/// depends on it, the verifier would check every one anew. The loader puts the name there. Always 0.
#[cfg(feature = "log")]
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn log_record(record: *const Record) -> u32 {
    use aya_log_ebpf::debug;

    // SAFETY: the verifier lets a caller pass memory of this size or null, which is tested.
    let Some(record) = (unsafe { record.as_ref() }) else {
        return 0;
    };
    let [from, to] = record.ports;
    let (source, destination) = (record.source, record.destination);
    match record.version {
        4 => debug!(
            (),
            "{} {:i}:{} > {:i}:{}", record.cell, source[0], from, destination[0], to
        ),
        6 => debug!(
            (),
            "{} [{:i}]:{} > [{:i}]:{}",
            record.cell,
            octets(source),
            from,
            octets(destination),
            to
        ),
        _ => debug!((), "{} no whole TCP header", record.cell),
    }
    0
}

/// An IPv6 address as the log formats it.
#[cfg(feature = "log")]
#[inline(always)]
fn octets(words: [u32; 4]) -> [u8; 16] {
    let [a, b, c, d] = words.map(u32::to_ne_bytes);
    [
        a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c[0], c[1], c[2], c[3], d[0], d[1], d[2],
        d[3],
    ]
}
