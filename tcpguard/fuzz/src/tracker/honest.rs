//! Two peers by the RFC, over a path whose bad luck is chosen by octets: none of their segments is dropped.

#[path = "../../../../tcpguard-common/tests/peers/path.rs"]
#[expect(dead_code, reason = "nobody forges here")]
mod path;
#[path = "../../../../tcpguard-common/tests/peers/peer.rs"]
#[expect(dead_code, reason = "the model looks into peers as well")]
mod peer;

use self::path::{Chance, Path};

/// What a conversation may take: it is worth more to try many.
const STEPS: usize = 500;

/// Lets them talk.
pub(super) fn check(octets: &[u8]) {
    if let Err(harm) = Path::by(chance(octets)).talk(STEPS) {
        panic!("{harm}");
    }
}

/// Two octets are what is drawn, and behind the last ones what follows from all of them.
fn chance(octets: &[u8]) -> Chance {
    let mix = |seed: u64, octet: &u8| seed.wrapping_mul(31).wrapping_add(u64::from(*octet));
    let mut rest = path::xorshift(octets.iter().fold(0, mix));
    let (pairs, _) = octets.as_chunks::<2>();
    let drawn: Vec<_> = pairs.iter().copied().map(u16::from_le_bytes).collect();
    let mut drawn = drawn.into_iter();
    Box::new(move || match drawn.next() {
        // All of 32 bits, as some draw from as many.
        Some(number) => u32::from(number) * 0x1_0001,
        None => rest(),
    })
}
