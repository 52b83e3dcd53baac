//! `tcpguard explain`: what happens to a set of flags, and why.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Result;
use serde::Serialize;
use tcpguard_common::{
    flags::TcpFlags,
    reason::{Group, Reason},
    verdict::VerdictKind,
};

use crate::cli::ExplainArgs;

/// What is behind an accepted set.
const ALLOW_LIST: &str = "one of the nine sets of the allow-list, the kernel's tcp_valid_flags \
                          (nf_conntrack_proto_tcp.c)";

/// The flags that are masked off before a set is looked up in the list.
const IGNORED: TcpFlags = TcpFlags::PSH
    .with(TcpFlags::ECE)
    .with(TcpFlags::CWR)
    .with(TcpFlags::AE);

/// Prints the verdict on a set of flags, its reason and the clause behind it.
pub fn explain(args: &ExplainArgs) -> Result<ExitCode> {
    let explanation = Explanation::new(args.flags);
    let mut stdout = io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut stdout, &explanation).map_err(io::Error::from)?;
        writeln!(stdout)?;
    } else {
        explanation.print(args.flags, &mut stdout)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is said about a set of flags. The keys and their order are a contract.
#[derive(Debug, Serialize)]
struct Explanation {
    flags: String,
    verdict: &'static str,
    reason: &'static str,
    clause: &'static str,
    meaning: &'static str,
    group: &'static str,
}

impl Explanation {
    fn new(flags: TcpFlags) -> Self {
        let name = flags.to_string();
        match flags.offence() {
            Some(reason) => Self {
                flags: name,
                verdict: VerdictKind::Drop.as_str(),
                reason: reason.as_str(),
                clause: reason.clause(),
                meaning: reason.meaning(),
                group: reason.group().as_str(),
            },
            None => Self {
                flags: name,
                verdict: VerdictKind::Accept.as_str(),
                reason: "-",
                clause: ALLOW_LIST,
                meaning: purpose(flags),
                group: Group::Flags.as_str(),
            },
        }
    }

    fn print(&self, flags: TcpFlags, out: &mut impl Write) -> io::Result<()> {
        let names = names(flags);
        match flags.offence().map(Reason::as_str) {
            Some(reason) => writeln!(out, "{names}: {}, {reason}", self.verdict)?,
            None => writeln!(out, "{names}: {}", self.verdict)?,
        }
        writeln!(out, "  meaning  {}", self.meaning)?;
        writeln!(out, "  clause   {}", self.clause)?;
        let ignored = TcpFlags::new(flags.bits() & IGNORED.bits());
        if ignored != TcpFlags::NULL {
            writeln!(
                out,
                "  ignored  {}: no matter for the verdict",
                self::names(ignored)
            )?;
        }
        Ok(())
    }
}

/// What a legal set is for.
fn purpose(flags: TcpFlags) -> &'static str {
    let has = |flag| flags.contains(flag);
    match () {
        () if has(TcpFlags::SYN.with(TcpFlags::ACK)) => {
            "Answers a SYN and opens the other direction."
        }
        () if has(TcpFlags::SYN) => "Opens a connection.",
        () if has(TcpFlags::RST.with(TcpFlags::ACK)) => {
            "Ends a connection at once, or refuses to open one."
        }
        () if has(TcpFlags::RST) => "Ends a connection at once.",
        () if has(TcpFlags::FIN) => "Closes the sender's direction of a connection.",
        () if has(TcpFlags::URG) => "Carries urgent data, or acknowledges.",
        () => "Carries data, or acknowledges.",
    }
}

/// Names as people write them: SYN before FIN, which has the lower bit.
fn names(flags: TcpFlags) -> String {
    let set = |syn: bool| {
        TcpFlags::NAMES
            .into_iter()
            .filter(move |(flag, ..)| (*flag == TcpFlags::SYN) == syn)
    };
    let names: Vec<&str> = set(true)
        .chain(set(false))
        .filter(|(flag, ..)| flags.contains(*flag))
        .map(|(_, _, name)| name)
        .collect();
    if names.is_empty() {
        "NULL".into()
    } else {
        names.join(",")
    }
}
