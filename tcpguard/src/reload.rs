//! `tcpguard reload` and `tcpguard check-config`: what a pinned guard drops, changed while it works.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};
use tcpguard_common::{
    abi::Config,
    conn::seen::Voice,
    policy::{Policy, ReasonSet, Standing},
};

use crate::{
    admission::{
        self, Admission,
        cookies::{Asked, Cookies},
        opening::{self, Opening, Rules},
        rate::SourcePrefix,
        sources::Sources,
    },
    cli::{CheckConfigArgs, Mode, PolicyArgs, ReloadArgs},
    config::{self, File},
    enforce,
    exchange::{self, Exchanged, Pinned},
    found::{self, Found},
    guard::refuse_fixed,
    netlink::{self, Interface},
    pins::{Pins, Sole},
    preflight, runtime,
    trial::{self, Trial},
};

/// A change was not confirmed.
const UNCONFIRMED: u8 = 1;

/// Gives the guard that `tcpguard attach` has attached another policy.
pub fn reload(args: &ReloadArgs) -> Result<ExitCode> {
    let file = config::given(args.config.as_deref())?;
    let wish = Wish::new(args, file)?;
    ensure!(
        wish.says_something(),
        "nothing to change: give --config FILE, --enforce LIST, --observe, --inbound PORTS, \
         --syn-limit RATE, --syn-limit-source RATE, --syn-limit-prefix BITS,BITS, --syn-cookies WHEN, \
         --trusted FILE or --denied FILE"
    );
    preflight::check()?;
    preflight::check_reader()?;
    let Some(limit) = args.confirm else {
        let (_changed, told) = change(&wish)?;
        let _ = writeln!(io::stdout(), "{told}");
        return Ok(ExitCode::SUCCESS);
    };
    let make = || change(&wish);
    match runtime::block_on(trial::run(limit, make))? {
        Trial::Kept => {
            let _ = writeln!(io::stderr(), "confirmed");
            Ok(ExitCode::SUCCESS)
        }
        Trial::Refused(changed) => take_back(changed),
    }
}

/// What a guard is to be.
struct Wish {
    /// Its interfaces.
    names: Vec<String>,
    /// What is dropped; as before if that is not said.
    policy: Option<Policy>,
    /// What may be opened from outside; as before where nothing is said, unless a file is the whole.
    openings: Rules,
    /// What is one source to the limits of that; as before if that is not said.
    source: Option<SourcePrefix>,
    /// When SYNs are answered with cookies; as before if that is not said.
    cookies: Option<Asked>,
    /// Whether a file says it all.
    is_whole: bool,
    /// What is said of sources, of these standings; of others as before.
    sources: Sources,
    standings: Vec<Standing>,
    file: File,
}

impl Wish {
    /// A file is the whole of it; without one, what the options do not name stays.
    fn new(args: &ReloadArgs, mut file: File) -> Result<Self> {
        let is_whole = args.config.is_some();
        let said = &args.policy;
        let drops = is_whole || said.observe || said.enforce.is_some();
        let standings = [
            (Standing::Trusted, is_whole || said.trusted.is_some()),
            (Standing::Denied, is_whole || said.denied.is_some()),
        ];
        let standings = standings.into_iter().filter(|(_, is_said)| *is_said);
        if !args.interfaces.is_empty() {
            // The option goes before the file, which may be that of other guards as well.
            file.iface.clear();
        }
        file.iface = netlink::named(&file.iface)?;
        let names = match &args.interfaces[..] {
            [] => file.iface.clone(),
            given => netlink::named(given)?,
        };
        Ok(Self {
            names,
            policy: drops.then(|| enforce::policy(said.observe, said.enforce, &file)),
            openings: file.openings(said),
            source: file.source(said),
            cookies: file.cookies(said),
            is_whole,
            sources: file.sources(said)?,
            standings: standings.map(|(standing, _)| standing).collect(),
            file,
        })
    }

    fn says_something(&self) -> bool {
        self.policy.is_some()
            || !self.openings.anywhere.is_nothing()
            || self.source.is_some()
            || self.cookies.is_some()
            || !self.standings.is_empty()
    }

    /// Who may, for a guard.
    fn admission(&self, found: &Found, config: &Config) -> Result<Admission> {
        Ok(Admission {
            openings: self.openings(found, config)?,
            source: self.source(config),
            sources: found.sources()?.with(&self.sources, &self.standings)?,
            cookies: self.cookies(config)?,
        })
    }

    /// What may be opened from outside, by the slots of the guard's interfaces.
    fn openings(&self, found: &Found, config: &Config) -> Result<Vec<Opening>> {
        let places = found.slots(config).zip(found.openings()?);
        self.openings
            .of(places.map(|(interface, before)| opening::Place {
                name: interface.map_or("", |it| &it.name),
                is_loopback: interface.is_some_and(Interface::is_loopback),
                before: if self.is_whole {
                    Opening::default()
                } else {
                    before
                },
            }))
    }

    fn cookies(&self, config: &Config) -> Result<Cookies> {
        match self.cookies {
            Some(asked) => Cookies::prepare(asked, config, Mode::Auto),
            None if self.is_whole => Ok(Cookies::default()),
            None => Ok(Cookies::of(config)),
        }
    }

    fn source(&self, config: &Config) -> SourcePrefix {
        match self.source {
            Some(source) => source,
            None if self.is_whole => SourcePrefix::default(),
            None => admission::source_prefix(config),
        }
    }
}

/// What a reload has changed.
struct Changed {
    /// What was dropped before.
    before: ReasonSet,
    exchanged: Exchanged,
    /// As long as this is open, nobody else changes anything.
    _sole: Option<Sole>,
}

/// Makes a guard what it is to be, and returns what is to be said of that.
fn change(wish: &Wish) -> Result<(Changed, String)> {
    let pins = Pins::open()?;
    let sole = pins.sole()?;
    let guards = exchange::pinned(&pins, &wish.names)?;
    let guard = found::single(guards, |guard| &guard.found, "is reloaded")?;
    let names = guard.found.names().join(", ");
    let stays = || format!("the guard on {names} stays as it is");
    let before = guard.config().with_context(stays)?;
    check_fixed(&guard, &before, &wish.file).with_context(stays)?;
    let policy = wish.policy.unwrap_or(before.ingress);
    let config = Config {
        ingress: policy,
        egress: policy.observed(),
        ..before
    };
    let admission = wish.admission(&guard.found, &config).with_context(stays)?;
    admission::check_session(&admission.sources, &policy).with_context(stays)?;
    let exchanged = guard.exchange(&pins, &config, &admission);
    let exchanged = exchanged.with_context(|| format!("cannot reload the guard on {names}"))?;
    // From here on nothing fails: what is changed must be known to who may have to take it back.
    let present = guard.found.slots(&config).zip(admission.openings);
    let present = present.filter_map(|(interface, rule)| Some((interface?.name.clone(), rule)));
    let rules: Vec<_> = present.collect();
    let told = admission::described(policy.drop, &rules, &admission.sources);
    let changed = Changed {
        before: before.ingress.drop,
        exchanged,
        _sole: sole,
    };
    let cookies = admission.cookies.described();
    Ok((changed, format!("reloaded {names}: {told}{cookies}")))
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
    let nothing = PolicyArgs::default();
    let openings = file.openings(&nothing).named();
    let cookies = file.cookies(&nothing).unwrap_or_default().when.described();
    writeln!(
        io::stdout(),
        "{} is valid: guards {interfaces}; {}{cookies}",
        args.file.display(),
        admission::described(policy.drop, &openings, &file.sources(&nothing)?)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses a file that says of the guard what only another one could be.
fn check_fixed(guard: &Pinned, config: &Config, file: &File) -> Result<()> {
    let guarded = guard.found.names();
    let others = file.iface.iter().any(|name| !guarded.contains(name));
    let is_lone = config.voice == u32::from(Voice::LONE.number());
    let mut ingresses = guard.found.interfaces.iter().map(found::ingress);
    let mode = file.mode.unwrap_or(Mode::Auto);
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
        ("mode", !ingresses.all(|it| it.suits(mode))),
    ];
    refuse_fixed(fixed, "`tcpguard detach`, then `tcpguard attach`")
}
