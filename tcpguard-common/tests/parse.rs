//! The whole table of frames through the core.
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on panics, in its helpers as well"
)]

mod vectors;

use std::collections::HashSet;

use tcpguard_common::{cursor::SliceCursor, judge::judge, reason::Reason, verdict::Bypass};

use self::vectors::Fields;

#[test]
fn every_vector_gets_its_verdict_and_its_segment() {
    let mut wrong = Vec::new();
    for vector in vectors::every() {
        let outcome = judge(
            &mut SliceCursor::captured(&vector.frame, vector.wire_len),
            vector.link,
        );
        let got = (outcome.verdict, outcome.segment.as_ref().map(Fields::from));
        if got != (vector.verdict, vector.segment) {
            let right = (vector.verdict, vector.segment);
            wrong.push(format!(
                "{}\n  is    {got:?}\n  not   {right:?}",
                vector.name
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} vectors:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn no_two_vectors_share_a_name() {
    let mut names = HashSet::new();
    for vector in vectors::every() {
        assert!(names.insert(vector.name.clone()), "{}", vector.name);
    }
}

#[test]
fn the_table_reaches_every_dead_end_of_the_parser() {
    let causes: HashSet<&str> = vectors::parser()
        .iter()
        .map(|vector| vector.verdict.cause())
        .collect();
    for cause in Bypass::ALL {
        assert!(causes.contains(cause.as_str()), "{}", cause.as_str());
    }
    let broken = Reason::ALL
        .into_iter()
        .take_while(|reason| *reason != Reason::FlagsNull);
    for reason in broken {
        assert!(causes.contains(reason.as_str()), "{reason}");
    }
}
