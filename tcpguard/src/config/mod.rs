//! The configuration file: what the options of a guard say, in TOML, under their names.
//!
//! ```toml
//! iface = ["eth0"]
//! enforce = ["flags", "window"]
//! max-conns = 262144
//! ```
//!
//! An option on the command line goes before the file. A key that nobody knows is an error.

mod complaint;

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    admission::{
        cookies::{Asked, SynCookies},
        inbound::Inbound,
        opening::{Rules, Said},
        rate::{Rate, SourcePrefix},
        sources::Sources,
    },
    alarm::Thresholds,
    cli::{MAX_CONNS, Mode, PolicyArgs, shortest},
    enforce::ReasonList,
};

/// What a file says; `None` where it says nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// Names of the interfaces.
    #[serde(default)]
    pub iface: Vec<String>,
    /// Where the ingress program runs.
    pub mode: Option<Mode>,
    /// Whether nothing is dropped.
    pub observe: Option<bool>,
    /// What drops.
    #[serde(default, deserialize_with = "reasons")]
    pub enforce: Option<ReasonList>,
    /// Connections of each version of IP.
    #[serde(default, deserialize_with = "connections")]
    pub max_conns: Option<u32>,
    /// How long connections are learned.
    #[serde(default, deserialize_with = "time")]
    pub learn: Option<Duration>,
    /// Whether what leaves is never seen.
    pub ingress_only: Option<bool>,
    /// Time between two readings of `run`.
    #[serde(default, deserialize_with = "interval")]
    pub interval: Option<Duration>,
    /// How `run` shows readings.
    pub output: Option<Output>,
    /// Where `run` hands out metrics.
    pub metrics: Option<SocketAddr>,
    /// To which ports connections may be opened from outside.
    pub inbound: Option<Inbound>,
    /// How many connections may be opened from outside in a second, through each interface.
    pub syn_limit: Option<Rate>,
    /// The same of each source.
    pub syn_limit_source: Option<Rate>,
    /// How many bits of an address make one source.
    pub syn_limit_prefix: Option<SourcePrefix>,
    /// When SYNs are answered with cookies.
    pub syn_cookies: Option<SynCookies>,
    /// Whether sysctls are set for that.
    pub syn_cookies_sysctl: Option<bool>,
    /// File of prefixes of whose segments nothing is dropped; from where this file is.
    pub trusted: Option<PathBuf>,
    /// File of prefixes of whose segments everything is dropped.
    pub denied: Option<PathBuf>,
    /// From which rate on there are alarms.
    #[serde(default)]
    pub(crate) alert: Thresholds,
    /// What is said of single interfaces, by name.
    #[serde(default)]
    pub interface: BTreeMap<String, Said>,
}

impl File {
    /// What is said of sources, by the files that the options name or else this one.
    ///
    /// # Errors
    ///
    /// If one of them cannot be read, or has a line that makes no sense.
    pub(crate) fn sources(&self, options: &PolicyArgs) -> Result<Sources> {
        let trusted = options.trusted.as_ref().or(self.trusted.as_ref());
        let denied = options.denied.as_ref().or(self.denied.as_ref());
        Sources::read(trusted.map(PathBuf::as_path), denied.map(PathBuf::as_path))
    }

    /// What may be opened from outside, unless the options say so.
    pub(crate) fn openings(&self, options: &PolicyArgs) -> Rules {
        let said = Said {
            inbound: self.inbound.clone(),
            syn_limit: self.syn_limit,
            syn_limit_source: self.syn_limit_source,
        };
        Rules {
            anywhere: options.opening().or(&said),
            at: self.interface.clone(),
        }
    }

    /// When SYNs are answered with cookies, unless the options say so; `None` if neither does.
    pub(crate) fn cookies(&self, options: &PolicyArgs) -> Option<Asked> {
        let when = options.syn_cookies.or(self.syn_cookies)?;
        Some(Asked {
            when,
            sets_sysctls: options.syn_cookies_sysctl || self.syn_cookies_sysctl == Some(true),
        })
    }

    /// What is one source, unless the option says so.
    pub(crate) fn source(&self, options: &PolicyArgs) -> Option<SourcePrefix> {
        options.syn_limit_prefix.or(self.syn_limit_prefix)
    }
}

/// How readings are shown, as the flag of the same name says.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Objects.
    Json,
    /// Lines.
    Plain,
    /// The live table.
    Tui,
}

/// Reads a file.
///
/// # Errors
///
/// If it cannot be read, or says what it must not: with its name, line and column.
pub fn read(path: &Path) -> Result<File> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("failed to read {shown}"))?;
    let mut file = parse(&text).map_err(|complaint| anyhow!("{shown}:{complaint}"))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    for list in [&mut file.trusted, &mut file.denied].into_iter().flatten() {
        *list = directory.join(&*list);
    }
    Ok(file)
}

/// The file that an option names; an empty one if there is none.
pub(crate) fn given(path: Option<&Path>) -> Result<File> {
    path.map_or_else(|| Ok(File::default()), read)
}

/// Reads the text of a file.
///
/// # Errors
///
/// What is wrong with it, beginning with line and column, and with the line itself.
pub fn parse(text: &str) -> Result<File, String> {
    let file: File = toml::from_str(text).map_err(|error| complaint::complaint(text, &error))?;
    if file.observe == Some(true) && file.enforce.is_some() {
        return Err(complaint::at_key(
            text,
            "observe",
            "observe drops nothing, and enforce says what drops: leave one of them out",
        ));
    }
    Ok(file)
}

fn reasons<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ReasonList>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    let list = names.join(",").parse().map_err(D::Error::custom)?;
    Ok(Some(list))
}

fn connections<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let number = i64::deserialize(from)?;
    match u32::try_from(number) {
        Ok(connections) if MAX_CONNS.contains(&connections) => Ok(Some(connections)),
        _ => Err(D::Error::custom(format!(
            "{number} is not in {}..={}",
            MAX_CONNS.start(),
            MAX_CONNS.end()
        ))),
    }
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    let time = humantime::parse_duration(&text);
    let time = time.map_err(|error| {
        D::Error::custom(format!("{error}; give a time such as \"500ms\" or \"2m\""))
    })?;
    Ok(Some(time))
}

fn interval<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    match time(from)?.map(shortest) {
        None => Ok(None),
        Some(interval) => interval.map(Some).map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use tcpguard_common::{policy::ReasonSet, reason::Reason};

    use super::*;

    fn complaint(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn every_key_is_read() {
        let file = parse(
            "iface = [\"eth0\", \"eth1\"]\nmode = \"native\"\nobserve = false\n\
             enforce = [\"flags-null\"]\nmax-conns = 4096\nlearn = \"90s\"\n\
             ingress-only = true\ninterval = \"500ms\"\noutput = \"json\"\n\
             metrics = \"127.0.0.1:9640\"\ninbound = { ports = [443, \"8000-8099\"] }\n\
             syn-limit = 5000\nsyn-limit-source = \"50/s\"\nsyn-limit-prefix = [24, 56]\n\
             syn-cookies = \"auto\"\nsyn-cookies-sysctl = true\n\
             trusted = \"office.txt\"\ndenied = \"/etc/bad.txt\"\n\
             [interface.eth1]\ninbound = \"closed\"\nsyn-limit = \"off\"\n",
        );
        let file = file.unwrap();
        assert_eq!(file.iface, ["eth0", "eth1"]);
        assert_eq!(file.mode, Some(Mode::Native));
        assert_eq!(file.observe, Some(false));
        let only = ReasonSet::EMPTY.with(Reason::FlagsNull);
        assert_eq!(file.enforce, Some(ReasonList(only)));
        assert_eq!(file.max_conns, Some(4096));
        assert_eq!(file.learn, Some(Duration::from_secs(90)));
        assert_eq!(file.ingress_only, Some(true));
        assert_eq!(file.interval, Some(Duration::from_millis(500)));
        assert_eq!(file.output, Some(Output::Json));
        assert_eq!(file.trusted, Some("office.txt".into()));
        assert_eq!(file.denied, Some("/etc/bad.txt".into()));
        let mut options = PolicyArgs::default();
        let Rules { anywhere, at } = file.openings(&options);
        let inbound = anywhere.inbound.unwrap().to_string();
        assert_eq!(inbound, "ports=443,8000-8099");
        let rates = [anywhere.syn_limit, anywhere.syn_limit_source];
        assert_eq!(rates.map(|it| it.unwrap().limit()), [Some(5000), Some(50)]);
        let eth1 = &at["eth1"];
        assert_eq!(eth1.inbound, Some(Inbound::CLOSED));
        assert_eq!(
            (eth1.syn_limit, eth1.syn_limit_source),
            (Some(Rate::OFF), None)
        );
        assert_eq!(file.source(&options), "24,56".parse().ok());
        let cookies = file.cookies(&options).unwrap();
        assert_eq!(
            (cookies.when, cookies.sets_sysctls),
            (SynCookies::Auto, true)
        );
        options.inbound = Some(Inbound::Open);
        let anywhere = file.openings(&options).anywhere;
        assert_eq!(anywhere.inbound, Some(Inbound::Open));
        assert_eq!(anywhere.syn_limit.unwrap().limit(), Some(5000));
        assert_eq!(file.metrics, "127.0.0.1:9640".parse().ok());
    }

    #[test]
    fn an_unknown_key_is_answered_with_its_place_and_the_nearest_one() {
        let told = complaint("iface = [\"eth0\"]\nobserv = true\n");
        assert!(told.starts_with("2:1: unknown key `observ`"), "{told}");
        assert!(told.contains("did you mean `observe`?"), "{told}");
        assert!(told.contains("2 | observ = true"), "{told}");
        let told = complaint("zzz = 1");
        assert!(!told.contains("did you mean"), "{told}");
        assert!(told.contains("`max-conns`"), "{told}");
    }

    #[test]
    fn a_wrong_value_is_answered_with_its_place_and_what_fits() {
        for (text, words) in [
            ("max-conns = 3", ["1:13:", "16..=16000000"]),
            ("max-conns = \"many\"", ["1:13:", "invalid type: string"]),
            ("enforce = [\"flag\"]", ["1:11:", "groups: flags"]),
            ("\nlearn = \"soon\"", ["2:9:", "such as"]),
            ("interval = \"1ms\"", ["1:12:", "10ms"]),
            ("metrics = \"here\"", ["1:11:", "socket address"]),
            ("mode = \"fast\"", ["1:8:", "generic"]),
            ("iface = \"eth0\"", ["1:9:", "sequence"]),
            ("inbound = \"shut\"", ["1:11:", "ports=22"]),
            ("inbound = 22", ["1:11:", "closed"]),
            ("syn-limit = 0", ["1:13:", "or off"]),
            ("syn-limit-source = \"many\"", ["1:20:", "500/s"]),
            ("syn-limit-prefix = [33, 64]", ["1:20:", "1 to 32"]),
            ("syn-cookies = \"on\"", ["1:15:", "`always`"]),
            ("inbound = { port = [22] }", ["1:", "`ports`"]),
            ("inbound = { ports = [0] }", ["1:", "neither a port"]),
            (
                "[interface.eth1]\ninbund = 1",
                ["2:1:", "did you mean `inbound`"],
            ),
            (
                "observe = true\nenforce = [\"flags\"]",
                ["1:1:", "leave one"],
            ),
            (
                "[alert]\nflag-null = 1",
                ["2:1:", "did you mean `flags-null`"],
            ),
            ("[alert]\nstate = 0", ["2:9:", "from 1 on"]),
            ("[alert]\nstate = \"of\"", ["2:9:", "or \"off\""]),
            ("iface = [", ["1:", "array"]),
            ("observe = true\nobserve = true", ["2:1:", "duplicate key"]),
        ] {
            let told = complaint(text);
            for word in words {
                assert!(told.contains(word), "no {word:?} to {text:?}: {told}");
            }
        }
    }

    /// The file that the package has, with each key said but one that excludes another.
    fn whole() -> String {
        let said = include_str!("../../dist/tcpguard.toml").lines();
        let said = said.filter(|line| !line.starts_with("#observe"));
        let keys = said.map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with([' ', '#']) => key,
            _ => line,
        });
        keys.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_file_of_the_package_is_valid_with_every_key_said() {
        let file = parse(&whole()).unwrap();
        assert!(file.syn_limit.is_some() && file.interface.len() == 1);
    }
}
