//! A connection as seen from the middle of the path: two half-connections, one per direction.
//!
//! Segments reach us late, twice, or not at all, so a state describes the *connection*, never an
//! endpoint. A segment writes only the half of its own direction, and the state is derived from both
//! halves, never stored; so the ingress and the egress hook need no lock between them, and nothing
//! can get out of step.
//!
//! ```text
//! entry?  no ->  admit: a SYN opens, all else is refused unless a witness knows the connection
//!         yes -> track: is it of this host, or spoofed? -> rst | syn | syn_ack | ack, by state
//! refused, and appealable -> appeal: what the witness says -> adopt
//! ```
//!
//! Read first: RFC 9293 sections 3.5 to 3.10, RFC 5961, and the comments of the kernel's
//! `net/netfilter/nf_conntrack_proto_tcp.c`. Nothing here does I/O, reads a clock or touches a map.

pub mod entry;
pub mod half;
pub mod ruling;
pub mod seen;
pub mod state;
pub mod time;
pub mod witness;

mod belief;
mod data;
mod handshake;
mod opening;
mod pair;
mod reset;
mod verified;
mod window;

pub use self::{entry::Conn, pair::Pair};
use self::{
    half::Marks,
    ruling::Ruling,
    seen::{Class, Seen},
    state::State,
    time::Ticks,
};
use crate::{flags::TcpFlags, flow::Way, reason::Reason, verdict::Verdict};

/// Decides about a segment of a connection that has an entry, and remembers what it said.
///
/// A segment that is dropped or ignored changes nothing.
#[inline(always)]
pub fn track(conn: &mut Conn, way: Way, seen: &Seen) -> Ruling {
    verified::track(conn, way, seen)
}

/// The same in a shorter way, if it is a segment as nearly all are: of a connection that is established, and
/// within its windows without a doubt. `None` says nothing about any other, and changes nothing.
#[inline(always)]
pub fn track_plain(conn: &mut Conn, way: Way, seen: &Seen) -> Option<Ruling> {
    let pair = Pair::of(conn, way);
    if !is_plain(&pair, seen) || !window::is_plainly_inside(pair.me, pair.other, seen) {
        return None;
    }
    let ruling = Ruling::new(Verdict::ACCEPT)
        .from(State::Established)
        .to(State::Established)
        .going(pair.direction());
    let scale = pair.me.scale;
    window::advance(pair.me, seen, scale);
    Some(ruling)
}

/// Whether a segment without an entry makes one.
#[inline(always)]
#[must_use]
pub fn opens(seen: &Seen) -> bool {
    opening::makes_entry(seen, seen.class())
}

/// Whether a SYN that finds this entry surely opens nothing: it is open, or being opened.
#[inline(always)]
#[must_use]
pub fn is_open(conn: &mut Conn, now: Ticks) -> bool {
    let pair = Pair::of(conn, Way::Up);
    let state = pair.state();
    !matches!(state, State::LastAck | State::TimeWait | State::Closed)
        && verified::is_live(&pair, state, now)
}

/// Whether a SYN that finds this entry, going `way`, may be answered with a cookie as if there were none: the
/// stack has no socket for it. None is open, none is left, and it was not this host that wanted to open one.
#[inline(always)]
#[must_use]
pub fn is_answerable(conn: &mut Conn, way: Way, now: Ticks) -> bool {
    let pair = Pair::of(conn, way);
    let state = pair.state();
    let is_its_own = matches!(state, State::SynSent | State::SynReceived)
        && pair.me.marks.contains(Marks::ORIGINAL);
    is_its_own || matches!(state, State::Closed) || !verified::is_live(&pair, state, now)
}

/// Decides about a segment that should carry a SYN cookie, and does not.
#[inline(always)]
pub fn forged() -> Ruling {
    Ruling::new(Verdict::dropped(Reason::CookieInvalid))
}

/// Decides about a segment without an entry that makes none.
#[inline(always)]
pub fn refuse(seen: &Seen) -> Ruling {
    opening::refuse(seen, seen.class())
}

/// Decides about the first segment of an entry, new or free to be used again, and makes the entry if
/// [`opens`] says so.
#[inline(always)]
pub fn first(conn: &mut Conn, way: Way, seen: &Seen) -> Ruling {
    verified::first(conn, way, seen)
}

/// Makes the entry one of a connection in whose middle the segment is.
#[inline(always)]
pub fn adopt(conn: &mut Conn, way: Way, seen: &Seen) -> Ruling {
    verified::adopt(conn, way, seen)
}

/// Whether it is a segment without SYN, FIN and RST of a connection that is established and live,
/// from whom this direction has been heard before: nearly all are.
#[inline(always)]
fn is_plain(pair: &Pair<'_>, seen: &Seen) -> bool {
    const CHECKED: Marks = Marks::HEARD
        .with(Marks::ACKED_SYN)
        .with(Marks::FIN)
        .with(Marks::RST)
        .with(Marks::LOCAL);
    const OPEN: Marks = Marks::HEARD.with(Marks::ACKED_SYN);
    let turns = TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::RST);
    pair.me.marks.common(CHECKED).bits() == OPEN.with(seen.speaker()).bits()
        && pair
            .other
            .marks
            .common(CHECKED.without(Marks::LOCAL))
            .bits()
            == OPEN.bits()
        && !seen.flags.intersects(turns)
        && seen.now.since(pair.me.seen) <= time::lifetime(State::Established)
}

/// As [`track`], of one kind of segment.
#[inline(always)]
fn judge_class(pair: &mut Pair<'_>, seen: &Seen, class: Class) -> Ruling {
    let before = pair.state();
    if !verified::is_live(pair, before, seen.now) {
        return opening::begin(pair, seen, class);
    }
    let loose = pair.is_loose();
    let (verdict, before) = if pair.me.marks.contains(Marks::LOCAL) && !seen.is_local() {
        // It claims to be what only this host can be: spoofed, or looped back.
        forget(Verdict::IGNORE, before)
    } else {
        forget(judge(pair, before, seen, class), before)
    };
    if seen.is_forwarded() && verdict.is_drop() {
        return Ruling::new(Verdict::IGNORE)
            .from(before)
            .to(before)
            .going(pair.direction());
    }
    if seen.is_believed() && belief::contradicts(pair, before, verdict, seen, class) {
        return belief::believe(pair, before, seen, class);
    }
    Ruling::new(verdict)
        .from(before)
        .to(pair.state())
        .going(pair.direction())
        .resynchronised_if(!loose && pair.is_loose() && matches!(class, Class::Ack))
        .appealable_if(is_appealable(before, verdict, class))
}

/// A verdict and a state as the verifier knows nothing of them.
#[inline(always)]
fn forget(verdict: Verdict, state: State) -> (Verdict, State) {
    let ruling = Ruling::new(verdict).from(state);
    let ruling = Ruling::from_trusted_bits(verified::conn_forget(ruling.bits()));
    (ruling.verdict(), ruling.before().unwrap_or(state))
}

#[inline(always)]
fn judge(pair: &mut Pair<'_>, before: State, seen: &Seen, class: Class) -> Verdict {
    match (class, before) {
        (Class::Rst, _) => reset::judge(pair, before, seen),
        (Class::Syn, _) => handshake::syn(pair, before, seen),
        (Class::SynAck, _) => handshake::syn_ack(pair, before, seen),
        (Class::Ack, State::SynSent | State::SynSent2 | State::SynReceived) => {
            handshake::ack(pair, before, seen)
        }
        // The other side has sent its FIN before this one acknowledged its SYN.
        (Class::Ack, State::FinWait | State::CloseWait | State::LastAck)
            if !pair.me.marks.contains(Marks::ACKED_SYN) =>
        {
            handshake::ack(pair, before, seen)
        }
        (Class::Ack, State::Established | State::FinWait | State::CloseWait | State::LastAck) => {
            data::judge(pair, seen)
        }
        (Class::Ack, State::TimeWait | State::Closed) => data::late(pair, before, seen),
    }
}

/// Whether an entry that a segment does not fit to may be the wrong one: made by a SYN that somebody
/// else sent, or closed by a reset that its receiver did not take; or the SYN was answered twice, with a
/// cookie that is another one each minute.
#[inline(always)]
fn is_appealable(before: State, verdict: Verdict, class: Class) -> bool {
    verdict.is_drop()
        && matches!(before, State::SynSent | State::SynReceived | State::Closed)
        && matches!(class, Class::Ack)
}

#[cfg(test)]
mod tests {
    use super::{half::Half, seen::Voice, *};
    use crate::seq::SeqNum;

    /// Numbers of both halves, bits of their windows and scales, and marks.
    type Halves = [([u32; 3], [u8; 2], u16); 2];
    /// Numbers of a segment, its length and window, flags and voice, and how much later it is.
    type Said = ([u32; 3], u16, u8, u8);

    /// Numbers near each other, or anywhere.
    fn near(numbers: [u32; 3], shift: u8) -> [u32; 3] {
        numbers.map(|number| {
            number
                .cast_signed()
                .wrapping_shr(shift.into())
                .cast_unsigned()
        })
    }

    #[test]
    fn the_shorter_way_leads_to_the_same() {
        type Input = (u8, Halves, Said);
        bolero::check!()
            .with_type()
            .for_each(|(shift, halves, said): &Input| {
                let half = |(numbers, [bits, scale], marks): &([u32; 3], [u8; 2], u16)| {
                    let [isn, end, ack] = near(*numbers, *shift).map(SeqNum);
                    Half {
                        isn,
                        end,
                        ack,
                        window: 1 << (bits % 31),
                        seen: Ticks(1000),
                        marks: Marks::from_bits(u32::from(*marks))
                            .with(Marks::HEARD)
                            .with(Marks::ACKED_SYN),
                        scale: scale % 15,
                        wraps: 0,
                    }
                };
                let before = Conn {
                    created: Ticks(1000),
                    halves: halves.each_ref().map(half),
                };
                let (numbers, window, bits, later) = *said;
                let [seq, ack, sacked] = near(numbers, *shift);
                let seen = Seen {
                    seq: SeqNum(seq),
                    ack: SeqNum(ack),
                    // Never before what is acknowledged otherwise.
                    sacked: SeqNum(ack).plus(u32::from(bits & 1) * (sacked >> 1)),
                    payload_len: window.into(),
                    now: Ticks(1000 + u32::from(later)),
                    window,
                    flags: TcpFlags::ACK,
                    voice: Voice::from_number(bits >> 1 & 3),
                    ..Seen::NOTHING
                };
                let (mut short, mut long) = (before, before);
                if let Some(ruling) = track_plain(&mut short, Way::Up, &seen) {
                    assert_eq!(ruling, track(&mut long, Way::Up, &seen));
                    assert_eq!(short, long);
                }
            });
    }

    /// As of another CPU whose clock has ticked since this one looked at it, in the middle of a segment.
    #[test]
    fn a_connection_that_was_heard_a_tick_ahead_is_not_forgotten() {
        let half = Half {
            isn: SeqNum(0),
            end: SeqNum(1),
            ack: SeqNum(1),
            window: 65_535,
            seen: Ticks(1000),
            marks: Marks::HEARD.with(Marks::ACKED_SYN),
            ..Half::SILENT
        };
        let mut conn = Conn {
            created: Ticks(900),
            halves: [half; 2],
        };
        let now = Ticks(999);
        assert_eq!(conn.state(), State::Established);
        assert!(conn.is_live(now));
        assert_eq!(conn.readiness(now), 0);
        let seen = Seen {
            seq: SeqNum(1),
            ack: SeqNum(1),
            sacked: SeqNum(1),
            now,
            flags: TcpFlags::ACK,
            ..Seen::NOTHING
        };
        assert_eq!(track(&mut conn, Way::Up, &seen).verdict(), Verdict::ACCEPT);
    }
}
