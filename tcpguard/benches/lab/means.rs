//! What may stand between the wire and the receiver's stack: nothing, programs, us, or a ruleset.

use std::{fs, io::Write as _, mem, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf,
    programs::{LinkOrder, Program, SchedClassifier, TcAttachType, XdpMode, tc::TcAttachOptions},
};
use xtask::{lab::namespace::Namespace, process::output};

use super::{
    baseline,
    place::{Place, RECEIVING, SENDING, call},
};

pub(crate) const TCPGUARD: &str = env!("CARGO_BIN_EXE_tcpguard");
pub(crate) const ATTACH: [&str; 5] = ["attach", "--iface", RECEIVING, "--mode", "native"];
/// Answers all SYNs itself.
pub(crate) const COOKIES: &[&str] = &["--syn-cookies", "always", "--syn-cookies-sysctl"];

/// A way to filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    Nothing,
    /// Programs of the baseline, each at the hook that it is made for.
    Programs(&'static [&'static str]),
    /// With further arguments.
    Tcpguard(&'static [&'static str]),
    /// A ruleset.
    Nft(&'static str),
    /// What `iptables` appends.
    Iptables(&'static [&'static str]),
}

/// A filter at work, until it is dropped at the latest.
pub(crate) struct On<'a> {
    means: Means,
    place: &'a Place,
    /// Attached while it lives.
    object: Option<Ebpf>,
}

impl Means {
    /// Puts it in front of the receiver's stack.
    pub(crate) fn put_on(self, place: &Place) -> Result<On<'_>> {
        let receiver = &place.receiver;
        let mut object = None;
        match self {
            Self::Nothing => {}
            Self::Programs(names) => object = Some(attach((receiver, RECEIVING), names, 1)?),
            Self::Tcpguard(args) => {
                tcpguard(receiver, &[&ATTACH[..], args].concat())?;
            }
            Self::Nft(rules) => nft(receiver, rules)?,
            Self::Iptables(rule) => call(receiver, &[&["iptables", "-A"], rule].concat())?,
        }
        Ok(On {
            means: self,
            place,
            object,
        })
    }
}

impl On<'_> {
    pub(crate) fn take_off(mut self) -> Result<()> {
        self.remove()
    }

    fn remove(&mut self) -> Result<()> {
        let receiver = &self.place.receiver;
        self.object = None;
        match mem::replace(&mut self.means, Means::Nothing) {
            Means::Nothing | Means::Programs(_) => Ok(()),
            Means::Tcpguard(_) => tcpguard(receiver, &["detach"]).map(drop),
            Means::Nft(_) => nft(receiver, "flush ruleset"),
            Means::Iptables(rule) => {
                call(receiver, &[&["iptables", "-D"], rule].concat())?;
                // The chain that it was in would be a hook for all that follow.
                nft(receiver, "flush ruleset")
            }
        }
    }
}

impl Drop for On<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("warning: {error:#}");
        }
    }
}

/// What is answered to a flood goes to nobody, as on a wire, and costs the sender's CPU nothing; and a veth pair
/// sends what the driver of one end answers only if the other end has a program. Until it is dropped.
pub(crate) fn absorb_answers(place: &Place) -> Result<Ebpf> {
    attach((&place.sender, SENDING), &["absorb"], 1)
}

/// Programs of the baseline on an interface, with room for so many connections.
pub(crate) fn attach(
    (namespace, interface): (&Namespace, &str),
    names: &[&str],
    connections: u32,
) -> Result<Ebpf> {
    let mut object = baseline::open_for(connections)?;
    for name in names {
        let program = baseline::program(&mut object, name)?;
        namespace
            .within(|| load_and_attach(program, interface))?
            .with_context(|| format!("failed to attach {name} of the baseline"))?;
    }
    Ok(object)
}

fn load_and_attach(program: &mut Program, interface: &str) -> Result<()> {
    if let Program::Xdp(ingress) = program {
        ingress.load()?;
        ingress.attach(interface, XdpMode::Driver)?;
        return Ok(());
    }
    let egress: &mut SchedClassifier = program.try_into()?;
    let order = TcAttachOptions::TcxOrder(LinkOrder::default());
    egress.load()?;
    egress.attach_with_options(interface, TcAttachType::Egress, order)?;
    Ok(())
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
    let write = || fs::write("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", "0");
    place
        .receiver
        .within(write)?
        .context("failed to make conntrack strict")
}
