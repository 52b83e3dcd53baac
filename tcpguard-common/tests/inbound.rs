//! A SYN that may open no connection, or only under objection.

use tcpguard_common::{
    conn::{
        ruling::Ruling,
        seen::{Seen, Voice},
        state::State,
        time::Ticks,
        witness::Plea,
    },
    flags::TcpFlags,
    flow::{FlowKey4, Way},
    reason::Reason,
    seq::SeqNum,
    table::{host::Table, key::Seed},
    verdict::Verdict,
};

const REFUSED: Verdict = Verdict::dropped(Reason::InboundClosed);
const OBSERVED: Verdict = Verdict::would_drop(Reason::InboundClosed);

struct Host {
    table: Table<FlowKey4>,
    key: FlowKey4,
}

impl Host {
    fn new() -> Self {
        let outside = (0x0a00_0001, 40_000);
        Self {
            table: Table::new(64, Seed::known(1)),
            key: FlowKey4::new(outside, (0xc0a8_0001, 80)).0,
        }
    }

    fn hears(&self, seen: &Seen) -> Ruling {
        self.table.decide(&self.key, Way::Up, seen, || Plea::Refuse)
    }

    fn says(&self, seen: Seen) -> Ruling {
        let voice = Voice::LOCAL;
        let seen = Seen { voice, ..seen };
        self.table
            .decide(&self.key, Way::Down, &seen, || Plea::Ignore)
    }

    fn state(&self) -> Option<State> {
        let entry = self.table.entry(&self.key);
        entry.map(|entry| entry.conn.state())
    }
}

fn segment(flags: TcpFlags, seq: u32, ack: u32) -> Seen {
    Seen {
        seq: SeqNum(seq),
        ack: SeqNum(ack),
        sacked: SeqNum(ack),
        now: Ticks(100),
        window: 65_535,
        flags,
        ..Seen::NOTHING
    }
}

fn syn(seq: u32) -> Seen {
    segment(TcpFlags::SYN, seq, 0)
}

#[test]
fn a_syn_that_is_refused_makes_no_entry() {
    let host = Host::new();
    let ruling = host.hears(&syn(100).opening(REFUSED));
    assert_eq!(ruling.verdict(), REFUSED);
    assert!(!ruling.is_appealable() && !ruling.is_eventful());
    assert_eq!(host.state(), None);
}

#[test]
fn a_syn_that_is_only_objected_to_is_followed() {
    let host = Host::new();
    let ruling = host.hears(&syn(100).opening(OBSERVED));
    assert_eq!(ruling.verdict(), OBSERVED);
    assert_eq!(ruling.after(), Some(State::SynSent));
    let answer = segment(TcpFlags::SYN.with(TcpFlags::ACK), 500, 101);
    assert_eq!(host.says(answer).verdict(), Verdict::ACCEPT);
    let last = host.hears(&segment(TcpFlags::ACK, 101, 501));
    assert_eq!(last.after(), Some(State::Established));
}

#[test]
fn an_ended_connection_is_opened_anew_only_by_who_may() {
    for voice in [Voice::FOREIGN, Voice::LONE] {
        let host = Host::new();
        let _ = host.hears(&syn(100));
        let refusal = TcpFlags::RST.with(TcpFlags::ACK);
        let _ = host.says(segment(refusal, 0, 101));
        assert_eq!(host.state(), Some(State::Closed));
        let again = Seen { voice, ..syn(900) };
        assert_eq!(host.hears(&again.opening(REFUSED)).verdict(), REFUSED);
        assert_eq!(host.state(), Some(State::Closed));
        let reopened = host.hears(&again);
        assert_eq!(reopened.verdict(), Verdict::ACCEPT);
        assert_eq!(host.state(), Some(State::SynSent));
    }
}

#[test]
fn the_other_side_of_a_simultaneous_open_was_asked_for() {
    let host = Host::new();
    let _ = host.says(syn(500));
    let ruling = host.hears(&syn(100).opening(REFUSED));
    assert_eq!(ruling.verdict(), Verdict::ACCEPT);
    assert_eq!(ruling.after(), Some(State::SynSent2));
}

#[test]
fn a_live_connection_takes_no_notice() {
    let host = Host::new();
    let _ = host.says(syn(500));
    let _ = host.hears(&segment(TcpFlags::SYN.with(TcpFlags::ACK), 100, 501));
    let _ = host.says(segment(TcpFlags::ACK, 501, 101));
    let late = host.hears(&syn(7000).opening(REFUSED));
    assert_eq!(late.verdict(), Verdict::IGNORE);
    assert_eq!(host.state(), Some(State::Established));
}
