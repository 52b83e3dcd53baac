//! Segments of connections, of their peers and of anybody else.
//!
//! The first octet says which of three games is played with the others.

mod honest;
mod moves;
mod world;

use tcpguard_common::{
    conn::time::Ticks,
    flow::{FlowKey4, FlowKey6},
};

use self::world::World;

/// Holds all that must hold of the tracker against the segments that these octets stand for.
pub fn check(octets: &[u8]) {
    let Some((game, octets)) = octets.split_first() else {
        return;
    };
    match game % 3 {
        0 => alike(octets),
        1 => crowded(octets),
        _ => honest::check(octets),
    }
}

/// So few connections that each has its entry while it lives, in two worlds: what becomes of a segment hangs neither on
/// addresses nor on where sequence numbers and time begin.
fn alike(octets: &[u8]) {
    let mut one = World::<FlowKey4>::new([0, 0], Ticks(1000), false);
    // In the other one, all numbers wrap soon, and the peers have changed places.
    let mut two =
        World::<FlowKey6>::new([u32::MAX - 5000, 0x7fff_f000], Ticks(u32::MAX - 500), true);
    for mut step in moves::read(octets) {
        step.connection %= 8;
        if one.is_hearsay(&step) {
            return;
        }
        assert_eq!(one.take(&step), two.take(&step), "{step:?}");
    }
}

/// So many that some give way.
fn crowded(octets: &[u8]) {
    let mut world = World::<FlowKey4>::new([0, 0], Ticks(0), false);
    for step in moves::read(octets) {
        let _ = world.take(&step);
    }
}
