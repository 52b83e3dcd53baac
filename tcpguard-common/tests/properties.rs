//! What holds for every frame, not only for those that somebody thought of.
//!
//! `cargo test` draws a few thousand inputs. Each test is a fuzz target as well, which runs for as
//! long as it is let: `cargo bolero test --package tcpguard-common judge_answers_whatever_comes`.

use bolero::TypeGenerator;
use tcpguard_common::{
    counters::Counters,
    craft::TcpFrame,
    cursor::SliceCursor,
    flags::TcpFlags,
    judge::{Outcome, judge},
    parse::Link,
    policy::Policy,
    reason::Reason,
    verdict::{Verdict, VerdictKind},
};

/// Octets as they come, or a good frame with some octets replaced: chance alone does not find the
/// way to a TCP header.
#[derive(Clone, Debug, TypeGenerator)]
enum Octets {
    Any(Vec<u8>),
    Mutated {
        ipv6: bool,
        tagged: bool,
        changes: Vec<(u8, u8)>,
        len: u8,
    },
}

impl Octets {
    fn build(&self) -> Vec<u8> {
        match self {
            Self::Any(octets) => octets.clone(),
            Self::Mutated {
                ipv6,
                tagged,
                changes,
                len,
            } => {
                let base = if *ipv6 {
                    TcpFrame::ipv6()
                } else {
                    TcpFrame::ipv4()
                };
                let tags: &[(u16, u16)] = if *tagged { &[(0x8100, 7)] } else { &[] };
                let mut octets = base.with_tags(tags).build();
                for (at, octet) in changes {
                    let at = usize::from(*at) % octets.len();
                    octets[at] = *octet;
                }
                octets.truncate(usize::from(*len).max(14));
                octets
            }
        }
    }
}

/// A segment with everything that may stand in it.
#[derive(Clone, Debug, TypeGenerator)]
struct Content {
    ipv6: bool,
    ports: (u16, u16),
    seq: u32,
    ack: u32,
    window: u16,
    option_words: u8,
    payload: Vec<u8>,
    flags: u16,
}

impl Content {
    fn frame(&self) -> TcpFrame {
        let base = if self.ipv6 {
            TcpFrame::ipv6()
        } else {
            TcpFrame::ipv4()
        };
        TcpFrame {
            ports: (self.ports.0.max(1), self.ports.1.max(1)),
            seq: self.seq,
            ack: self.ack,
            window: self.window,
            options: vec![1; 4 * usize::from(self.option_words % 11)],
            payload: self.payload.clone(),
            ..base.with_flags(TcpFlags::new(self.flags))
        }
    }
}

fn link(raw: bool) -> Link {
    if raw { Link::RawIp } else { Link::Ethernet }
}

fn judged(frame: &TcpFrame) -> Outcome {
    judge(&mut SliceCursor::new(&frame.build()), frame.link)
}

#[test]
fn judge_answers_whatever_comes() {
    bolero::check!()
        .with_type()
        .for_each(|(octets, raw, wire_len): &(Octets, bool, u32)| {
            let octets = octets.build();
            let whole = judge(&mut SliceCursor::new(&octets), link(*raw));
            assert!(Verdict::from_cell(whole.verdict.cell()).is_some());
            let cut = judge(&mut SliceCursor::captured(&octets, *wire_len), link(*raw));
            assert!(Verdict::from_cell(cut.verdict.cell()).is_some());
        });
}

#[test]
fn what_lies_behind_a_frame_is_not_read() {
    bolero::check!()
        .with_type()
        .for_each(|(octets, raw, behind): &(Octets, bool, Vec<u8>)| {
            let octets = octets.build();
            let memory = [octets.as_slice(), behind].concat();
            let alone = judge(&mut SliceCursor::new(&octets), link(*raw));
            let surrounded = judge(&mut SliceCursor::new(&memory[..octets.len()]), link(*raw));
            assert_eq!(alone.verdict, surrounded.verdict);
            assert_eq!(alone.segment, surrounded.segment);
        });
}

#[test]
fn a_cut_frame_is_never_found_other_than_the_whole_one() {
    bolero::check!()
        .with_type()
        .for_each(|(octets, raw, kept): &(Octets, bool, u8)| {
            let octets = octets.build();
            let kept = usize::from(*kept).min(octets.len());
            let wire_len = u32::try_from(octets.len()).unwrap();
            let whole = judge(&mut SliceCursor::new(&octets), link(*raw));
            let cut = judge(
                &mut SliceCursor::captured(&octets[..kept], wire_len),
                link(*raw),
            );
            // It may be passed for want of headers, and else it is the same.
            let same = cut.verdict == whole.verdict && cut.segment == whole.segment;
            assert!(
                same || cut.verdict.cause() == "unreadable",
                "{whole:?} {cut:?}"
            );
        });
}

#[test]
fn padding_is_no_matter() {
    bolero::check!()
        .with_type()
        .for_each(|(content, padding): &(Content, u8)| {
            let frame = content.frame();
            let padded = TcpFrame {
                padding: usize::from(*padding),
                ..frame.clone()
            };
            assert_eq!(judged(&frame), judged(&padded));
        });
}

#[test]
fn a_segment_is_read_as_it_was_written() {
    bolero::check!().with_type().for_each(|content: &Content| {
        let frame = content.frame();
        let outcome = judged(&frame);
        let segment = outcome.segment.expect("a crafted frame gives a segment");
        assert_eq!((segment.source_port, segment.destination_port), frame.ports);
        assert_eq!((segment.seq.0, segment.ack.0), (frame.seq, frame.ack));
        assert_eq!((segment.window, segment.flags), (frame.window, frame.flags));
        assert_eq!(segment.payload_len as usize, frame.payload.len());
    });
}

#[test]
fn the_verdict_hangs_on_five_flags_alone() {
    bolero::check!()
        .with_type()
        .for_each(|(content, masked): &(Content, u16)| {
            let plain = TcpFrame::ipv4().with_flags(TcpFlags::new(content.flags & 0x037));
            let adorned = Content {
                flags: content.flags & 0x037 | masked & 0x1c8,
                ..content.clone()
            };
            assert_eq!(judged(&adorned.frame()).verdict, judged(&plain).verdict);
        });
}

#[test]
fn a_frame_is_counted_in_one_cell() {
    bolero::check!()
        .with_type()
        .for_each(|(octets, raw): &(Octets, bool)| {
            let octets = octets.build();
            let len = u32::try_from(octets.len()).unwrap();
            let outcome = judge(&mut SliceCursor::new(&octets), link(*raw));
            let mut counters = Counters::ZERO;
            counters.count(&outcome, len);
            let tally = counters.tally(outcome.verdict);
            assert_eq!((tally.packets, tally.bytes), (1, len.into()));
            assert_eq!(
                counters.tallies().map(|tally| tally.packets).sum::<u64>(),
                1
            );
            let segments = u64::from(outcome.segment.is_some());
            assert_eq!(counters.flags.iter().sum::<u64>(), segments);
        });
}

#[test]
fn observing_drops_nothing_and_counts_what_enforcing_drops() {
    bolero::check!()
        .with_type()
        .for_each(|(octets, raw): &(Octets, bool)| {
            let octets = octets.build();
            let outcome = judge(&mut SliceCursor::new(&octets), link(*raw));
            let enforced = outcome.under(&Policy::ENFORCE);
            let observed = outcome.under(&Policy::OBSERVE);
            assert!(!observed.verdict.is_drop());
            assert_eq!(enforced.verdict, outcome.verdict);
            assert_eq!(observed.verdict.reason(), enforced.verdict.reason());
            assert_eq!(
                enforced.verdict.is_drop(),
                observed.verdict.kind() == VerdictKind::WouldDrop
            );
            let off = Policy {
                drop: Policy::OBSERVE.drop,
                observe: Policy::OBSERVE.drop,
            };
            assert_eq!(outcome.under(&off).verdict.reason(), None::<Reason>);
        });
}
