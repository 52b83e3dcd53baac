//! `tcpguard reload` and `tcpguard check-config`: what a pinned guard drops, changed while it works.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail, ensure};
use tcpguard_common::{abi::Config, conn::seen::Voice};

use crate::{
    cli::{CheckConfigArgs, Mode, ReloadArgs},
    config::{self, File},
    enforce,
    exchange::{self, Pinned},
    found,
    pins::Pins,
    preflight,
    sample::Ingress,
};

/// Gives the guard that `tcpguard attach` has attached another policy.
pub fn reload(args: &ReloadArgs) -> Result<ExitCode> {
    let file = config::given(args.config.as_deref())?;
    let says_nothing = args.config.is_none() && !args.observe && args.enforce.is_none();
    ensure!(
        !says_nothing,
        "nothing to change: give --config FILE, --enforce LIST or --observe"
    );
    preflight::check()?;
    preflight::check_reader()?;
    let pins = Pins::open()?;
    let names = if args.interfaces.is_empty() {
        &file.iface
    } else {
        &args.interfaces
    };
    let guard = single(exchange::pinned(&pins, names)?)?;
    let names = guard.found.names().join(", ");
    let policy = enforce::policy(args.observe, args.enforce, &file);
    let change = || -> Result<()> {
        let before = guard.config()?;
        check_fixed(&guard, &before, &file)?;
        let config = Config {
            ingress: policy,
            egress: policy.observed(),
            ..before
        };
        guard.exchange(&pins, &config)
    };
    change().with_context(|| format!("the guard on {names} stays as it is"))?;
    writeln!(
        io::stdout(),
        "reloaded {names}: {}",
        enforce::described(policy.drop)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Says what a file comes to.
pub fn check(args: &CheckConfigArgs) -> Result<ExitCode> {
    let file = config::read(&args.file)?;
    let interfaces = match file.iface.join(", ") {
        names if names.is_empty() => "what --iface names".to_owned(),
        names => names,
    };
    let policy = enforce::policy(false, None, &file);
    writeln!(
        io::stdout(),
        "{} is valid: guards {interfaces}; {}",
        args.file.display(),
        enforce::described(policy.drop)
    )?;
    Ok(ExitCode::SUCCESS)
}

fn single(mut guards: Vec<Pinned>) -> Result<Pinned> {
    let names: Vec<_> = guards
        .iter()
        .map(|guard| guard.found.names().join(" and "))
        .collect();
    match guards.pop() {
        Some(guard) if guards.is_empty() => Ok(guard),
        _ => bail!(
            "there are {} guards, and one is reloaded at a time: choose by --iface ({})",
            names.len(),
            names.join("; ")
        ),
    }
}

/// Refuses a file that says of the guard what only another one could be.
fn check_fixed(guard: &Pinned, config: &Config, file: &File) -> Result<()> {
    let guarded = guard.found.names();
    let others = file.iface.iter().any(|name| !guarded.contains(name));
    let is_lone = config.voice == u32::from(Voice::LONE.number());
    let mut modes = guard.found.interfaces.iter().map(found::ingress);
    let fixed = [
        (
            "iface",
            others || (!file.iface.is_empty() && file.iface.len() < guarded.len()),
        ),
        (
            "max-conns",
            file.max_conns.is_some_and(|it| it != config.connections),
        ),
        (
            "ingress-only",
            file.ingress_only.is_some_and(|it| it != is_lone),
        ),
        (
            "mode",
            match file.mode {
                None | Some(Mode::Auto) => false,
                Some(Mode::Native) => modes.any(|mode| mode != Ingress::Native),
                Some(Mode::Generic) => modes.any(|mode| mode != Ingress::Generic),
            },
        ),
    ];
    let fixed = fixed.into_iter().filter(|(_, differs)| *differs);
    let keys: Vec<_> = fixed.map(|(key, _)| key).collect();
    ensure!(
        keys.is_empty(),
        "{} cannot be changed while it works: `tcpguard detach`, then `tcpguard attach`; connections \
         of this host are adopted",
        keys.join(", ")
    );
    Ok(())
}
