//! `tcpguard status`: what is guarded, since when, and by what.
//!
//! All of it is asked of the kernel, so it is true whoever attached what.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType};
use serde::Serialize;
use tcpguard_common::abi::EGRESS_PROGRAM;

use crate::{
    cli::StatusArgs,
    netlink::{self, Interface},
    pins, preflight, programs,
    sample::{Egress, Ingress},
};

/// Prints it.
pub fn status(args: &StatusArgs) -> Result<ExitCode> {
    preflight::check_reader()?;
    let status = Status::ask()?;
    let mut stdout = io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut stdout, &status)?;
        writeln!(stdout)?;
    } else {
        status.print(SystemTime::now(), &mut stdout)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The guards of this network namespace: a contract that scripts rely on, in this order.
#[derive(Serialize)]
struct Status {
    guards: Vec<Guarded>,
    dead_pins: Vec<String>,
}

/// Who holds a guard that is pinned.
const ATTACH: &str = "attach";

/// A guarded interface.
#[derive(Serialize)]
struct Guarded {
    interface: String,
    held_by: &'static str,
    /// Seconds since 1970 when its program was loaded.
    since: Option<f64>,
    ingress: Hooked,
    egress: Option<Hooked>,
}

/// A program at a hook.
#[derive(Serialize)]
struct Hooked {
    mode: &'static str,
    /// The kernel's number of it.
    program: u32,
    /// The kernel's hash of its instructions: equal tags are equal programs.
    tag: String,
}

impl Hooked {
    fn new(mode: &'static str, program: &ProgramInfo) -> Self {
        Self {
            mode,
            program: program.id(),
            tag: format!("{:016x}", program.tag()),
        }
    }
}

impl Status {
    fn ask() -> Result<Self> {
        let programs = programs::loaded()?;
        let pins = pins::listed()?;
        let mut guards = Vec::new();
        let mut alive = Vec::new();
        for interface in netlink::interfaces()? {
            let is_here = |it: &&ProgramInfo| interface.xdp_programs.contains(&it.id());
            let found = programs.iter().find(is_here);
            if let Some(program) = found.filter(|it| programs::is_guard(it.name())) {
                let is_pinned = pins.iter().any(|pin| pin.index == interface.index);
                alive.push(interface.index);
                guards.push(guarded(interface, program, is_pinned));
            }
        }
        let dead = pins.iter().filter(|pin| !alive.contains(&pin.index));
        Ok(Self {
            guards,
            dead_pins: dead.map(ToString::to_string).collect(),
        })
    }

    fn print(&self, now: SystemTime, out: &mut impl Write) -> io::Result<()> {
        for guard in &self.guards {
            guard.print(now, out)?;
        }
        if self.guards.is_empty() {
            writeln!(out, "no interface of this network namespace is guarded")?;
        }
        for pin in &self.dead_pins {
            writeln!(out, "dead pin {pin}: `tcpguard detach` removes it")?;
        }
        Ok(())
    }
}

fn guarded(interface: Interface, program: &ProgramInfo, is_pinned: bool) -> Guarded {
    let ingress = if interface.is_generic {
        Ingress::Generic
    } else {
        Ingress::Native
    };
    // Before Linux 6.6 there is no tcx to ask about.
    let egress = SchedClassifier::query_tcx(&interface.name, TcAttachType::Egress);
    let (_, egress) = egress.unwrap_or_default();
    let is_ours = |it: &&ProgramInfo| programs::is_cut(it.name(), EGRESS_PROGRAM);
    let egress = egress.iter().find(is_ours);
    let since = program.loaded_at();
    let since = since.and_then(|since| since.duration_since(UNIX_EPOCH).ok());
    Guarded {
        interface: interface.name,
        held_by: if is_pinned { ATTACH } else { "process" },
        since: since.map(|since| since.as_secs_f64()),
        ingress: Hooked::new(ingress.as_str(), program),
        egress: egress.map(|program| Hooked::new(Egress::Tcx.as_str(), program)),
    }
}

impl Guarded {
    fn print(&self, now: SystemTime, out: &mut impl Write) -> io::Result<()> {
        let held = match self.held_by {
            ATTACH => "held by `tcpguard attach`, until `tcpguard detach`",
            _ => "held by a process, until it ends",
        };
        writeln!(out, "{}: {held}", self.interface)?;
        if let Some(since) = self.since {
            let since = UNIX_EPOCH + Duration::from_secs_f64(since);
            let age = now.duration_since(since).unwrap_or_default().as_secs();
            let age = humantime::format_duration(Duration::from_secs(age));
            let since = humantime::format_rfc3339_seconds(since);
            writeln!(out, "  since    {since} ({age})")?;
        }
        let ingress = ("ingress", Some(&self.ingress));
        for (hook, hooked) in [ingress, ("egress", self.egress.as_ref())] {
            match hooked {
                Some(Hooked { mode, program, tag }) => {
                    writeln!(out, "  {hook:<8} {mode}, program {program}, tag {tag}")?;
                }
                None => writeln!(out, "  {hook:<8} not seen")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guarded_and_what_is_dead_is_told_in_words() {
        let hooked = |mode, program| Hooked {
            mode,
            program,
            tag: "00000000000000ff".to_owned(),
        };
        let mut status = Status {
            guards: vec![Guarded {
                interface: "eth0".to_owned(),
                held_by: "attach",
                since: Some(1_700_000_000.0),
                ingress: hooked("native", 7),
                egress: None,
            }],
            dead_pins: vec!["/sys/fs/bpf/tcpguard/1/9-egress".to_owned()],
        };
        let text = |status: &Status| {
            let mut text = Vec::new();
            let now = UNIX_EPOCH + Duration::from_secs(1_700_000_090);
            status.print(now, &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(
            text(&status),
            "eth0: held by `tcpguard attach`, until `tcpguard detach`\n\
             \x20 since    2023-11-14T22:13:20Z (1m 30s)\n\
             \x20 ingress  native, program 7, tag 00000000000000ff\n\
             \x20 egress   not seen\n\
             dead pin /sys/fs/bpf/tcpguard/1/9-egress: `tcpguard detach` removes it\n"
        );
        status.guards.clear();
        assert!(text(&status).starts_with("no interface"));
    }
}
