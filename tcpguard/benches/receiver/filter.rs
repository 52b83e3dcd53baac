//! What stands between the wire and the stack: nothing, us, or what else there is.

use std::{fs, io::Write as _, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf,
    programs::{Xdp, XdpMode},
};
use xtask::{lab::namespace::Namespace, process::output};

use crate::{
    flood::{self, Flood},
    place::{Place, RECEIVING, call},
};

const TCPGUARD: &str = env!("CARGO_BIN_EXE_tcpguard");

/// A way to filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    kind: Kind,
    /// The floods that it drops.
    pub(crate) drops: &'static [Flood],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    /// A program of the baseline.
    Program(&'static str),
    Tcpguard,
    /// A ruleset.
    Nft(&'static str),
    /// What `iptables` appends.
    Iptables(&'static [&'static str]),
}

/// In the order of the result.
pub(crate) const ALL: [Filter; 8] = [
    Filter {
        name: "no filter",
        kind: Kind::Nothing,
        drops: &[],
    },
    Filter {
        name: "bare XDP_DROP",
        kind: Kind::Program("bare_drop"),
        drops: &Flood::ALL,
    },
    Filter {
        name: "bare XDP_PASS",
        kind: Kind::Program("bare_pass"),
        drops: &[],
    },
    Filter {
        name: "tcpguard",
        kind: Kind::Tcpguard,
        drops: &Flood::ALL,
    },
    Filter {
        name: "nft, flags, ingress",
        kind: Kind::Nft(
            "table netdev bench { chain c {
                type filter hook ingress device \"flood1\" priority 0;
                tcp flags & (fin | syn | rst | ack) == 0x0 counter drop; }; }",
        ),
        drops: &[Flood::Null],
    },
    Filter {
        name: "nft, flags, prerouting",
        kind: Kind::Nft(
            "table ip bench { chain c {
                type filter hook prerouting priority raw;
                tcp flags & (fin | syn | rst | ack) == 0x0 counter drop; }; }",
        ),
        drops: &[Flood::Null],
    },
    Filter {
        name: "nft, ct state invalid",
        kind: Kind::Nft(
            "table ip bench { chain c {
                type filter hook prerouting priority mangle;
                ct state invalid counter drop; }; }",
        ),
        drops: &Flood::ALL,
    },
    Filter {
        name: "iptables, ctstate INVALID",
        kind: Kind::Iptables(&[
            "PREROUTING",
            "-t",
            "mangle",
            "-m",
            "conntrack",
            "--ctstate",
            "INVALID",
            "-j",
            "DROP",
        ]),
        drops: &Flood::ALL,
    },
];

/// A filter at work.
pub(crate) struct On {
    /// Attached while it lives.
    _object: Option<Ebpf>,
}

impl Filter {
    /// Puts it in front of the receiver's stack.
    pub(crate) fn put_on(&self, place: &Place) -> Result<On> {
        let receiver = &place.receiver;
        let mut object = None;
        match self.kind {
            Kind::Nothing => {}
            Kind::Program(name) => object = Some(attach(receiver, name, 1)?),
            Kind::Tcpguard => {
                tcpguard(
                    receiver,
                    &["attach", "--iface", RECEIVING, "--mode", "native"],
                )?;
            }
            Kind::Nft(rules) => nft(receiver, rules)?,
            Kind::Iptables(rule) => call(receiver, &[&["iptables", "-A"], rule].concat())?,
        }
        Ok(On { _object: object })
    }

    /// Takes it off.
    pub(crate) fn take_off(&self, on: On, place: &Place) -> Result<()> {
        let receiver = &place.receiver;
        drop(on);
        match self.kind {
            Kind::Nothing | Kind::Program(_) => Ok(()),
            Kind::Tcpguard => tcpguard(receiver, &["detach"]).map(drop),
            Kind::Nft(_) => nft(receiver, "flush ruleset"),
            Kind::Iptables(rule) => {
                call(receiver, &[&["iptables", "-D"], rule].concat())?;
                // The chain that it was in would be a hook for all that follow.
                nft(receiver, "flush ruleset")
            }
        }
    }
}

/// A program of the baseline in front of the receiver's stack, with room for so many connections.
pub(crate) fn attach(receiver: &Namespace, name: &str, connections: u32) -> Result<Ebpf> {
    let mut object = flood::load(name, connections)?;
    let program: &mut Xdp = object.program_mut(name).context("it is gone")?.try_into()?;
    receiver
        .within(|| program.attach(RECEIVING, XdpMode::Driver))?
        .with_context(|| format!("failed to attach {name}"))?;
    Ok(object)
}

pub(crate) fn tcpguard(receiver: &Namespace, words: &[&str]) -> Result<String> {
    output(receiver.command(TCPGUARD).args(words))
}

pub(crate) fn nft(receiver: &Namespace, rules: &str) -> Result<()> {
    let mut nft = receiver.command("nft");
    let mut nft = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
    let mut stdin = nft.stdin.take().context("nft has no stdin")?;
    stdin.write_all(rules.as_bytes())?;
    drop(stdin);
    ensure!(nft.wait()?.success(), "nft refuses {rules}");
    Ok(())
}

/// The kernel's tracker takes an ACK of no connection for one that it has missed the beginning of, unless it
/// is told not to; then it is invalid, as to us.
pub(crate) fn make_conntrack_strict(place: &Place) -> Result<()> {
    // Where it is a module, a rule that asks for it loads it.
    if let Some(filter) = ALL.iter().find(|it| it.name == "nft, ct state invalid") {
        filter.take_off(filter.put_on(place)?, place)?;
    }
    let write = || fs::write("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", "0");
    place
        .receiver
        .within(write)?
        .context("failed to make conntrack strict")
}
