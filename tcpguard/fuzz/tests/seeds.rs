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

use std::{env, fs, path::Path, time::UNIX_EPOCH};

use tcpguard::{
    capture::pcapng::Blocks,
    evidence::{
        Counted,
        archive::{Place, Sighting},
    },
};
use tcpguard_common::{
    evidence::{Record, SNAP},
    parse::Link,
};
use tcpguard_fuzz::{config, events, parser, pcap};

use self::vectors::Vector;

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

#[test]
fn the_file_of_the_package_holds_with_every_key_and_with_none() {
    let file = include_str!("../../dist/tcpguard.toml");
    let keys = file.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with([' ', '#']) => key,
        _ => line,
    });
    let keys: Vec<_> = keys.filter(|line| !line.starts_with("observe")).collect();
    let seeds = [file.to_owned(), keys.join("\n")];
    hold("config", config::check, seeds.map(String::into_bytes));
}

/// A vector as a guard keeps it, at an interface that has such frames.
fn record(vector: &Vector) -> Record {
    let mut frame = [0; SNAP];
    let captured = vector.frame.len().min(SNAP);
    frame[..captured].copy_from_slice(&vector.frame[..captured]);
    Record {
        number: 1,
        time_ns: 2_000_000_001,
        count: 3,
        octets: vector.wire_len,
        ruling: 0,
        cell: u16::try_from(vector.verdict.cell()).unwrap(),
        place: if vector.link == Link::RawIp { 2 } else { 0 },
        captured: u16::try_from(captured).unwrap(),
        reserved: 0,
        frame,
    }
}

#[test]
fn every_vector_holds_as_a_record() {
    let seeds = vectors::parser().into_iter().map(|vector| {
        let record = record(&vector);
        [
            &record.number.to_le_bytes()[..],
            &record.time_ns.to_le_bytes(),
            &record.count.to_le_bytes(),
            &record.octets.to_le_bytes(),
            &record.ruling.to_le_bytes(),
            &record.cell.to_le_bytes(),
            &record.place.to_le_bytes(),
            &record.captured.to_le_bytes(),
            &record.reserved.to_le_bytes(),
            &record.frame[..usize::from(record.captured)],
        ]
        .concat()
    });
    hold("events", events::check, seeds);
}

#[test]
fn captures_of_vectors_hold() {
    let frames: Vec<_> = vectors::parser().into_iter().step_by(50).collect();
    let files = [
        [0xd4, 0xc3, 0xb2, 0xa1],
        [0x4d, 0x3c, 0xb2, 0xa1],
        [0xa1, 0xb2, 0xc3, 0xd4],
        [0xa1, 0xb2, 0x3c, 0x4d],
    ];
    let links = [0_u32, 1, 101, 113, 276];
    let seeds = files
        .into_iter()
        .flat_map(|magic| links.map(|link| of_libpcap(magic, link, &frames)));
    hold("pcap", pcap::check, seeds.chain([of_our_own(&frames)]));
}

/// A file of libpcap, in the byte order of its magic number.
fn of_libpcap(magic: [u8; 4], link: u32, frames: &[Vector]) -> Vec<u8> {
    let word = |number: u32| {
        if magic[0] == 0xa1 {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    };
    let mut file = magic.to_vec();
    file.extend([0x0400_0200, 0, 0, 65_535, link].map(word).concat());
    for Vector {
        frame, wire_len, ..
    } in frames
    {
        let len = u32::try_from(frame.len()).unwrap();
        file.extend([1_763_812_984, 250_000, len, *wire_len].map(word).concat());
        file.extend(frame);
    }
    file
}

/// A file as `tcpguard capture` writes it.
fn of_our_own(frames: &[Vector]) -> Vec<u8> {
    let links = [Link::Ethernet, Link::RawIp];
    let places = links.map(|link| Place::new(format!("{link:?}"), link, true));
    let mut blocks = Blocks::new(&places).unwrap();
    let mut counted = Counted::default();
    for vector in frames {
        let exhibit = counted.exhibit(0, &record(vector), UNIX_EPOCH).unwrap();
        blocks
            .packet(&Sighting::new(exhibit, Some(vector.link)))
            .unwrap();
    }
    blocks.take()
}
