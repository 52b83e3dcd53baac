//! A guarded place with an honest client and a stranger before it.
//!
//! ```text
//! client   eth0 ---.
//!                   street ------------------------ eth0 server     a host is guarded
//! stranger eth0 ---'
//!
//! client   eth0 ---.
//!                   street --- west router east --- eth0 server     the router is guarded
//! stranger eth0 ---'
//! ```
//!
//! The street is a bridge: every interface is a veth, so that any of them can be guarded in native
//! mode. Neighbours are entered by hand, so that nothing but TCP is on the wire. What is sent to an
//! address of nobody goes to the stranger, who says nothing: so floods from invented addresses are
//! answered, and the answers lead nowhere.

use std::{
    fmt::Write,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use anyhow::{Context, Result};

use super::{
    link::{Station, VethOptions, veth},
    namespace::Namespace,
    packet::{Mac, mac},
    path::Host,
    weather::{Cable, Weather},
};

/// The interface of everybody but the router and the street.
pub const ETH0: &str = "eth0";
/// The router's interface towards the street.
pub const WEST: &str = "west";
/// The router's interface towards the server.
pub const EAST: &str = "east";
const BRIDGE: &str = "street";
const TO_CLIENT: &str = "to-client";
/// The last part of the router's addresses.
const ROUTER: u8 = 254;
/// Where addresses of nobody are taken from: meant for benchmarks (RFC 2544).
const NOBODY_IPV4: &str = "198.18.0.0/15";
const NOBODY_IPV6: &str = "2001:db8:ffff::/48";

/// What is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarded {
    /// The host that is connected to.
    Server,
    /// The host that connects.
    Client,
    /// Both interfaces of the router between them.
    Router,
}

impl Guarded {
    /// Every place that can be guarded.
    pub const ALL: [Self; 3] = [Self::Server, Self::Client, Self::Router];
}

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Version 4.
    Ipv4,
    /// Version 6.
    Ipv6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];
}

/// The side of the router that an address belongs to.
#[derive(Clone, Copy)]
enum Side {
    West,
    East,
}

impl Side {
    fn address(self, family: Family, number: u8) -> IpAddr {
        match (self, family) {
            (Self::West, Family::Ipv4) => Ipv4Addr::new(192, 0, 2, number).into(),
            (Self::East, Family::Ipv4) => Ipv4Addr::new(198, 51, 100, number).into(),
            (Self::West, Family::Ipv6) => ipv6(1, number),
            (Self::East, Family::Ipv6) => ipv6(2, number),
        }
    }

    fn station<'a>(self, namespace: &'a Namespace, interface: &'a str, number: u8) -> Station<'a> {
        let addresses = Family::ALL.map(|family| self.address(family, number));
        Station {
            namespace,
            interface,
            addresses: addresses.to_vec(),
        }
    }
}

fn ipv6(part: u16, number: u8) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, part, 0, 0, 0, u16::from(number)).into()
}

/// The hosts and what connects them. Dropping it removes everything.
pub struct Site {
    guarded: Guarded,
    // Its threads end before the namespaces that their sockets are in.
    cable: Option<Cable>,
    /// Who is connected to.
    pub server: Namespace,
    /// Who connects.
    pub client: Namespace,
    /// Who has no business here.
    pub stranger: Namespace,
    router: Option<Namespace>,
    street: Namespace,
}

impl Site {
    /// Sets it up around what will be guarded.
    pub fn new(guarded: Guarded) -> Result<Self> {
        Self::build(guarded, None)
    }

    /// One whose client is at the other end of such a cable.
    pub fn under(guarded: Guarded, weather: Weather) -> Result<Self> {
        Self::build(guarded, Some(weather))
    }

    fn build(guarded: Guarded, weather: Option<Weather>) -> Result<Self> {
        let router = (guarded == Guarded::Router)
            .then(|| Namespace::new("router"))
            .transpose()?;
        let mut site = Self {
            guarded,
            cable: None,
            server: Namespace::new("server")?,
            client: Namespace::new("client")?,
            stranger: Namespace::new("stranger")?,
            router,
            street: Namespace::new(BRIDGE)?,
        };
        site.connect(weather)
            .context("failed to connect the hosts")?;
        site.introduce().context("failed to introduce the hosts")?;
        Ok(site)
    }

    /// Where the guard belongs: the namespace and the interfaces.
    #[must_use]
    pub fn guarded(&self) -> (&Namespace, &'static [&'static str]) {
        match (&self.router, self.guarded) {
            (Some(router), _) => (router, &[WEST, EAST]),
            (None, Guarded::Client) => (&self.client, &[ETH0]),
            (None, Guarded::Server | Guarded::Router) => (&self.server, &[ETH0]),
        }
    }

    /// The address of a host.
    #[must_use]
    pub fn address(&self, host: Host, family: Family) -> IpAddr {
        let side = match host {
            Host::Server => self.side_of_server(),
            Host::Client | Host::Attacker => Side::West,
        };
        side.address(family, host as u8)
    }

    /// Where a service of the server is found.
    #[must_use]
    pub fn service(&self, family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(self.address(Host::Server, family), port)
    }

    /// The Ethernet address that the stranger sends to so that a frame gets to `host`.
    pub fn way_to(&self, host: Host) -> Result<Mac> {
        match (host, &self.router) {
            (Host::Server, Some(router)) => mac(router, WEST),
            (Host::Server, None) => mac(&self.server, ETH0),
            (Host::Client, _) => mac(&self.client, ETH0),
            (Host::Attacker, _) => mac(&self.stranger, ETH0),
        }
    }

    /// The n-th address of nobody.
    #[must_use]
    pub fn nobody(family: Family, n: u16) -> IpAddr {
        let [high, low] = n.to_be_bytes();
        match family {
            Family::Ipv4 => Ipv4Addr::new(198, 18, high, low).into(),
            Family::Ipv6 => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 1, n).into(),
        }
    }

    fn side_of_server(&self) -> Side {
        if self.router.is_some() {
            Side::East
        } else {
            Side::West
        }
    }

    fn connect(&mut self, weather: Option<Weather>) -> Result<()> {
        self.street.configure(&format!(
            "link add {BRIDGE} type bridge mcast_snooping 0\nlink set {BRIDGE} up\n"
        ))?;
        if let Some(weather) = weather {
            let ends = [(&self.client, ETH0), (&self.street, TO_CLIENT)];
            self.cable = Some(Cable::new(ends, weather)?);
            self.bridge(TO_CLIENT)?;
        } else {
            self.join(&self.client, ETH0, TO_CLIENT)?;
        }
        self.join(&self.stranger, ETH0, "to-stranger")?;
        let Some(router) = &self.router else {
            return self.join(&self.server, ETH0, "to-server");
        };
        self.join(router, WEST, "to-router")?;
        let (near, far) = ((router, EAST), (&self.server, ETH0));
        veth(near, far, VethOptions::default())?;
        forward(router)
    }

    /// Gives a host an interface on the street.
    fn join(&self, namespace: &Namespace, interface: &str, port: &str) -> Result<()> {
        let ends = ((namespace, interface), (&self.street, port));
        veth(ends.0, ends.1, VethOptions::default())?;
        self.bridge(port)
    }

    fn bridge(&self, port: &str) -> Result<()> {
        self.street
            .configure(&format!("link set {port} master {BRIDGE}\n"))
    }

    fn introduce(&self) -> Result<()> {
        let of = |side: Side, namespace, host| side.station(namespace, ETH0, host as u8);
        let client = of(Side::West, &self.client, Host::Client);
        let stranger = of(Side::West, &self.stranger, Host::Attacker);
        let server = of(self.side_of_server(), &self.server, Host::Server);
        for host in [&client, &stranger, &server] {
            host.assign()?;
        }
        acquaint(&client, &stranger)?;
        let Some(router) = &self.router else {
            acquaint(&client, &server)?;
            acquaint(&stranger, &server)?;
            lead_nobody(&self.client, &stranger)?;
            return lead_nobody(&self.server, &stranger);
        };
        let west = Side::West.station(router, WEST, ROUTER);
        let east = Side::East.station(router, EAST, ROUTER);
        for host in [&west, &east] {
            host.assign()?;
        }
        for (host, near) in [(&client, &west), (&stranger, &west), (&server, &east)] {
            acquaint(host, near)?;
            lead(host.namespace, ["0.0.0.0/0", "::/0"], near)?;
        }
        lead_nobody(router, &stranger)
    }
}

fn acquaint(one: &Station<'_>, other: &Station<'_>) -> Result<()> {
    one.knows(other)?;
    other.knows(one)
}

/// Sends what is for addresses of nobody to the stranger.
fn lead_nobody(namespace: &Namespace, stranger: &Station<'_>) -> Result<()> {
    lead(namespace, [NOBODY_IPV4, NOBODY_IPV6], stranger)
}

/// Sends what is for the networks, one for each family, by way of `next`.
fn lead(namespace: &Namespace, networks: [&str; 2], next: &Station<'_>) -> Result<()> {
    let routes = networks.iter().zip(&next.addresses);
    let mut script = String::new();
    for (network, via) in routes {
        writeln!(script, "route add {network} via {via}")?;
    }
    namespace.configure(&script)
}

/// Makes a router of a namespace.
pub fn forward(namespace: &Namespace) -> Result<()> {
    const SWITCHES: [&str; 2] = ["ipv4/ip_forward", "ipv6/conf/all/forwarding"];
    let switch = || {
        SWITCHES
            .iter()
            .try_for_each(|name| fs::write(format!("/proc/sys/net/{name}"), "1"))
    };
    namespace.within(switch)?.context("failed to forward")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_nobody_are_many_and_lie_in_their_networks() {
        let text = |family, n| Site::nobody(family, n).to_string();
        assert_eq!(text(Family::Ipv4, 0), "198.18.0.0");
        assert_eq!(text(Family::Ipv4, 0xffff), "198.18.255.255");
        assert_eq!(text(Family::Ipv6, 0xffff), "2001:db8:ffff::1:ffff");
    }
}
