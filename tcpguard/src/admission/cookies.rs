//! `--syn-cookies`: when SYNs are answered by the guard, and what the stack must be set to for that.

use std::{fmt, fs, io};

use anyhow::{Context as _, Result, bail, ensure};
use aya::util::KernelVersion;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tcpguard_common::{
    abi::Config,
    conn::seen::Voice,
    cookie::{Means, When},
    policy::ReasonSet,
};

use crate::{cli::Mode, netlink};

/// The first kernel that makes cookies for programs (Linux commit 33bf9885040c).
const MINIMUM_KERNEL: (u8, u8) = (6, 0);

/// When SYNs are answered with cookies.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SynCookies {
    /// Never
    #[default]
    Off,
    /// While a quarter of the table, or more, is handshakes that nobody completes, and until it is an eighth
    Auto,
    /// Always
    Always,
}

impl SynCookies {
    const fn when(self) -> When {
        match self {
            Self::Off => When::Off,
            Self::Auto => When::Auto,
            Self::Always => When::Always,
        }
    }

    /// In words, behind others.
    pub(crate) fn described(self) -> String {
        behind_others(self.words())
    }

    fn words(self) -> Option<String> {
        (self != Self::Off).then(|| format!("SYN cookies {self}"))
    }

    const fn of(when: When) -> Self {
        match when {
            When::Off => Self::Off,
            When::Auto => Self::Auto,
            When::Always => Self::Always,
        }
    }
}

impl fmt::Display for SynCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Auto => "auto",
            Self::Always => "always",
        })
    }
}

/// What is said of cookies, and whether sysctls may be set for them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// When they are sent.
    pub when: SynCookies,
    /// Whether what the stack lacks for them is set.
    pub sets_sysctls: bool,
}

/// What a guard has to know to send cookies that the stack takes for its own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cookies {
    when: SynCookies,
    means: Means,
    hop_limits: [u16; 2],
}

impl Cookies {
    /// As it is asked for by a guard with these constants, at work or to be attached in this mode, where stack
    /// and drivers can be relied upon.
    ///
    /// # Errors
    ///
    /// If this kernel makes no cookies, or would not take them and may not be made to, or as [`Self::apply`].
    pub(crate) fn prepare(asked: Asked, config: &Config, mode: Mode) -> Result<Self> {
        if asked.when == SynCookies::Off {
            return Ok(Self::default());
        }
        check(config)?;
        let kernel = KernelVersion::current().context("failed to find out the kernel's version")?;
        check_kernel(kernel)?;
        if mode != Mode::Generic {
            check_drivers(config)?;
        }
        if asked.sets_sysctls {
            SYNCOOKIES.set(2)?;
            // With 0 there are none, as somebody wants it.
            if TIMESTAMPS.read()? == 1 {
                TIMESTAMPS.set(2)?;
            }
        }
        let answers = SYNCOOKIES.read()?;
        ensure!(
            answers == 2,
            "SYN cookies of a guard are refused by the stack, as {SYNCOOKIES} is {answers}: set it to 2 \
             (`sysctl -w {SYNCOOKIES}=2`), or let tcpguard do that (--syn-cookies-sysctl)"
        );
        Ok(Self {
            when: asked.when,
            means: means()?,
            hop_limits: [IPV4_TTL.read_or(64), IPV6_HOP_LIMIT.read_or(64)],
        })
    }

    /// Those of a guard at work.
    pub(crate) const fn of(config: &Config) -> Self {
        Self {
            when: SynCookies::of(When::from_number(config.cookies)),
            means: config.means,
            hop_limits: config.hop_limits,
        }
    }

    /// The constants that follow.
    ///
    /// # Errors
    ///
    /// If a guard with these constants must not send cookies, or cannot know which ports answer.
    pub(crate) fn apply(self, config: &mut Config) -> Result<()> {
        if self.when != SynCookies::Off {
            check(config)?;
        }
        config.cookies = self.when.when() as u32;
        config.means = self.means;
        config.hop_limits = self.hop_limits;
        Ok(())
    }

    /// When they are sent.
    pub(crate) const fn when(self) -> SynCookies {
        self.when
    }

    /// In words; `None` if there are none.
    pub(crate) fn words(self) -> Option<String> {
        let mut words = self.when.words()?;
        if !self.means.contains(Means::TIMESTAMPS) {
            words += ", without window scale and SACK, as ";
            words += TIMESTAMPS.0;
            words += " is not 2 (--syn-cookies-sysctl sets it)";
        }
        Some(words)
    }

    /// The same behind others.
    pub(crate) fn described(self) -> String {
        behind_others(self.words())
    }
}

fn behind_others(words: Option<String>) -> String {
    words.map_or_else(String::new, |words| format!("; {words}"))
}

/// That a guard with these constants may send cookies.
fn check(config: &Config) -> Result<()> {
    ensure!(
        config.ingress.drop != ReasonSet::EMPTY,
        "a guard that only observes answers no SYN: leave --observe out, or give --syn-cookies off"
    );
    ensure!(
        config.voice != u32::from(Voice::LONE.number()),
        "SYN cookies need to see what leaves, to know which ports answer: leave --ingress-only out, or give \
         --syn-cookies off"
    );
    Ok(())
}

/// That what is answered in a driver goes out.
fn check_drivers(config: &Config) -> Result<()> {
    let is_guarded = |index| config.guarded().any(|guarded| guarded.index == index);
    for interface in netlink::interfaces()? {
        let sends = interface.is_generic || interface.sends_answers();
        ensure!(
            sends || !is_guarded(interface.index),
            "SYN cookies would not leave {}: a veth pair sends what its driver answers only if its other end \
             has an XDP program as well, and none can be seen there; use --mode generic, leave --syn-cookies \
             out, or attach a program to the other end first",
            interface.name
        );
    }
    Ok(())
}

fn check_kernel(kernel: KernelVersion) -> Result<()> {
    let (major, minor) = MINIMUM_KERNEL;
    ensure!(
        kernel >= KernelVersion::new(major, minor, 0),
        "this kernel is {kernel}, and makes no SYN cookies for a guard before {major}.{minor}: leave \
         --syn-cookies out"
    );
    Ok(())
}

/// What the stack accepts beside a cookie.
fn means() -> Result<Means> {
    let mut means = Means::NONE;
    for (sysctl, wanted, mean) in [
        (TIMESTAMPS, 2..=2, Means::TIMESTAMPS),
        (SACK, 1..=u16::MAX, Means::SACK),
        (WINDOW_SCALING, 1..=u16::MAX, Means::SCALE),
        (ECN, 1..=u16::MAX, Means::ECN),
    ] {
        if wanted.contains(&sysctl.read()?) {
            means = means.with(mean);
        }
    }
    Ok(means)
}

/// A setting of this network namespace, by its name.
#[derive(Clone, Copy)]
struct Sysctl(&'static str);

const SYNCOOKIES: Sysctl = Sysctl("net.ipv4.tcp_syncookies");
const TIMESTAMPS: Sysctl = Sysctl("net.ipv4.tcp_timestamps");
const SACK: Sysctl = Sysctl("net.ipv4.tcp_sack");
const WINDOW_SCALING: Sysctl = Sysctl("net.ipv4.tcp_window_scaling");
const ECN: Sysctl = Sysctl("net.ipv4.tcp_ecn");
const IPV4_TTL: Sysctl = Sysctl("net.ipv4.ip_default_ttl");
const IPV6_HOP_LIMIT: Sysctl = Sysctl("net.ipv6.conf.default.hop_limit");

impl Sysctl {
    fn path(self) -> String {
        format!("/proc/sys/{}", self.0.replace('.', "/"))
    }

    fn read(self) -> Result<u16> {
        let text = match fs::read_to_string(self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("this kernel has no {self}, and so no SYN cookies: leave --syn-cookies out")
            }
            read => read.with_context(|| format!("failed to read {self}"))?,
        };
        let number = text.trim().parse();
        number.with_context(|| format!("{self} is {:?}, and no number", text.trim()))
    }

    /// What hangs on no decision may be missing.
    fn read_or(self, default: u16) -> u16 {
        self.read().unwrap_or(default)
    }

    /// Sets it, and says so: it stays.
    fn set(self, wanted: u16) -> Result<()> {
        let before = self.read()?;
        if before == wanted {
            return Ok(());
        }
        let written = fs::write(self.path(), wanted.to_string());
        written.with_context(|| {
            format!("failed to set {self} to {wanted}: do it by `sysctl -w {self}={wanted}`")
        })?;
        eprintln!("{self} was {before}, is {wanted} now, and stays so");
        Ok(())
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use tcpguard_common::policy::Policy;

    use super::*;

    const ALWAYS: Cookies = Cookies {
        when: SynCookies::Always,
        means: Means::TIMESTAMPS,
        hop_limits: [64, 64],
    };

    #[test]
    fn an_old_kernel_is_told_the_minimum() {
        let told = check_kernel(KernelVersion::new(5, 19, 0)).unwrap_err();
        assert!(told.to_string().contains("before 6.0"), "{told}");
        assert!(check_kernel(KernelVersion::new(6, 1, 0)).is_ok());
    }

    #[test]
    fn who_only_observes_or_sees_one_direction_answers_nothing() {
        let mut observing = Config {
            ingress: Policy::OBSERVE,
            ..Config::DEFAULT
        };
        let told = ALWAYS.apply(&mut observing).unwrap_err().to_string();
        assert!(told.contains("--observe"), "{told}");
        assert!(Cookies::default().apply(&mut observing).is_ok());
        let mut lone = Config {
            voice: u32::from(Voice::LONE.number()),
            ..Config::DEFAULT
        };
        let told = ALWAYS.apply(&mut lone).unwrap_err().to_string();
        assert!(told.contains("--ingress-only"), "{told}");
    }

    #[test]
    fn a_guard_at_work_keeps_what_it_was_given() {
        let mut config = Config::DEFAULT;
        ALWAYS.apply(&mut config).unwrap();
        let mut again = Config::DEFAULT;
        Cookies::of(&config).apply(&mut again).unwrap();
        assert_eq!(again, config);
        assert_eq!(Cookies::of(&config).described(), "; SYN cookies always");
    }
}
