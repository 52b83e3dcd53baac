//! What the fuzzers have found so far, held against the same functions.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, in its helpers as well"
)]

use std::{fs, path::Path};

use tcpguard_fuzz::{config, events, parser, pcap, tracker};

/// Checks every file of a target's corpus; of one that fails, the last name that is printed is its name.
fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut count = 0;
    for entry in fs::read_dir(corpus.join(target)).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        check(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 0, "no corpus for {target}");
}

#[test]
fn what_was_found_of_files_holds() {
    replay("config", config::check);
}

#[test]
fn what_was_found_of_records_holds() {
    replay("events", events::check);
}

#[test]
fn what_was_found_of_captures_holds() {
    replay("pcap", pcap::check);
}

#[test]
fn what_was_found_of_the_parser_holds() {
    replay("parser", parser::check);
}

#[test]
fn what_was_found_of_the_tracker_holds() {
    replay("tracker", tracker::check);
}
