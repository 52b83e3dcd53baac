//! Interfaces between namespaces.

use std::{fmt::Write, net::IpAddr};

use anyhow::{Context, Result};

use super::{
    iproute::ip,
    namespace::Namespace,
    packet::{Mac, mac},
};

/// How a pair of veth is made. `Default` is what the kernel takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct VethOptions {
    /// Receive and transmit queues of either end.
    pub queues: Option<u32>,
    /// Largest packet of either end.
    pub mtu: Option<u32>,
}

/// Connects two namespaces, or one with itself, and switches both ends on.
pub fn veth(
    (namespace, name): (&Namespace, &str),
    (peer_namespace, peer): (&Namespace, &str),
    options: VethOptions,
) -> Result<()> {
    let queues = options
        .queues
        .map(|n| format!(" numrxqueues {n} numtxqueues {n}"));
    let mtu = options.mtu.map(|n| format!(" mtu {n}"));
    let end = format!("{}{}", mtu.unwrap_or_default(), queues.unwrap_or_default());
    let (near, far) = (namespace.name(), peer_namespace.name());
    let add = format!("link add {name}{end} type veth peer name {peer}{end} netns {far}");
    namespace
        .configure(&format!("{add}\nlink set {name} up\n"))
        .and_then(|()| peer_namespace.configure(&format!("link set {peer} up\n")))
        .with_context(|| format!("failed to connect {near} with {far} (the kernel needs veth)"))
}

/// Gives a namespace an interface of its own on another's: frames pass by the address that they
/// are for. Unlike a bridge, it leaves VLAN tags in the frames.
pub fn macvlan(
    (lower_namespace, lower): (&Namespace, &str),
    (namespace, name): (&Namespace, &str),
) -> Result<()> {
    let target = namespace.name();
    ip(&[
        "-n",
        lower_namespace.name(),
        "link",
        "add",
        "link",
        lower,
        "name",
        name,
        "netns",
        target,
        "type",
        "macvlan",
        "mode",
        "bridge",
    ])
    .with_context(|| format!("failed to connect {target} to {lower} (the kernel needs macvlan)"))?;
    namespace.configure(&format!("link set {name} up\n"))
}

/// Whether an XDP program is attached to an interface.
pub fn has_xdp(namespace: &Namespace, interface: &str) -> Result<bool> {
    let shown = ip(&["-n", namespace.name(), "link", "show", "dev", interface])?;
    Ok(shown.contains("prog/xdp"))
}

/// An interface with its addresses, one for each family at most.
#[derive(Clone, Debug)]
pub struct Station<'a> {
    /// Where it is.
    pub namespace: &'a Namespace,
    /// Its name there.
    pub interface: &'a str,
    /// Its addresses, in networks of the usual size: 24 and 64 bits.
    pub addresses: Vec<IpAddr>,
}

impl Station<'_> {
    /// Assigns the addresses, without the delay of duplicate address detection.
    pub fn assign(&self) -> Result<()> {
        let mut script = String::new();
        for address in &self.addresses {
            let device = self.interface;
            let options = if address.is_ipv4() { "" } else { " nodad" };
            let len = if address.is_ipv4() { 24 } else { 64 };
            writeln!(script, "address add {address}/{len} dev {device}{options}")?;
        }
        self.namespace.configure(&script)
    }

    /// Tells this station the Ethernet address of another, so that nobody needs to ask.
    pub fn knows(&self, other: &Station<'_>) -> Result<()> {
        self.knows_as(&other.addresses, mac(other.namespace, other.interface)?)
    }

    /// Tells this station that `addresses` are at `mac`.
    pub fn knows_as(&self, addresses: &[IpAddr], mac: Mac) -> Result<()> {
        let mac = mac.map(|octet| format!("{octet:02x}")).join(":");
        let mut script = String::new();
        for address in addresses {
            let device = self.interface;
            writeln!(
                script,
                "neigh replace {address} lladdr {mac} dev {device} nud permanent"
            )?;
        }
        self.namespace.configure(&script)
    }
}
