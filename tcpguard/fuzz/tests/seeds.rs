//! What the project has by hand, frames, conversations, files and captures, as a fuzzer takes them: it begins
//! with them, and they must hold themselves.
//!
//! `TCPGUARD_FUZZ_SEEDS` names a folder that they are written into, one for each target.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, in its helpers as well"
)]

#[path = "../../../tcpguard-common/tests/vectors/mod.rs"]
#[expect(dead_code, reason = "names and verdicts are of no interest here")]
mod vectors;

use std::{env, fs, path::Path};

use tcpguard_common::parse::Link;
use tcpguard_fuzz::parser;

/// Checks seeds, and writes them where they are wanted.
fn hold(target: &str, check: fn(&[u8]), seeds: impl IntoIterator<Item = Vec<u8>>) {
    let folder = env::var_os("TCPGUARD_FUZZ_SEEDS").map(|root| Path::new(&root).join(target));
    if let Some(folder) = &folder {
        fs::create_dir_all(folder).unwrap();
    }
    let mut count = 0;
    for seed in seeds {
        check(&seed);
        if let Some(folder) = &folder {
            fs::write(folder.join(format!("seed-{count}")), &seed).unwrap();
        }
        count += 1;
    }
    assert!(count > 0, "no seeds for {target}");
}

#[test]
fn every_vector_holds_as_a_frame() {
    let seeds = vectors::every().into_iter().map(|vector| {
        let raw = u8::from(vector.link == Link::RawIp);
        let [low, high, ..] = vector.wire_len.to_le_bytes();
        [&[low, high, raw], &vector.frame[..]].concat()
    });
    hold("parser", parser::check, seeds);
}
