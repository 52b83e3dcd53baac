//! For programs: one object a segment, with the keys of `replay --json` first, and a summary.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::value::RawValue;
use tcpguard_common::conn::{ruling::Ruling, state::State};

use super::{
    conversation::{Conversation, Row},
    mark::Mark,
};
use crate::replay::output::{FrameObject, NONE, Seconds};

#[derive(Serialize)]
struct RowObject<'a> {
    #[serde(flatten)]
    frame: FrameObject<'a>,
    /// Numbers from each side's SYN on; `null` where there is none.
    rel_seq: u32,
    rel_ack: Option<u32>,
    expected_ack: Option<u32>,
    next_ack: Option<u32>,
    marks: Vec<&'static str>,
    adopted: bool,
    resync: bool,
}

#[derive(Serialize)]
struct SummaryObject<T> {
    summary: T,
}

#[derive(Serialize)]
struct ConversationObject {
    number: u64,
    conn: String,
    frames: u64,
    octets: OctetsObject,
    dropped: u64,
    state: &'static str,
}

#[derive(Serialize)]
struct OctetsObject {
    orig: u64,
    reply: u64,
}

#[derive(Serialize)]
struct ListObject {
    connections: usize,
    frames: u64,
    dropped: u64,
}

/// The segments of a connection, and what it came to.
pub(super) fn conversation(
    out: &mut impl Write,
    shown: &Conversation,
    rows: &[Row],
) -> io::Result<()> {
    for row in rows {
        let ts = RawValue::from_string(Seconds(row.line.time).to_string())?;
        let reckoning = &row.reckoning;
        let is = |what: fn(Ruling) -> bool| row.line.ruling.is_some_and(what);
        let object = RowObject {
            frame: FrameObject::new(&row.line, &ts),
            rel_seq: reckoning.seq,
            rel_ack: reckoning.ack,
            expected_ack: reckoning.expected_ack.map(|ack| ack.0),
            next_ack: reckoning.next_ack.map(|(ack, _)| ack.0),
            marks: reckoning.marks.iter().copied().map(Mark::as_str).collect(),
            adopted: is(Ruling::is_adopted),
            resync: is(Ruling::is_resync),
        };
        print(out, &object)?;
    }
    let summary = object(shown);
    print(out, &SummaryObject { summary })
}

/// Every connection, and what they come to together.
pub(super) fn list(out: &mut impl Write, list: &[Conversation]) -> io::Result<()> {
    for conversation in list {
        print(out, &object(conversation))?;
    }
    let summary = ListObject {
        connections: list.len(),
        frames: list.iter().map(|it| it.frames).sum(),
        dropped: list.iter().map(|it| it.dropped).sum(),
    };
    print(out, &SummaryObject { summary })
}

fn object(conversation: &Conversation) -> ConversationObject {
    let [one, two] = conversation.ends;
    let [orig, reply] = conversation.octets;
    ConversationObject {
        number: conversation.number,
        conn: format!("{one}>{two}"),
        frames: conversation.frames,
        octets: OctetsObject { orig, reply },
        dropped: conversation.dropped,
        state: conversation.state.map_or(NONE, State::as_str),
    }
}

fn print(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}
