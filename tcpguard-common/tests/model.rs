//! Every way that a short connection can take.
//!
//! Two peers by RFC 9293 open, talk and close in every order, while the path between them delays,
//! loses, reorders and doubles what they say, and somebody forges segments in their names without seeing
//! any. All states that this leads to are searched, and in none of them is a segment of theirs dropped.
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on panics, in its helpers as well"
)]

mod model {
    pub(super) mod forged;
    pub(super) mod guard;
    pub(super) mod net;
}
#[path = "peers/peer.rs"]
mod peer;

use std::{env, fmt::Write as _, thread, time::Instant};

use stateright::{Checker as _, Expectation, Model as _, Path};

use self::{
    model::net::{Net, Place, Step, World},
    peer::MSS,
};

/// One side opens, both say an octet and close, and one segment of each is under way at once.
const QUIET: World = World {
    place: Place::Host,
    opens: [true, false],
    totals: [1, 1],
    buffer: 64 * MSS,
    room: 1,
    resends: 0,
    doubles: 0,
    forgeries: 0,
    pauses: 0,
};

/// Adds to what can happen, for those who have the time: each more is about ten times as long.
const MORE: &str = "TCPGUARD_MODEL_MORE";

#[test]
fn on_a_host_nothing_is_dropped_whatever_overtakes() {
    search(&World { room: 2, ..QUIET });
}

#[test]
fn on_a_host_nothing_is_dropped_whatever_is_sent_again() {
    search(&World {
        resends: 1,
        doubles: 1,
        ..QUIET
    });
}

#[test]
fn on_a_host_nothing_is_dropped_whatever_is_forged() {
    search(&World {
        forgeries: 2,
        pauses: 1,
        ..QUIET
    });
}

#[test]
fn on_a_host_nothing_is_dropped_if_both_open() {
    search(&World {
        opens: [true; 2],
        forgeries: 1,
        pauses: 1,
        ..QUIET
    });
}

#[test]
fn on_a_host_nothing_is_dropped_if_the_window_closes() {
    search(&World {
        totals: [2 * MSS + 1, 0],
        buffer: MSS + 280,
        forgeries: 1,
        pauses: 1,
        ..QUIET
    });
}

#[test]
fn on_a_router_nothing_is_dropped_whatever_is_forged() {
    search(&World {
        place: Place::Router,
        forgeries: 1,
        pauses: 1,
        ..QUIET
    });
}

#[test]
fn on_a_router_nothing_is_dropped_if_both_open() {
    search(&World {
        place: Place::Router,
        opens: [true; 2],
        pauses: 1,
        ..QUIET
    });
}

#[test]
fn on_a_router_nothing_is_dropped_if_the_window_closes() {
    search(&World {
        place: Place::Router,
        totals: [2 * MSS, 0],
        buffer: MSS + 280,
        forgeries: 1,
        pauses: 1,
        ..QUIET
    });
}

/// Searches all that can happen in a world.
fn search(world: &World) {
    let world = enlarged(world);
    let start = Instant::now();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let checker = world.clone().checker().threads(threads).spawn_bfs().join();
    println!(
        "{} states and {} steps between them, {} deep, in {:.1} s: {world:?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        start.elapsed().as_secs_f64()
    );
    for property in checker.model().properties() {
        match (property.expectation, checker.discovery(property.name)) {
            (Expectation::Sometimes, None) => panic!("never: {}", property.name),
            (Expectation::Always, Some(path)) => {
                panic!("not always: {}\n{}", property.name, told(path))
            }
            (Expectation::Always | Expectation::Sometimes | Expectation::Eventually, _) => {}
        }
    }
}

fn enlarged(world: &World) -> World {
    let more = env::var(MORE).map_or(0, |more| more.parse().expect("a small number"));
    World {
        room: world.room + usize::from(more),
        resends: world.resends + more,
        doubles: world.doubles + more,
        forgeries: world.forgeries + more,
        pauses: world.pauses + more,
        ..world.clone()
    }
}

/// A way through a world, step by step.
fn told(path: Path<Net, Step>) -> String {
    let mut text = String::new();
    for (net, step) in path.into_vec() {
        let state = net.guard.0.map_or("-", |conn| conn.state().as_str());
        let step = step.map_or_else(String::new, |step| format!("{step:?}"));
        let harm = net.harm.map_or("", |reason| reason.as_str());
        let _ = writeln!(text, "{state:12} {harm} {step}");
    }
    text
}
