//! `tcpguard reload` and `tcpguard check-config`: what a pinned guard drops, changed while it works.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail, ensure};
use tcpguard_common::{
    abi::Config,
    conn::seen::Voice,
    policy::{Policy, ReasonSet},
};

use crate::{
    cli::{CheckConfigArgs, Mode, ReloadArgs},
    config::{self, File},
    enforce,
    exchange::{self, Exchanged, Pinned},
    found,
    pins::Pins,
    preflight, runtime,
    sample::Ingress,
    trial::{self, Trial},
};

/// A change was not confirmed.
const UNCONFIRMED: u8 = 1;

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
    let policy = enforce::policy(args.observe, args.enforce, &file);
    let names = if args.interfaces.is_empty() {
        file.iface.clone()
    } else {
        args.interfaces.clone()
    };
    let Some(limit) = args.confirm else {
        change(&names, &file, policy)?;
        return Ok(ExitCode::SUCCESS);
    };
    let make = || change(&names, &file, policy);
    match runtime::block_on(trial::run(limit, make))? {
        Trial::Kept => {
            let _ = writeln!(io::stderr(), "confirmed");
            Ok(ExitCode::SUCCESS)
        }
        Trial::Refused(changed) => take_back(changed),
    }
}

/// What a reload has changed.
struct Changed {
    /// What was dropped before.
    before: ReasonSet,
    exchanged: Exchanged,
}

/// Changes the policy of the guard on these interfaces, or of the only one, and says so.
fn change(names: &[String], file: &File, policy: Policy) -> Result<Changed> {
    let pins = Pins::open()?;
    let guard = single(exchange::pinned(&pins, names)?)?;
    let names = guard.found.names().join(", ");
    let stays = || format!("the guard on {names} stays as it is");
    let before = guard.config().with_context(stays)?;
    check_fixed(&guard, &before, file).with_context(stays)?;
    let config = Config {
        ingress: policy,
        egress: policy.observed(),
        ..before
    };
    let exchanged = guard.exchange(&pins, &config);
    let exchanged = exchanged.with_context(|| format!("cannot reload the guard on {names}"))?;
    // From here on nothing fails: what is changed must be known to who may have to take it back.
    let dropped = enforce::described(policy.drop);
    let _ = writeln!(io::stdout(), "reloaded {names}: {dropped}");
    Ok(Changed {
        before: before.ingress.drop,
        exchanged,
    })
}

/// Makes the guard what it was before, but for what somebody else has changed since.
fn take_back(changed: Changed) -> Result<ExitCode> {
    // Nobody may be there to try again.
    let pins = Pins::open_at_last()?;
    let taken_back = changed.exchanged.take_back(&pins);
    let taken_back = taken_back.context("not confirmed, but not all could be taken back")?;
    // The terminal may be gone.
    let mut stderr = io::stderr();
    if !taken_back.restored.is_empty() {
        let names = taken_back.restored.join(", ");
        let dropped = enforce::described(changed.before);
        let _ = writeln!(stderr, "not confirmed, so {names} is as before: {dropped}");
    }
    for pin in &taken_back.left {
        let _ = writeln!(
            stderr,
            "not confirmed, but {pin} was changed or taken off meanwhile: left alone"
        );
    }
    Ok(ExitCode::from(UNCONFIRMED))
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
