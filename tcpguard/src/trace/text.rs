//! For people: a table without addresses, which stand above it.

use std::io::{self, Write};

use tcpguard_common::{conn::state::State, seq::SeqNum, verdict::VerdictKind};

use super::conversation::{Conversation, Row};
use crate::replay::output::{NONE, fate, since};

/// The segments of a connection, and what it came to.
pub(super) fn conversation(
    out: &mut impl Write,
    shown: &Conversation,
    rows: &[Row],
) -> io::Result<()> {
    let [one, two] = shown.ends;
    writeln!(out, "{one} --> {two}\n")?;
    writeln!(
        out,
        "frame       time dir flags     seq (absolute)     ack (absolute)   len    next  state"
    )?;
    let Some(first) = rows.first() else {
        return Ok(());
    };
    for row in rows {
        let line = cells(shown, row, &since(first.line.time, row.line.time));
        writeln!(out, "{}", line.trim_end())?;
    }
    let [forth, back] = shown.octets;
    writeln!(
        out,
        "\n{} frames, {forth} octets -->, {back} octets <--, {} dropped, at the end {}",
        shown.frames,
        shown.dropped,
        shown.state.map_or("no connection", State::as_str),
    )
}

fn cells(shown: &Conversation, row: &Row, time: &str) -> String {
    let Row {
        line,
        segment,
        reckoning,
    } = row;
    let arrow = if shown.is_forth(segment) {
        "-->"
    } else {
        "<--"
    };
    let flags = segment.flags.to_string();
    let (ack, absolute_ack) = reckoning.ack.map_or((NONE.into(), NONE.into()), |ack| {
        (ack.to_string(), segment.ack.to_string())
    });
    let next = reckoning
        .next_ack
        .map_or(NONE.into(), |(_, next)| next.to_string());
    format!(
        "{:>5} {time:>10} {arrow} {flags:<5} {:>7} {:>10} {ack:>7} {absolute_ack:>10} {:>5} \
         {next:>7}  {:<12}  {}",
        line.frame,
        reckoning.seq,
        segment.seq,
        segment.payload_len,
        line.after(),
        notes(row)
    )
}

/// The verdict if it is not accepted, and where the arithmetic does not hold.
fn notes(row: &Row) -> String {
    let mut notes = Vec::new();
    let accepted = row.line.verdict.kind() == VerdictKind::Accept;
    if !accepted {
        notes.push(fate(&row.line));
    } else if let Some(remark) = row.line.remark() {
        notes.push(remark.to_owned());
    }
    let marks = &row.reckoning.marks;
    notes.extend(marks.iter().map(|mark| format!("! {mark}")));
    let in_flight = row
        .reckoning
        .expected_ack
        .map_or(0, |sent| sent.offset_from(SeqNum(row.segment.ack)));
    if marks.is_empty() && accepted && in_flight > 0 {
        notes.push(format!("{in_flight} in flight"));
    }
    notes.join(", ")
}

/// Every connection, with the ends last because they are of any width.
pub(super) fn list(out: &mut impl Write, list: &[Conversation]) -> io::Result<()> {
    if list.is_empty() {
        return writeln!(out, "no connection");
    }
    writeln!(
        out,
        "number   frames   octets -->   octets <--  dropped  state         connection"
    )?;
    for conversation in list {
        let [forth, back] = conversation.octets;
        let [one, two] = conversation.ends;
        writeln!(
            out,
            "{:>6} {:>8} {forth:>12} {back:>12} {:>8}  {:<12}  {one} --> {two}",
            conversation.number,
            conversation.frames,
            conversation.dropped,
            conversation.state.map_or(NONE, State::as_str),
        )?;
    }
    writeln!(
        out,
        "\n{} connections; give a number, or both ends, to see one of them",
        list.len()
    )
}
