//! The tables of `README.md` and `ARCHITECTURE.md`, held against the code that they tell of.
//!
//! `BLESS=1 cargo test -p tcpguard-common --test docs` writes the tables anew.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, in its helpers as well"
)]

mod states;

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use tcpguard_common::{
    conn::{
        state::State,
        time::{SECOND, lifetime},
    },
    craft::TcpFrame,
    cursor::SliceCursor,
    flags::TcpFlags,
    judge::judge,
    parse::Link,
    reason::{Group, Reason},
    verdict::{Bypass, Verdict},
};

const README: &str = "README.md";
const ARCHITECTURE: &str = "ARCHITECTURE.md";
const CRATES: [&str; 4] = ["tcpguard", "tcpguard-common", "tcpguard-ebpf", "xtask"];

/// A frame that is dropped for a reason, and how a reader is told of it.
struct Example {
    reason: Reason,
    text: &'static str,
    frame: fn() -> Vec<u8>,
}

/// One for each reason that can occur without a connection tracker.
const EXAMPLES: [Example; 13] = [
    Example {
        reason: Reason::ShortHeader,
        text: "a frame that ends inside its IP header",
        frame: || changed(|frame, _| frame.truncate(14 + 12)),
    },
    Example {
        reason: Reason::BadOffset,
        text: "a TCP header of four words",
        frame: || changed(|frame, tcp| frame[tcp + 12] = 4 << 4),
    },
    Example {
        reason: Reason::BadLength,
        text: "an IP length beyond the end of the frame",
        frame: || changed(|frame, _| frame[14 + 2..][..2].copy_from_slice(&[5, 220])),
    },
    Example {
        reason: Reason::TinyFragment,
        text: "a second fragment that overwrites the flags of the first",
        frame: || changed(|frame, _| frame[14 + 6..][..2].copy_from_slice(&[0, 1])),
    },
    Example {
        reason: Reason::PortZero,
        text: "a segment from port 0",
        frame: || changed(|frame, tcp| frame[tcp..][..2].fill(0)),
    },
    Example {
        reason: Reason::FlagsNull,
        text: "no flag, or PSH alone: `nmap -sN`",
        frame: || with_flags(TcpFlags::PSH),
    },
    Example {
        reason: Reason::FlagsSynFin,
        text: "SYN+FIN, whatever else is set",
        frame: || with_flags(TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::ACK)),
    },
    Example {
        reason: Reason::FlagsSynRst,
        text: "SYN+RST",
        frame: || with_flags(TcpFlags::SYN.with(TcpFlags::RST)),
    },
    Example {
        reason: Reason::FlagsFinRst,
        text: "FIN+RST",
        frame: || with_flags(TcpFlags::FIN.with(TcpFlags::RST)),
    },
    Example {
        reason: Reason::FlagsXmas,
        text: "FIN+PSH+URG: `nmap -sX`",
        frame: || with_flags(TcpFlags::FIN.with(TcpFlags::PSH).with(TcpFlags::URG)),
    },
    Example {
        reason: Reason::FlagsFinNoAck,
        text: "FIN alone: `nmap -sF`",
        frame: || with_flags(TcpFlags::FIN),
    },
    Example {
        reason: Reason::FlagsNoAck,
        text: "URG alone",
        frame: || with_flags(TcpFlags::URG),
    },
    Example {
        reason: Reason::FlagsOther,
        text: "SYN+ACK+URG, RST+URG",
        frame: || with_flags(TcpFlags::RST.with(TcpFlags::URG)),
    },
];

/// An IPv4 segment that would be legal, changed; the number is where its TCP header begins.
fn changed(change: fn(&mut Vec<u8>, usize)) -> Vec<u8> {
    let legal = TcpFrame::ipv4().with_flags(TcpFlags::ACK);
    let mut frame = legal.build();
    change(&mut frame, legal.tcp_offset());
    frame
}

fn with_flags(flags: TcpFlags) -> Vec<u8> {
    TcpFrame::ipv4().with_flags(flags).build()
}

/// What an operator sees of it.
const fn occasion(cause: Bypass) -> &'static str {
    match cause {
        Bypass::NotIp => "ARP, LLDP, MPLS, PPPoE: no IP header behind the link layer",
        Bypass::NotTcp => "UDP, ICMP, ESP, and all tunnels: IP-in-IP and GRE are not looked into",
        Bypass::Fragment => "a fragment behind the first; only the first has a TCP header",
        Bypass::VlanDepth => "more than two VLANs, or 366 tags",
        Bypass::ExtensionChain => "more than 180 IPv6 extension headers",
        Bypass::Unreadable => "headers in a further buffer, or cut off by a capture",
    }
}

#[test]
fn tables_are_those_of_the_code_and_have_every_name() {
    let readme = hold(
        README,
        &[
            ("reasons", examples()),
            ("tracker", tracked()),
            ("bypass", bypasses()),
        ],
    );
    let architecture = hold(
        ARCHITECTURE,
        &[
            ("reasons", reasons()),
            ("states", states::table()),
            ("lifetimes", lifetimes()),
            ("unsafe", unsafe_files()),
        ],
    );
    let documents = readme + &architecture;
    let reasons = Reason::ALL.into_iter().map(Reason::as_str);
    let bypasses = Bypass::ALL.into_iter().map(Bypass::as_str);
    for name in reasons.chain(bypasses) {
        assert!(documents.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn every_example_is_dropped_for_its_reason() {
    for Example { reason, frame, .. } in &EXAMPLES {
        let outcome = judge(&mut SliceCursor::new(&frame()), Link::Ethernet);
        assert_eq!(outcome.verdict, Verdict::dropped(*reason));
    }
}

#[test]
fn every_reason_that_needs_no_memory_has_an_example() {
    for reason in Reason::ALL {
        let examples = EXAMPLES.iter().filter(|example| example.reason == reason);
        let expected = usize::from(reason.group() == Group::Flags);
        assert_eq!(examples.count(), expected, "{reason}");
    }
}

/// Words in backquotes that look like the path of a source file or like the name of a test are one.
#[test]
fn files_and_tests_that_are_named_exist() {
    let mut files = Vec::new();
    for part in CRATES {
        sources(&root().join(part), &mut files);
    }
    let code: String = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    for document in [README, ARCHITECTURE] {
        let text = read(document);
        let words = text
            .lines()
            .flat_map(|line| line.split('`').skip(1).step_by(2));
        for word in words {
            let is_source = Path::new(word).extension().is_some_and(|it| it == "rs");
            if is_source && word.contains('/') {
                assert!(root().join(word).exists(), "{document} names {word}");
            }
            let is_sentence = word.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
            if is_sentence && word.matches('_').count() > 3 {
                let function = format!("fn {word}(");
                assert!(code.contains(&function), "{document} names {word}");
            }
        }
    }
}

fn examples() -> String {
    let mut table = "| reason | for example | clause |\n|---|---|---|\n".to_owned();
    for Example { reason, text, .. } in &EXAMPLES {
        writeln!(table, "| `{reason}` | {text} | {} |", reason.clause()).unwrap();
    }
    table
}

/// Why segments are dropped for what is known of their connections.
fn tracked() -> String {
    let mut table = "| reason | means | clause |\n|---|---|---|\n".to_owned();
    for reason in Reason::ALL {
        let policy = reason.clause().starts_with("policy");
        if reason.group() != Group::Flags && !policy && reason != Reason::CookieInvalid {
            let (meaning, clause) = (reason.meaning(), reason.clause());
            writeln!(table, "| `{reason}` | {meaning} | {clause} |").unwrap();
        }
    }
    table
}

fn bypasses() -> String {
    let mut table = "| counted as | what passes unjudged |\n|---|---|\n".to_owned();
    for cause in Bypass::ALL {
        writeln!(table, "| `{}` | {} |", cause.as_str(), occasion(cause)).unwrap();
    }
    table
}

fn reasons() -> String {
    let mut table = "| number | reason | group | meaning |\n|---|---|---|---|\n".to_owned();
    for reason in Reason::ALL {
        let (number, group) = (reason as u8, reason.group().as_str());
        writeln!(
            table,
            "| {number} | `{reason}` | {group} | {} |",
            reason.meaning()
        )
        .unwrap();
    }
    table
}

fn lifetimes() -> String {
    let mut table =
        "| state | remembered for | what both peers are in |\n|---|---|---|\n".to_owned();
    for state in State::ALL {
        let seconds = lifetime(state) / SECOND;
        let time = match seconds {
            ..120 => format!("{seconds} s"),
            120..7200 => format!("{} min", seconds / 60),
            7200..172_800 => format!("{} h", seconds / 3600),
            _ => format!("{} days", seconds / 86_400),
        };
        writeln!(table, "| {} | {time} | {} |", state.as_str(), state.peers()).unwrap();
    }
    table
}

fn unsafe_files() -> String {
    let mut table = "| file | why |\n|---|---|\n".to_owned();
    let mut files = Vec::new();
    for part in CRATES {
        sources(&root().join(part).join("src"), &mut files);
    }
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(root()).unwrap().display();
        // The lint is denied everywhere, so whoever needs an exception names it, with the reason.
        let exceptions = text.split("unsafe_code,").skip(1);
        let why: Vec<_> = exceptions
            .filter_map(|rest| rest.split('"').nth(1))
            .collect();
        if !why.is_empty() {
            writeln!(table, "| `{path}` | {} |", why.join("; ")).unwrap();
        }
    }
    table
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Compares what stands between the markers with what should, or writes it there; gives the document
/// as it should be.
fn hold(document: &str, tables: &[(&str, String)]) -> String {
    let text = read(document);
    let mut right = text.clone();
    for (name, table) in tables {
        let begin = format!("<!-- generated: {name} -->\n");
        let (before, rest) = right.split_once(&begin).unwrap();
        let (_, after) = rest.split_once("<!-- end -->\n").unwrap();
        right = format!("{before}{begin}{table}<!-- end -->\n{after}");
    }
    if env::var_os("BLESS").is_some() {
        fs::write(root().join(document), &right).unwrap();
        return right;
    }
    let wrong = right.lines().find(|line| !text.contains(*line));
    assert!(
        text == right,
        "{document} is not what the code says, first at {wrong:?}: \
         BLESS=1 cargo test -p tcpguard-common --test docs"
    );
    right
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
