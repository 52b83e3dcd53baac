//! Two hosts and a cable, and one thread that does all that a frame costs the second host.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::{net::if_::if_nametoindex, unistd::Pid};
use serde_json::Value;
use xtask::{
    lab::{
        link::{Station, VethOptions, veth},
        namespace::Namespace,
        packet::{Mac, mac},
        site::Family,
    },
    process::output,
};

use super::cpus::{Cpus, THIS};

/// The interface of the sender, and that of the receiver.
pub(crate) const SENDING: &str = "flood0";
pub(crate) const RECEIVING: &str = "flood1";

/// Where the sender's honest clients are, outside of the network that floods come from.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 1);
/// Where the receiver is.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 2);
/// The same of IPv6.
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 10, 0, 0, 0, 0, 1);
const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 10, 0, 0, 0, 0, 2);

/// Where the receiver is.
pub(crate) fn server(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => SERVER.into(),
        Family::Ipv6 => SERVER6.into(),
    }
}

/// Sender and receiver.
pub(crate) struct Place {
    pub(crate) sender: Namespace,
    pub(crate) receiver: Namespace,
    pub(crate) cpus: Cpus,
    /// The kernel's thread that takes frames off the receiver's interface.
    pub(crate) poller: Pid,
}

impl Place {
    /// A thread of its own deals with what the receiver gets, and another one with its answers, on another
    /// CPU if there are two. This thread is the sender's from now on.
    pub(crate) fn new(cpus: Cpus) -> Result<Self> {
        let (sender, receiver) = (Namespace::new("flooding")?, Namespace::new("flooded")?);
        veth(
            (&sender, SENDING),
            (&receiver, RECEIVING),
            VethOptions::default(),
        )?;
        lay_ways(&sender, &receiver)?;
        let answered = own_thread(&sender, SENDING)?;
        let poller = own_thread(&receiver, RECEIVING)?;
        cpus.send_on(THIS)?;
        cpus.send_on(answered)?;
        cpus.receive_on(poller)?;
        Ok(Self {
            sender,
            receiver,
            cpus,
            poller,
        })
    }

    /// The kernel's number of the interface that frames are sent by.
    pub(crate) fn sending(&self) -> Result<u32> {
        Ok(self.sender.within(|| if_nametoindex(SENDING))??)
    }

    /// Takes the receiver's interface down and up again, as when somebody pulls the cable.
    pub(crate) fn down_and_up(&self) -> Result<()> {
        const DOWN: Duration = Duration::from_millis(100);
        let name = format!("napi/{RECEIVING}-");
        let before = named(&name)?;
        self.receiver
            .configure(&format!("link set {RECEIVING} down\n"))?;
        thread::sleep(DOWN);
        self.receiver
            .configure(&format!("link set {RECEIVING} up\n"))?;
        // The kernel has forgotten ways, neighbours and the address of IPv6, and begun another thread.
        lay_ways(&self.sender, &self.receiver)?;
        let now = named(&name)?;
        let mut new = now.difference(&before).copied();
        new.try_for_each(|thread| self.cpus.receive_on(thread))
    }

    /// The kernel's number of the XDP program on the receiver's interface.
    pub(crate) fn guard(&self) -> Result<Option<u32>> {
        let mut ip = self.receiver.command("ip");
        let told = output(ip.args(["-json", "link", "show", "dev", RECEIVING]))?;
        let links: Value = serde_json::from_str(&told).context("ip tells no JSON")?;
        let id = links[0]["xdp"]["prog"]["id"].as_u64();
        Ok(id.map(u32::try_from).transpose()?)
    }

    /// Ethernet addresses of receiver and sender.
    pub(crate) fn macs(&self) -> Result<(Mac, Mac)> {
        Ok((mac(&self.receiver, RECEIVING)?, mac(&self.sender, SENDING)?))
    }
}

/// Gives both their addresses, and tells each where the other one is.
fn lay_ways(sender: &Namespace, receiver: &Namespace) -> Result<()> {
    // All but the sender is behind it, and nobody is asked for an address: answers find their way at once.
    sender.configure(&format!(
        "address replace {CLIENT}/32 dev {SENDING}\nroute replace {SERVER} dev {SENDING}\n\
         address replace {CLIENT6}/128 dev {SENDING} nodad\nroute replace {SERVER6} dev {SENDING}\n"
    ))?;
    receiver.configure(&format!(
        "address replace {SERVER}/32 dev {RECEIVING}\n\
         address replace {SERVER6}/128 dev {RECEIVING} nodad\n\
         route replace {CLIENT} dev {RECEIVING}\nroute replace {CLIENT6} dev {RECEIVING}\n\
         route replace default via {CLIENT}\n\
         route replace default via {CLIENT6} dev {RECEIVING}\n"
    ))?;
    let ends = [
        (sender, SENDING, [CLIENT.into(), CLIENT6.into()]),
        (receiver, RECEIVING, [SERVER.into(), SERVER6.into()]),
    ];
    let [client, server] = ends.map(|(namespace, interface, addresses)| Station {
        namespace,
        interface,
        addresses: addresses.into(),
    });
    client.knows(&server)?;
    server.knows(&client)
}

/// Runs a command in a namespace with a /sys of its own, and expects success.
pub(crate) fn call(namespace: &Namespace, words: &[&str]) -> Result<()> {
    let mut ip = Command::new("ip");
    ip.args(["netns", "exec", namespace.name()]).args(words);
    output(&mut ip).map(drop)
}

/// Makes the kernel deal with what arrives at an interface in a thread of its own, and returns that.
fn own_thread(namespace: &Namespace, interface: &str) -> Result<Pid> {
    // NAPI, as a network card has it: without it there is nothing that could be a thread's.
    call(namespace, &["ethtool", "-K", interface, "gro", "on"])?;
    let name = format!("napi/{interface}-");
    let others = named(&name)?;
    let switch = format!("echo 1 > /sys/class/net/{interface}/threaded");
    call(namespace, &["sh", "-c", &switch])
        .context("the kernel has no threads for NAPI (before Linux 5.12)")?;
    let threads = named(&name)?;
    let mut own = threads.difference(&others).copied();
    own.next().context("NAPI has got no thread")
}

/// Processes whose names begin so, by their numbers.
fn named(name: &str) -> Result<BTreeSet<Pid>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Ok(number) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if comm.starts_with(name) {
            found.insert(Pid::from_raw(number));
        }
    }
    Ok(found)
}
