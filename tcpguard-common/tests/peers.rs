//! A good connection is never harmed: two peers that follow the RFC talk over a path that loses,
//! delays and reorders on both sides of the guard, and no segment of theirs is ever dropped; not even
//! if somebody forges segments in their names all the while, without seeing what they say.
//!
//! The peers are simple and honest; what they send is whatever loss makes of it: retransmissions,
//! duplicates, late acknowledgments, windows that close and open, either side closing first.
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on panics, in its helpers as well"
)]

mod peers {
    pub(super) mod path;
    #[expect(dead_code, reason = "the model looks into peers as well")]
    pub(super) mod peer;
}

use self::peers::path::Path;

/// Connections to try; each is another kind of bad luck.
const CONNECTIONS: u64 = 3000;
/// What each may take.
const STEPS: usize = 20_000;

#[test]
fn no_segment_of_a_good_connection_is_dropped() {
    let mut finished = 0;
    for seed in 0..CONNECTIONS {
        match Path::new(seed).talk(STEPS) {
            Ok(done) => finished += u64::from(done),
            Err(harm) => panic!("connection {seed}:\n{harm}"),
        }
    }
    assert!(
        finished > CONNECTIONS * 9 / 10,
        "only {finished} connections came to their end"
    );
}
