//! The scenarios that the core is held against, told to the kernel's tracker as well.

use tcpguard_common::{
    craft::TcpFrame,
    cursor::SliceCursor,
    parse::{Link, parse},
    segment::{Addresses, Segment},
};
use xtask::lab::conntrack::Side;

use super::{
    peer::{Sent, Who},
    scenarios::{Step, World, every as every_scenario},
};

/// Seconds of a scenario that are played: the kernel's clock cannot be put forward.
const TIME: u64 = 10;
/// The port of the original side in every scenario.
const ORIGINAL_PORT: u16 = 40_000;
/// Octets before the TCP header, and of it without options.
const IPV4_TCP: usize = 34;
const IPV6_TCP: usize = 54;
const HEADER: usize = 20;

/// A scenario.
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) picks_up: bool,
    pub(crate) frames: Vec<Sent>,
}

/// All of them, in every world that they are possible in.
pub(crate) fn every() -> Vec<Told> {
    let mut every = Vec::new();
    for scenario in every_scenario() {
        for world in World::ALL {
            let Some(steps) = scenario.steps(&world) else {
                continue;
            };
            let port = 1024 + u16::try_from(every.len()).expect("there are fewer scenarios");
            every.push(Told {
                name: format!("{} ({})", scenario.name, world.name),
                picks_up: scenario.picks_up,
                frames: steps
                    .iter()
                    .take_while(|step| step.at.as_secs() < TIME)
                    .map(|step| sent(step, port))
                    .collect(),
            });
        }
    }
    every
}

/// The same segment between addresses behind the router, and of a connection of its own.
fn sent(step: &Step, port: u16) -> Sent {
    let mut segment = Segment::EMPTY;
    parse(
        &mut SliceCursor::new(&step.frame),
        Link::Ethernet,
        &mut segment,
    )
    .expect("a segment");
    let (family, tcp) = match segment.addresses {
        Addresses::V4 { .. } => (0, IPV4_TCP),
        Addresses::V6 { .. } => (1, IPV6_TCP),
    };
    let from = if segment.source_port == ORIGINAL_PORT {
        Side::West
    } else {
        Side::East
    };
    let own = |number: u16| {
        if number == ORIGINAL_PORT {
            port
        } else {
            number
        }
    };
    let header_len = usize::from(step.frame[tcp + 12] >> 4) * 4;
    let [source, destination] = [from, from.opposite()].map(|side| side.addresses(2)[family]);
    let frame = TcpFrame {
        ports: (own(segment.source_port), own(segment.destination_port)),
        seq: segment.seq.0,
        ack: segment.ack.0,
        flags: segment.flags,
        window: segment.window,
        options: step.frame[tcp + HEADER..tcp + header_len].to_vec(),
        payload: vec![b'x'; segment.payload_len as usize],
        ..TcpFrame::between(source, destination)
    };
    Sent {
        from,
        octets: frame.build(),
        who: Who::Told,
        now: step.at,
    }
}
