//! What holds for every frame, not only for those that somebody thought of.
//!
//! `cargo test` draws a few thousand inputs; `cargo xtask fuzz parser` searches for others for as long as it
//! is let.

mod frame;

use bolero::TypeGenerator;
use tcpguard_common::{craft::TcpFrame, flags::TcpFlags, judge::Outcome, parse::Link};

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

fn judged(written: &TcpFrame) -> Outcome {
    frame::whole(&written.build(), written.link)
}

#[test]
fn judge_answers_whatever_comes() {
    bolero::check!()
        .with_type()
        .for_each(|(octets, raw, wire_len): &(Octets, bool, u32)| {
            frame::is_answered(&octets.build(), link(*raw), *wire_len);
        });
}

#[test]
fn what_lies_behind_a_frame_is_not_read() {
    bolero::check!()
        .with_type()
        .for_each(|(octets, raw, behind): &(Octets, bool, Vec<u8>)| {
            frame::is_read_alone(&octets.build(), link(*raw), behind);
        });
}

#[test]
fn a_cut_frame_is_never_found_other_than_the_whole_one() {
    bolero::check!()
        .with_type()
        .for_each(|(octets, raw, kept): &(Octets, bool, u8)| {
            frame::is_no_other_if_cut(&octets.build(), link(*raw), usize::from(*kept));
        });
}

#[test]
fn the_short_way_finds_the_segment_that_the_parser_finds() {
    bolero::check!()
        .with_type()
        .for_each(|(octets, raw): &(Octets, bool)| {
            frame::is_plainly_the_same(&octets.build(), link(*raw));
        });
}

#[test]
fn what_is_written_of_a_segment_is_that_segment() {
    bolero::check!()
        .with_type()
        .for_each(|(octets, raw): &(Octets, bool)| {
            frame::is_read_as_it_is_written(&octets.build(), link(*raw));
        });
}

#[test]
fn options_say_what_they_can() {
    bolero::check!()
        .with_type()
        .for_each(|(octets, raw): &(Octets, bool)| {
            frame::is_read_with_options(&octets.build(), link(*raw));
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
            frame::is_counted_once(&octets.build(), link(*raw));
        });
}

#[test]
fn observing_drops_nothing_and_counts_what_enforcing_drops() {
    bolero::check!()
        .with_type()
        .for_each(|(octets, raw): &(Octets, bool)| {
            frame::is_softened_by_policy(&octets.build(), link(*raw));
        });
}
