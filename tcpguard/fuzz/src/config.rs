//! Configuration files.

use tcpguard::{
    admission::inbound::Inbound,
    config::{self, File},
};

/// Holds all that must hold of a file against this text.
pub fn check(octets: &[u8]) {
    let Ok(text) = str::from_utf8(octets) else {
        return;
    };
    match config::parse(text) {
        Ok(file) => {
            reads_what_it_writes(&file);
            let commented = config::parse(&format!("{text}\n# iface = []"));
            let commented = commented.expect("a comment is no matter");
            assert_eq!(format!("{commented:?}"), format!("{file:?}"));
        }
        Err(complaint) => is_placed(text, &complaint),
    }
}

/// What can be written as on the command line says the same there.
fn reads_what_it_writes(file: &File) {
    let named = file.interface.values();
    let inbound = named.clone().map(|said| &said.inbound);
    for inbound in inbound.chain([&file.inbound]).flatten() {
        let again: Inbound = inbound.to_string().parse().expect("as it is written");
        assert_eq!(again, *inbound);
    }
    let rates = named.flat_map(|said| [said.syn_limit, said.syn_limit_source]);
    for rate in rates
        .chain([file.syn_limit, file.syn_limit_source])
        .flatten()
    {
        assert_eq!(rate.to_string().parse().ok(), Some(rate));
    }
    assert!(file.observe != Some(true) || file.enforce.is_none());
}

/// A complaint begins with line and column, and has the line itself below.
fn is_placed(text: &str, complaint: &str) {
    let mut words = complaint.splitn(3, ':');
    let mut place = || words.next()?.parse::<usize>().ok();
    let (Some(line), Some(column)) = (place(), place()) else {
        panic!("{text:?}: {complaint}");
    };
    assert!(column > 0, "{text:?}: {complaint}");
    assert!(
        line <= text.matches('\n').count() + 1,
        "{text:?}: {complaint}"
    );
    let shown = text.lines().nth(line - 1).unwrap_or_default();
    assert!(complaint.contains(shown), "{text:?}: {complaint}");
    let message = words.next().unwrap_or_default().lines().next();
    assert!(
        message.is_some_and(|it| !it.trim().is_empty()),
        "{text:?}: {complaint}"
    );
}
