//! Frames that nobody thought of.

use tcpguard::engine::Frame;
use tcpguard_common::{
    policy::Policy,
    reason::Reason,
    verdict::{Bypass, Verdict},
};

use crate::{
    Engines,
    random::XorShift,
    vectors::{self, Vector},
};

#[test]
fn kernel_and_host_agree_on_mutated_frames() {
    const FRAMES: usize = 20_000;
    let bases: Vec<Vector> = vectors::every()
        .into_iter()
        .filter(|vector| vector.frame.len() < 3000)
        .collect();
    let mut engines = Engines::new(Policy::ENFORCE);
    let mut random = XorShift(0x9e37_79b9_7f4a_7c15);
    for number in 0..FRAMES {
        let base = &bases[random.below(bases.len())];
        let octets = mutated(&base.frame, &mut random);
        let name = format!("mutation {number} of {}", base.name);
        engines.adjudicate(&name, &Frame::whole(base.link, &octets));
    }
    let counters = engines.counters();
    let sum: u64 = counters.tallies().map(|tally| tally.packets).sum();
    assert_eq!(sum, FRAMES as u64);
    // Chance goes everywhere, or this test would say little.
    for verdict in vectors::parser().iter().map(|vector| vector.verdict) {
        let whole = verdict != Verdict::bypass(Bypass::Unreadable);
        assert_eq!(counters.tally(verdict).packets > 0, whole, "{verdict:?}");
    }
    for reason in Reason::ALL
        .into_iter()
        .take_while(|reason| *reason != Reason::SynackBadAck)
    {
        assert!(
            counters.tally(Verdict::dropped(reason)).packets > 0,
            "{reason}"
        );
    }
}

/// Some octets replaced, mostly in the headers, and the end moved now and then.
pub(crate) fn mutated(base: &[u8], random: &mut XorShift) -> Vec<u8> {
    let mut octets = base.to_vec();
    match random.below(8) {
        0 => octets.truncate(random.below(octets.len() + 1)),
        1 => octets.resize(octets.len() + random.below(100), 0xff),
        _ => {}
    }
    let reach = octets.len().min(90);
    if reach == 0 {
        return octets;
    }
    for _ in 0..=random.below(4) {
        let at = random.below(reach);
        let bits = random.next().to_le_bytes();
        // A bit flipped stays near the good frame, another octet leaves it.
        octets[at] = if bits[0] & 1 == 0 {
            bits[1]
        } else {
            octets[at] ^ (1 << (bits[2] & 7))
        };
    }
    octets
}
