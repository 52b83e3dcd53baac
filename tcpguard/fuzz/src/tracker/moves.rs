//! Segments as octets stand for them: chosen so that they meet what a tracker looks at.

use tcpguard_common::{
    conn::{
        half::{Half, Marks},
        seen::{Seen, Voice},
        state::State,
        time::{ONE_SIDED, QUIET, Ticks, lifetime},
        witness::{self, Plea},
    },
    flags::TcpFlags,
    reason::Reason,
    seq::SeqNum,
    verdict::Verdict,
};

/// Octets of a move.
const LEN: usize = 16;

/// A segment in terms of what its connection has said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) connection: u8,
    /// Which of the two ends speaks.
    pub(super) side: usize,
    /// Ticks since the last one.
    pub(super) later: u32,
    flags: TcpFlags,
    seq: Number,
    ack: Number,
    /// Octets that SACK reports ahead of the acknowledgment.
    sacked: u32,
    payload_len: u32,
    window: u16,
    scale: u8,
    voice: Voice,
    opening: u16,
    plea: Option<Plea>,
}

/// A sequence number, so far from one of six that mean something.
#[derive(Clone, Copy, Debug)]
struct Number {
    from: u8,
    offset: i16,
}

/// The moves that these octets stand for.
pub(super) fn read(octets: &[u8]) -> impl Iterator<Item = Move> {
    let (moves, _) = octets.as_chunks::<LEN>();
    moves.iter().map(Move::read)
}

/// Legal sets of flags, most of them with more than one to a class.
const FLAGS: [TcpFlags; 8] = [
    TcpFlags::SYN,
    TcpFlags::SYN.with(TcpFlags::ACK),
    TcpFlags::ACK,
    TcpFlags::ACK.with(TcpFlags::PSH),
    TcpFlags::FIN.with(TcpFlags::ACK),
    TcpFlags::RST,
    TcpFlags::RST.with(TcpFlags::ACK),
    TcpFlags::ACK.with(TcpFlags::URG),
];

const VOICES: [Voice; 8] = [
    Voice::FOREIGN,
    Voice::FOREIGN,
    Voice::FOREIGN,
    Voice::FOREIGN.learning(),
    Voice::LOCAL,
    Voice::LOCAL.learning(),
    Voice::LONE,
    Voice::FORWARDED,
];

/// What a witness says, or what is learned without one.
const PLEAS: [Option<Plea>; 8] = [
    Some(Plea::Refuse),
    Some(Plea::Refuse),
    Some(Plea::Refuse),
    Some(Plea::Adopt),
    Some(Plea::Ignore),
    Some(Plea::Prove),
    Some(Plea::Forged),
    None,
];

/// What SACK reports, far less than a window and as much as the largest one.
const SACKED: [u32; 4] = [0, 1, 3000, 1 << 30];

impl Move {
    fn read(octets: &[u8; LEN]) -> Self {
        let [
            connection,
            who,
            pause,
            bases,
            seq_low,
            seq_high,
            ack_low,
            ack_high,
            len_low,
            len_high,
            window_low,
            window_high,
            kind,
            scale,
            witness,
            sacked,
        ] = *octets;
        let offset = |low, high| i16::from_le_bytes([low, high]);
        Self {
            connection,
            side: usize::from(who & 1),
            later: pause_of(pause),
            flags: one_of(FLAGS, kind),
            seq: Number {
                from: bases & 0xf,
                offset: offset(seq_low, seq_high),
            },
            ack: Number {
                from: bases >> 4,
                offset: offset(ack_low, ack_high),
            },
            sacked: one_of(SACKED, sacked),
            payload_len: u16::from_le_bytes([len_low, len_high]).into(),
            window: u16::from_le_bytes([window_low, window_high]),
            scale: if scale <= 14 { scale } else { Seen::NO_SCALE },
            voice: one_of(VOICES, who >> 1),
            opening: one_of(openings(), witness >> 4),
            plea: one_of(PLEAS, witness),
        }
    }

    /// As the tracker sees it: in the name of one half to another, which begin at these numbers unless they
    /// have begun elsewhere.
    pub(super) fn seen(&self, me: &Half, other: &Half, origins: [u32; 2], now: Ticks) -> Seen {
        let [mine, theirs] = origins;
        let seq = self.seq.of([
            end(me, mine),
            ack(other, mine),
            ack(other, mine).wrapping_add(other.window),
            isn(me, mine),
            mine,
            end(me, mine).wrapping_add(1 << 31),
        ]);
        let ack = self.ack.of([
            end(other, theirs),
            ack(me, theirs),
            end(other, theirs).wrapping_sub(me.window),
            isn(other, theirs),
            theirs,
            end(other, theirs).wrapping_add(1 << 31),
        ]);
        let syn = self.flags.contains(TcpFlags::SYN);
        Seen {
            seq: SeqNum(seq),
            ack: SeqNum(ack),
            sacked: SeqNum(ack).plus(if syn { 0 } else { self.sacked }),
            payload_len: self.payload_len,
            now,
            window: self.window,
            flags: self.flags,
            scale: if syn { self.scale } else { Seen::NO_SCALE },
            voice: self.voice,
            opening: self.opening,
        }
    }

    /// What becomes of it on appeal.
    pub(super) fn plea(&self, seen: &Seen) -> Plea {
        self.plea.unwrap_or_else(|| witness::learn(seen))
    }

    /// Whether it is anybody's, and has to fit.
    pub(super) fn is_foreign(&self) -> bool {
        self.voice == Voice::FOREIGN
    }
}

impl Number {
    fn of<const N: usize>(self, meanings: [u32; N]) -> u32 {
        one_of(meanings, self.from).wrapping_add_signed(self.offset.into())
    }
}

fn one_of<T: Copy, const N: usize>(all: [T; N], number: u8) -> T {
    all[usize::from(number) % N]
}

/// A cell for each thing that may become of a SYN that opens a connection.
fn openings() -> [u16; 4] {
    let cell = |verdict: Verdict| u16::try_from(verdict.cell()).expect("fewer than 256 cells");
    let closed = Reason::InboundClosed;
    [
        0,
        0,
        cell(Verdict::would_drop(closed)),
        cell(Verdict::dropped(closed)),
    ]
}

/// None as a rule, a little, or one of those that something hangs on, and one tick more.
fn pause_of(number: u8) -> u32 {
    let lifetimes = State::ALL.map(lifetime);
    let limits = lifetimes.into_iter().chain([QUIET, ONE_SIDED]);
    let limits = limits.flat_map(|limit| [limit, limit + 1]);
    match number {
        0..128 => 0,
        128..200 => u32::from(number - 127),
        200.. => {
            let mut limits = limits.cycle().skip(usize::from(number - 200));
            limits.next().unwrap_or_default()
        }
    }
}

/// Where a direction stands; of one that has said nothing, where it will begin.
fn end(half: &Half, origin: u32) -> u32 {
    if half.marks == Marks::NONE {
        origin
    } else {
        half.end.0
    }
}

fn isn(half: &Half, origin: u32) -> u32 {
    if half.marks == Marks::NONE {
        origin
    } else {
        half.isn.0
    }
}

/// What a direction waits for; where it has acknowledged nothing, where the other one will begin.
fn ack(half: &Half, origin: u32) -> u32 {
    if half.marks.contains(Marks::ACKED_SYN) {
        half.ack.0
    } else {
        origin
    }
}
