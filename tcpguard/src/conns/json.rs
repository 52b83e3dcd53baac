//! Connections as JSON objects, one a line: a contract that scripts rely on. The keys, which are
//! also told by `--help`, are always there and in this order.

use std::{
    io::{self, Write},
    net::SocketAddr,
};

use serde::Serialize;
use tcpguard_common::conn::ruling::Direction;

use super::listing::{Listing, Row, ack, closed_by, remarks, seconds, seq};

/// Prints them.
pub(super) fn print(listing: &Listing<'_>, out: &mut impl Write) -> io::Result<()> {
    for row in &listing.rows {
        serde_json::to_writer(&mut *out, &Object::new(row))?;
        writeln!(out)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Object<'a> {
    source: SocketAddr,
    destination: SocketAddr,
    state: &'static str,
    age_s: f64,
    idle_s: f64,
    closed_by: &'static str,
    orig: Side,
    reply: Side,
    marks: Vec<&'static str>,
    interfaces: &'a [String],
}

impl<'a> Object<'a> {
    fn new(row: &Row<'a>) -> Self {
        let connection = &row.connection;
        let side = |direction| Side {
            octets: connection.halves(direction).0.octets(),
            seq: seq(connection, direction),
            ack: ack(connection, direction),
        };
        Self {
            source: connection.source,
            destination: connection.destination,
            state: connection.state.as_str(),
            age_s: seconds(connection.age),
            idle_s: seconds(connection.idle),
            closed_by: closed_by(connection),
            orig: side(Direction::Original),
            reply: side(Direction::Reply),
            marks: remarks(connection),
            interfaces: row.guard,
        }
    }
}

#[derive(Serialize)]
struct Side {
    octets: u64,
    seq: Option<u32>,
    ack: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Filter, listing::specimen},
        *,
    };

    #[test]
    fn the_object_is_the_contract_to_the_letter() {
        let guard = ["eth0".to_owned()];
        let rows = specimen::connections().into_iter();
        let rows = rows.map(|connection| Row {
            connection,
            guard: &guard,
        });
        let listing = Listing::of(rows, &Filter::default(), None, false);
        let mut out = Vec::new();
        print(&listing, &mut out).unwrap();
        let lines = String::from_utf8(out).unwrap();
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(
            lines[0],
            concat!(
                r#"{"source":"10.0.0.1:40000","destination":"10.0.0.2:80","state":"ESTABLISHED","#,
                r#""age_s":125.25,"idle_s":0.5,"closed_by":"-","#,
                r#""orig":{"octets":78,"seq":79,"ack":1234568},"#,
                r#""reply":{"octets":1234567,"seq":1234568,"ack":79},"#,
                r#""marks":["reply-local"],"interfaces":["eth0"]}"#
            )
        );
        assert!(lines[2].contains(r#""reply":{"octets":0,"seq":null,"ack":null},"marks":[]"#));
        assert!(lines[3].starts_with(r#"{"source":"[2001:db8::1]:50000","#));
    }
}
