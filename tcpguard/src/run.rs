//! `tcpguard run`: attach, watch, detach.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result};

use crate::{
    cli::{OutputArgs, RunArgs},
    enforce,
    guard::{Attached, Guard, Options},
    log,
    object::Log,
    preflight,
    sample::{Egress, Ingress},
    tracking::{self, Plan, Tracking},
    watch::{self, number},
};

/// Guards until it is told to stop.
pub fn run(args: &RunArgs, verbose: bool) -> Result<ExitCode> {
    preflight::check()?;
    let options = Options {
        interfaces: args.interfaces.clone(),
        mode: args.mode,
        policy: enforce::policy(args.observe, args.enforce),
        log: if verbose { Log::Debug } else { Log::Off },
        tracking: Tracking {
            max_conns: args.max_conns,
            learn: args.learn,
            ingress_only: args.ingress_only,
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    runtime.block_on(async {
        let mut guard = Guard::attach(&options)?;
        for attached in guard.attached() {
            let _ = writeln!(io::stderr(), "{}", announcement(attached));
        }
        let _ = writeln!(io::stderr(), "{}", tracked(guard.plan()));
        if options.log == Log::Debug {
            log::follow(guard.ebpf())?;
        }
        let output = output(args.output, verbose);
        watch::watch(output, args.interval, args.duration, || guard.sample()).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Where an interface is guarded, and why there: nobody should have to guess.
fn announcement(attached: &Attached) -> String {
    let Attached {
        name,
        ingress,
        refusal,
        egress,
        ..
    } = attached;
    let ingress = match (ingress, refusal) {
        (Ingress::Native, _) => "native XDP, in the driver".to_owned(),
        (Ingress::Generic, None) => "generic XDP, in the network stack, as asked for".to_owned(),
        (Ingress::Generic, Some(why)) => {
            format!("generic XDP, in the network stack (the driver refuses native: {why})")
        }
    };
    let egress = match egress {
        Egress::Tcx => "egress observed by tcx",
        Egress::Clsact => "egress observed by a clsact filter (no tcx before Linux 6.6)",
        Egress::None => "egress not needed on loopback",
        Egress::Unseen => {
            "egress not seen, so nothing that hangs on it is checked (--ingress-only)"
        }
    };
    format!("guarding {name}: {ingress}; {egress}")
}

/// What is remembered, in how much memory, and what is not to be expected of it.
fn tracked(plan: &Plan) -> String {
    let mebibytes = tracking::octets(plan.connections).div_ceil(1 << 20);
    let mut text = format!(
        "tracking up to {0} connections of IPv4 and {0} of IPv6 in {1} MiB of kernel memory",
        number::grouped(plan.connections.into()),
        number::grouped(mebibytes),
    );
    if !plan.learning.is_zero() {
        text += "; learning those that were there before for ";
        text += &humantime::format_duration(plan.learning).to_string();
    }
    if plan.ingress_only {
        text += "; only what arrives is seen";
    }
    text
}

/// Log lines would tear the live table: with them, lines are the default.
fn output(chosen: OutputArgs, verbose: bool) -> OutputArgs {
    let none = !(chosen.json || chosen.plain || chosen.tui);
    OutputArgs {
        plain: chosen.plain || (none && verbose),
        ..chosen
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_tracked_is_told_with_its_memory_and_its_limits() {
        let host = Plan {
            transit: false,
            connections: 1 << 18,
            learning: Duration::ZERO,
            ingress_only: false,
        };
        let plain = "tracking up to 262 144 connections of IPv4 and 262 144 of IPv6 in 63 MiB of \
                     kernel memory";
        assert_eq!(tracked(&host), plain);
        let mirror = Plan {
            transit: true,
            learning: Duration::from_mins(1),
            ingress_only: true,
            ..host
        };
        let more = "; learning those that were there before for 1m; only what arrives is seen";
        assert_eq!(tracked(&mirror), format!("{plain}{more}"));
    }
}
