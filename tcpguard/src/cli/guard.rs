//! The options of what guards: `run`, `attach` and `reload`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::{MAX_CONNS, OutputArgs, duration, interval};
use crate::{
    admission::{
        cookies::SynCookies,
        inbound::Inbound,
        opening::Said,
        rate::{Rate, SourcePrefix},
    },
    enforce::ReasonList,
};

/// How a guard is attached.
#[derive(Args, Debug)]
pub struct GuardArgs {
    /// Interface to guard; may be given several times; default stands for those that default routes lead to
    #[arg(long = "iface", value_name = "IF", required_unless_present = "config")]
    pub interfaces: Vec<String>,

    /// File that says what options do not (keys are their names, in TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where the ingress program runs: auto, the default, takes native and falls back to generic
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,

    #[command(flatten)]
    pub policy: PolicyArgs,

    /// Connections to remember, of IPv4 and of IPv6 each; by default as many as suit the memory
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(i64::from(*MAX_CONNS.start())..=i64::from(*MAX_CONNS.end())))]
    pub max_conns: Option<u32>,

    /// How long connections that were there before are taken over without a witness; by default 60s
    /// where this host forwards, and not at all where it does not
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub learn: Option<Duration>,

    /// What leaves is not seen, or leaves elsewhere: check nothing that hangs on it
    #[arg(long)]
    pub ingress_only: bool,
}

impl GuardArgs {
    /// An option that was given beside the interfaces.
    pub(crate) fn choice(&self) -> Option<&'static str> {
        let choices = [
            ("--config", self.config.is_some()),
            ("--mode", self.mode.is_some()),
            ("--observe", self.policy.observe),
            ("--enforce", self.policy.enforce.is_some()),
            ("--inbound", self.policy.inbound.is_some()),
            ("--syn-limit", self.policy.syn_limit.is_some()),
            ("--syn-limit-source", self.policy.syn_limit_source.is_some()),
            ("--syn-limit-prefix", self.policy.syn_limit_prefix.is_some()),
            ("--syn-cookies", self.policy.syn_cookies.is_some()),
            ("--syn-cookies-sysctl", self.policy.syn_cookies_sysctl),
            ("--trusted", self.policy.trusted.is_some()),
            ("--denied", self.policy.denied.is_some()),
            ("--max-conns", self.max_conns.is_some()),
            ("--learn", self.learn.is_some()),
            ("--ingress-only", self.ingress_only),
        ];
        let mut given = choices.into_iter().filter(|(_, given)| *given);
        given.next().map(|(option, _)| option)
    }

    /// What of this a guard takes over that is at work already.
    pub(crate) fn reloading(&self) -> ReloadArgs {
        ReloadArgs {
            interfaces: self.interfaces.clone(),
            config: self.config.clone(),
            policy: self.policy.clone(),
            confirm: None,
        }
    }
}

/// What is attached so that it stays.
#[derive(Args, Debug)]
pub struct AttachArgs {
    #[command(flatten)]
    pub guard: GuardArgs,

    /// If `attach` guards these interfaces already, give that guard the programs of this release and
    /// the policy that is asked for, without a gap
    #[arg(long, requires = "config", conflicts_with_all = ["mode", "max_conns", "learn", "ingress_only"])]
    pub or_reload: bool,
}

/// What is dropped, and who may: what a reload changes as well.
#[derive(Args, Clone, Debug, Default)]
pub struct PolicyArgs {
    /// Count what would be dropped, and drop nothing
    #[arg(long, conflicts_with = "enforce")]
    pub observe: bool,

    /// Groups (flags, handshake, state, window) or reasons that drop; the others are only counted
    #[arg(long, value_name = "LIST")]
    pub enforce: Option<ReasonList>,

    /// To which ports connections may be opened from outside: open, closed, or ports=22,80,8000-8099;
    /// those that this host opens go on
    #[arg(long, value_name = "PORTS")]
    pub inbound: Option<Inbound>,

    /// Connections that others may open in a second through each interface, such as 5000, or off, the
    /// default; of more than that, their SYNs are dropped
    #[arg(long, value_name = "RATE")]
    pub syn_limit: Option<Rate>,

    /// The same of each source
    #[arg(long, value_name = "RATE")]
    pub syn_limit_source: Option<Rate>,

    /// How many bits of an address of IPv4 and of IPv6 make one source; by default 32,64
    #[arg(long, value_name = "BITS,BITS")]
    pub syn_limit_prefix: Option<SourcePrefix>,

    /// Answer SYNs with cookies in place of the stack, at ports that it answers; auto: while too many handshakes
    /// are not completed
    #[arg(long, value_name = "WHEN", value_enum, hide_possible_values = true)]
    pub syn_cookies: Option<SynCookies>,

    /// Set the sysctls of TCP that cookies need, and say which; they stay so
    #[arg(long)]
    pub syn_cookies_sysctl: bool,

    /// File of prefixes, one a line, of whose segments nothing is dropped, whoever sends in their name;
    /// what is no sound TCP header is dropped all the same
    #[arg(long, value_name = "FILE")]
    pub trusted: Option<PathBuf>,

    /// File of prefixes of whose segments everything is dropped; of several prefixes the longest counts
    #[arg(long, value_name = "FILE")]
    pub denied: Option<PathBuf>,
}

impl PolicyArgs {
    /// What may be opened from outside.
    pub(crate) fn opening(&self) -> Said {
        Said {
            inbound: self.inbound.clone(),
            syn_limit: self.syn_limit,
            syn_limit_source: self.syn_limit_source,
        }
    }
}

/// How a guard is attached and watched.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub guard: GuardArgs,

    /// Only watch the guard that `attach` has attached, whatever the file says that drops; never attach
    #[arg(long, conflicts_with_all = [
        "mode", "observe", "enforce", "inbound", "syn_limit", "syn_limit_source", "syn_limit_prefix",
        "syn_cookies", "syn_cookies_sysctl",
        "trusted", "denied", "max_conns", "learn", "ingress_only", "verbose",
    ])]
    pub watch: bool,

    /// Time between two readings; by default 1s
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub interval: Option<Duration>,

    /// Stop after this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,

    /// Hand out metrics for Prometheus there, such as 127.0.0.1:9640, under /metrics
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,

    #[command(flatten)]
    pub output: OutputArgs,
}

/// What is changed, and how long on trial.
#[derive(Args, Debug)]
pub struct ReloadArgs {
    /// Interface whose guard is changed, if there are several
    #[arg(long = "iface", value_name = "IF")]
    pub interfaces: Vec<String>,

    /// File that says what options do not
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    #[command(flatten)]
    pub policy: PolicyArgs,

    /// Take the change back unless it is confirmed within this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub confirm: Option<Duration>,
}

/// Where the ingress program runs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// In the driver if it can, else in the network stack
    Auto,
    /// In the driver, or not at all
    Native,
    /// In the network stack
    Generic,
}
