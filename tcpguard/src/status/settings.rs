//! What a guard was attached with, from its constants.

use serde::Serialize;
use tcpguard_common::{
    abi::Config,
    conn::{seen::Voice, time::SECOND},
    policy::ReasonSet,
    reason::Reason,
};

use crate::{
    admission::{
        self,
        cookies::{Cookies, SynCookies},
        opening::Opening,
        rate::SourcePrefix,
    },
    enforce,
    watch::number,
};

/// How a guard was attached.
#[derive(Serialize)]
pub(super) struct Settings {
    #[serde(skip)]
    reasons: ReasonSet,
    /// Reasons that drop.
    drop: Vec<&'static str>,
    max_conns: u32,
    learn_s: f64,
    transit: bool,
    ingress_only: bool,
    /// `open`, `closed` or `ports=...`
    inbound: String,
    /// Connections a second that may be opened through it; nothing if there is no limit.
    syn_limit: Option<u32>,
    /// The same of each source.
    syn_limit_source: Option<u32>,
    /// How many bits of an address of IPv4 and of IPv6 make one source.
    syn_limit_prefix: SourcePrefix,
    /// `off`, `auto` or `always`
    syn_cookies: SynCookies,
    #[serde(skip)]
    cookies: Option<String>,
    #[serde(skip)]
    opening: Option<String>,
    /// How many are trusted or denied.
    prefixes: u32,
}

impl Settings {
    /// Of an interface with this rule.
    pub(super) fn new(config: &Config, opening: &Opening) -> Self {
        let cookies = Cookies::of(config);
        let reasons = config.ingress.drop;
        let drop = Reason::ALL
            .into_iter()
            .filter(|reason| reasons.contains(*reason));
        Self {
            reasons,
            drop: drop.map(Reason::as_str).collect(),
            max_conns: config.connections,
            learn_s: f64::from(config.learn_for) / f64::from(SECOND),
            transit: config.transit != 0,
            ingress_only: config.voice == u32::from(Voice::LONE.number()),
            inbound: opening.inbound.to_string(),
            syn_limit: opening.limit.limit(),
            syn_limit_source: opening.source_limit.limit(),
            syn_limit_prefix: admission::source_prefix(config),
            syn_cookies: cookies.when(),
            cookies: cookies.words(),
            opening: opening.words(),
            prefixes: config.prefixes.iter().sum(),
        }
    }

    /// In a line, and with groups where they are whole.
    pub(super) fn line(&self) -> String {
        let room = number::grouped(self.max_conns.into());
        let mut parts = vec![
            enforce::described(self.reasons),
            format!("inbound {}", self.opening.as_deref().unwrap_or("open")),
            format!("up to {room} connections of each IP version"),
        ];
        if self.syn_limit_prefix != SourcePrefix::default() {
            parts.push(format!("a source is {}", self.syn_limit_prefix));
        }
        if self.prefixes > 0 {
            let prefixes = number::grouped(self.prefixes.into());
            parts.push(format!("prefixes that are trusted or denied: {prefixes}"));
        }
        parts.extend(self.cookies.clone());
        if self.transit {
            parts.push("connections go through this host".to_owned());
        }
        if self.learn_s > 0.0 {
            parts.push(format!("the first {} s are for learning", self.learn_s));
        }
        if self.ingress_only {
            parts.push("what leaves is not seen (--ingress-only)".to_owned());
        }
        parts.join("; ")
    }
}
