//! `tcpguard reload` and `tcpguard check-config`: what a pinned guard drops, changed while it works.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail, ensure};
use tcpguard_common::{abi::Config, conn::seen::Voice, policy::Policy};

use crate::{
    cli::{CheckConfigArgs, Mode, ReloadArgs},
    config::{self, File},
    enforce,
    exchange::{self, Pinned},
    found,
    pins::Pins,
    preflight, runtime,
    sample::Ingress,
    trial,
};

/// A change was taken back.
const TAKEN_BACK: u8 = 1;

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
    let mut changed = None;
    let make = || {
        changed = Some(change(&names, &file, policy)?);
        Ok(())
    };
    let is_kept = runtime::block_on(trial::is_confirmed(limit, make))?;
    match changed {
        Some(changed) if !is_kept => take_back(&changed),
        _ => {
            let _ = writeln!(io::stderr(), "confirmed");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What a reload has changed.
struct Changed {
    /// The interfaces of the guard.
    names: Vec<String>,
    /// What it was before.
    before: Config,
    /// The ingress program that it has since, as far as that is known.
    program: Option<u32>,
}

/// Changes the policy of the guard on these interfaces, or of the only one, and says so.
fn change(names: &[String], file: &File, policy: Policy) -> Result<Changed> {
    let pins = Pins::open()?;
    let guard = single(exchange::pinned(&pins, names)?)?;
    let names = guard.found.names();
    let stays = || format!("the guard on {} stays as it is", names.join(", "));
    let before = guard.config().with_context(stays)?;
    check_fixed(&guard, &before, file).with_context(stays)?;
    let config = Config {
        ingress: policy,
        egress: policy.observed(),
        ..before
    };
    let changed = guard.exchange(&pins, &config);
    changed.with_context(|| format!("cannot reload the guard on {}", names.join(", ")))?;
    // From here on nothing fails: what is changed must be known to who may have to take it back.
    let after = exchange::pinned(&pins, &names).and_then(single);
    let program = after.ok().map(|guard| guard.found.program.id());
    let dropped = enforce::described(policy.drop);
    let _ = writeln!(io::stdout(), "reloaded {}: {dropped}", names.join(", "));
    Ok(Changed {
        names,
        before,
        program,
    })
}

/// Makes the guard what it was before, unless somebody else has changed it since.
fn take_back(changed: &Changed) -> Result<ExitCode> {
    let pins = Pins::open()?;
    let names = changed.names.join(", ");
    let guards = exchange::pinned(&pins, &changed.names).unwrap_or_default();
    let is_ours = |guard: &&Pinned| {
        let program = guard.found.program.id();
        changed.program.is_none_or(|ours| ours == program)
    };
    let Some(guard) = guards.iter().find(is_ours) else {
        let _ = writeln!(
            io::stderr(),
            "not confirmed, but the guard on {names} was changed or taken off meanwhile: left alone"
        );
        return Ok(ExitCode::from(TAKEN_BACK));
    };
    let taken_back = guard.exchange(&pins, &changed.before);
    taken_back.with_context(|| format!("failed to take back the change on {names}"))?;
    let dropped = enforce::described(changed.before.ingress.drop);
    // The terminal may be gone.
    let _ = writeln!(
        io::stderr(),
        "not confirmed, so {names} is as before: {dropped}"
    );
    Ok(ExitCode::from(TAKEN_BACK))
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
