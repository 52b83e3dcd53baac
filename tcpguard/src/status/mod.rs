//! `tcpguard status`: what is guarded, since when, and by what.
//!
//! All of it is asked of the kernel, so it is true whoever attached what.

mod settings;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use aya::programs::ProgramInfo;
use serde::Serialize;
use tcpguard_common::abi::Config;

use self::settings::Settings;
use crate::{
    admission::opening::Opening,
    cli::StatusArgs,
    found::{self, Found},
    netlink::Interface,
    pins, preflight,
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
    /// Seconds since 1970 when it was attached.
    since: Option<f64>,
    ingress: Hooked,
    egress: Option<Hooked>,
    /// The version of tcpguard that made it.
    release: Option<String>,
    config: Option<Settings>,
    /// Why there are none.
    #[serde(skip)]
    unknown: Option<String>,
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
        let pins = pins::listed()?;
        let mut guards = Vec::new();
        let mut alive = Vec::new();
        for found in found::halves()? {
            for interface in &found.interfaces {
                let is_pinned = pins::is_pinned(&pins, interface.index);
                if is_pinned {
                    alive.push(interface.index);
                }
                guards.push(guarded(&found, interface, is_pinned));
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

fn guarded(found: &Found, interface: &Interface, is_pinned: bool) -> Guarded {
    let egress = found::observer(interface).unwrap_or_default();
    let config = found.config();
    let since = since(found, config.as_ref().ok());
    let settings = config.as_ref().ok().map(|config| {
        let opening = rule(found, interface, config)?;
        Ok(Settings::new(config, &opening))
    });
    let settings: Result<_> = settings.transpose();
    let unknown = config.as_ref().err().or(settings.as_ref().err());
    Guarded {
        interface: interface.name.clone(),
        held_by: if is_pinned { ATTACH } else { "process" },
        since,
        ingress: Hooked::new(found::ingress(interface).as_str(), &found.program),
        egress: egress.map(|(egress, program)| Hooked::new(egress.as_str(), &program)),
        release: config.as_ref().ok().map(release),
        unknown: unknown.map(ToString::to_string),
        config: settings.ok().flatten(),
    }
}

/// What may be opened by what arrives at an interface.
fn rule(found: &Found, interface: &Interface, config: &Config) -> Result<Opening> {
    let slots = config.interfaces.iter().zip(found.openings()?);
    let mut rule = slots.filter(|(slot, _)| slot.index == interface.index);
    let rule = rule.next().map(|(_, rule)| rule);
    rule.context("it was not attached to this interface")
}

/// In seconds since 1970.
fn since(found: &Found, config: Option<&Config>) -> Option<f64> {
    let since = match config {
        Some(config) => SystemTime::now().checked_sub(found.age(config)),
        None => found.program.loaded_at(),
    };
    let since = since?.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs_f64())
}

/// The version that made its programs.
pub(crate) fn release(config: &Config) -> String {
    let text = String::from_utf8_lossy(&config.release);
    text.trim_end_matches('\0').to_owned()
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
        if let Some(release) = &self.release {
            writeln!(out, "  release  {release}")?;
        }
        let unknown = self.unknown.clone();
        if let Some(config) = self.config.as_ref().map(Settings::line).or(unknown) {
            writeln!(out, "  config   {config}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tcpguard_common::{
        policy::{Policy, ReasonSet},
        reason::{Group, Reason},
    };

    use super::*;
    use crate::admission::inbound::Inbound;

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
                release: Some("0.1.0".to_owned()),
                config: Some(Settings::new(
                    &Config {
                        ingress: Policy::enforce_only(
                            ReasonSet::EMPTY
                                .with_group(Group::Window)
                                .with(Reason::FlagsNull),
                        ),
                        connections: 4096,
                        ..Config::DEFAULT
                    },
                    &Opening {
                        inbound: Inbound::CLOSED,
                        ..Opening::default()
                    },
                )),
                unknown: None,
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
             \x20 release  0.1.0\n\
             \x20 config   drops flags-null, window; inbound closed; up to 4 096 connections of each IP version\n\
             dead pin /sys/fs/bpf/tcpguard/1/9-egress: `tcpguard detach` removes it\n"
        );
        status.guards.clear();
        assert!(text(&status).starts_with("no interface"));
    }
}
