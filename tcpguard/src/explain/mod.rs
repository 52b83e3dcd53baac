//! `tcpguard explain`: what happens to a set of flags, and why.

mod clause;
mod script;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Result;
use serde::Serialize;
use tcpguard_common::{
    conn::{ruling::Direction, state::State},
    flags::TcpFlags,
    reason::{Group, Reason},
    verdict::VerdictKind,
};

use self::script::Script;
use crate::cli::ExplainArgs;

/// What is behind an accepted set.
const ALLOW_LIST: &str = "one of the nine sets of the allow-list, the kernel's tcp_valid_flags \
                          (nf_conntrack_proto_tcp.c)";

/// The flags that are masked off before a set is looked up in the list.
const IGNORED: TcpFlags = TcpFlags::PSH
    .with(TcpFlags::ECE)
    .with(TcpFlags::CWR)
    .with(TcpFlags::AE);

/// Stands where there is nothing to say.
const NONE: &str = "-";

/// Prints the verdict on a set of flags, its reason and the clause behind it.
pub fn explain(args: &ExplainArgs) -> Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    for explanation in explanations(args) {
        if args.json {
            serde_json::to_writer(&mut stdout, &explanation).map_err(io::Error::from)?;
            writeln!(stdout)?;
        } else {
            explanation.print(args.flags, &mut stdout)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One, or with a connection one for each direction that is asked for.
fn explanations(args: &ExplainArgs) -> Vec<Explanation> {
    let of = |state, direction| Explanation::of_segment(args.flags, state, direction);
    match (args.state, args.dir) {
        (None, _) => vec![Explanation::of_set(args.flags)],
        // Who speaks first is the original side.
        (Some(state), None) if state.0.is_none() => vec![of(state.0, Direction::Original)],
        (Some(state), None) => [Direction::Original, Direction::Reply]
            .map(|direction| of(state.0, direction))
            .into(),
        (Some(state), Some(side)) => vec![of(state.0, side.into())],
    }
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
    #[serde(flatten)]
    on: Option<OnConnection>,
}

/// What the tracker has to do with it.
#[derive(Debug, Serialize)]
struct OnConnection {
    state: &'static str,
    dir: &'static str,
    after: &'static str,
    seq: u32,
    ack: u32,
    unless: &'static str,
}

impl Explanation {
    /// By the flags alone.
    fn of_set(flags: TcpFlags) -> Self {
        match flags.offence() {
            Some(reason) => Self::refused(flags, reason),
            None => Self::passed(flags, VerdictKind::Accept, ALLOW_LIST, Group::Flags),
        }
    }

    /// By a connection as well, on which the segment comes with the numbers that are next.
    fn of_segment(flags: TcpFlags, state: Option<State>, direction: Direction) -> Self {
        let mut script = Script::until(state);
        let on = OnConnection {
            state: name(state),
            dir: state.map_or(NONE, |_| direction.as_str()),
            after: name(state),
            seq: 0,
            ack: 0,
            unless: NONE,
        };
        if !flags.is_legal() {
            // It gets no further than the check of flags.
            return Self {
                on: Some(on),
                ..Self::of_set(flags)
            };
        }
        let (seen, ruling) = script.say(direction, flags);
        let verdict = ruling.verdict();
        let explanation = if let Some(reason) = verdict.reason() {
            Self::refused(flags, reason)
        } else {
            let clause = clause::of_pass(seen.class(), state);
            Self::passed(flags, verdict.kind(), clause, Group::State)
        };
        let on = OnConnection {
            dir: ruling.direction().map_or(on.dir, Direction::as_str),
            after: name(script.state()),
            seq: seen.seq.0,
            ack: seen.ack.0,
            unless: clause::exception(ruling).unwrap_or(NONE),
            ..on
        };
        Self {
            on: Some(on),
            ..explanation
        }
    }

    fn refused(flags: TcpFlags, reason: Reason) -> Self {
        Self {
            flags: flags.to_string(),
            verdict: VerdictKind::Drop.as_str(),
            reason: reason.as_str(),
            clause: reason.clause(),
            meaning: reason.meaning(),
            group: reason.group().as_str(),
            on: None,
        }
    }

    fn passed(flags: TcpFlags, verdict: VerdictKind, clause: &'static str, group: Group) -> Self {
        Self {
            flags: flags.to_string(),
            verdict: verdict.as_str(),
            reason: NONE,
            clause,
            meaning: if verdict == VerdictKind::Ignore {
                "Passes and changes nothing; the receiver deals with it."
            } else {
                purpose(flags)
            },
            group: group.as_str(),
            on: None,
        }
    }

    fn print(&self, flags: TcpFlags, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{}", names(flags))?;
        match &self.on {
            Some(on) if on.state == NONE => write!(out, " without a connection")?,
            Some(on) => write!(out, " from {} on {}", on.dir, on.state)?,
            None => {}
        }
        write!(out, ": {}", self.verdict)?;
        if self.reason != NONE {
            write!(out, ", {}", self.reason)?;
        }
        match &self.on {
            Some(on) if on.after != on.state => writeln!(out, ", {} follows", on.after)?,
            Some(on) if on.state != NONE => writeln!(out, ", {} remains", on.state)?,
            Some(_) | None => writeln!(out)?,
        }
        writeln!(out, "  meaning  {}", self.meaning)?;
        writeln!(out, "  clause   {}", self.clause)?;
        self.print_details(flags, out)
    }

    fn print_details(&self, flags: TcpFlags, out: &mut impl Write) -> io::Result<()> {
        if let Some(on) = self.on.as_ref().filter(|_| flags.is_legal()) {
            write!(out, "  numbers  seq {}", on.seq)?;
            if flags.contains(TcpFlags::ACK) {
                write!(out, ", ack {}", on.ack)?;
            }
            writeln!(out, ": those that come next")?;
            if on.unless != NONE {
                writeln!(out, "  unless   {}", on.unless)?;
            }
        }
        let ignored = TcpFlags::new(flags.bits() & IGNORED.bits());
        if ignored != TcpFlags::NULL {
            writeln!(
                out,
                "  ignored  {}: no matter for the verdict",
                names(ignored)
            )?;
        }
        Ok(())
    }
}

fn name(state: Option<State>) -> &'static str {
    state.map_or(NONE, State::as_str)
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
