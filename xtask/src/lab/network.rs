//! The whole network of the demo: a server, an honest client and an attacker.
//!
//! ```text
//! client   eth0 trunk10 trunk20 --.
//!                                 +-- street ====== uplink   server
//! attacker eth0 ------------------'                 (guarded)
//! ```
//!
//! All of them reach the server through one cable, over [six paths](Path). Neighbours are entered
//! by hand, so that nothing but TCP is on the wire.

use std::net::SocketAddr;

use anyhow::Result;

use super::{
    attack::Attacker,
    link::{Station, VethOptions, macvlan, veth},
    namespace::Namespace,
    packet::mac,
    path::{Host, Path, Tagging},
    vlan::Vlan,
};

/// The interface to guard, in the namespace of the server.
pub const UPLINK: &str = "uplink";
/// The only interface of the attacker.
pub const ATTACKING: &str = "eth0";
/// The far end of the uplink, which clients and attackers share.
const STREET: &str = "street";

/// Three hosts and the street between them. Dropping it removes everything.
pub struct Network {
    // Threads end before the namespaces that their sockets are in.
    _vlans: Vec<Vlan>,
    /// The host to be guarded, at [`UPLINK`].
    pub server: Namespace,
    /// Whose requests are honest.
    pub client: Namespace,
    /// Who scans, from [`ATTACKING`].
    pub attacker: Namespace,
    _street: Namespace,
}

impl Network {
    /// Sets it all up.
    pub fn new() -> Result<Self> {
        let street = Namespace::new(STREET)?;
        let server = Namespace::new("server")?;
        let client = Namespace::new("client")?;
        let attacker = Namespace::new("attacker")?;
        veth((&server, UPLINK), (&street, STREET), VethOptions::default())?;
        macvlan((&street, STREET), (&attacker, ATTACKING))?;
        let mut vlans = Vec::new();
        for tagging in Tagging::ALL {
            let trunk = client_trunk(tagging);
            macvlan((&street, STREET), (&client, trunk))?;
            if tagging != Tagging::Untagged {
                let (name, tags) = (interface(tagging, Host::Server), tagging.tags());
                vlans.push(Vlan::new(&server, UPLINK, name, tags, None)?);
                // The street delivers to the trunk what is for the trunk's address.
                let address = mac(&client, trunk)?;
                let name = interface(tagging, Host::Client);
                vlans.push(Vlan::new(&client, trunk, name, tags, Some(address))?);
            }
            introduce(tagging, &server, &client, &attacker)?;
        }
        Ok(Self {
            _vlans: vlans,
            server,
            client,
            attacker,
            _street: street,
        })
    }

    /// An attacker who knows the way.
    pub fn attacker(&self) -> Result<Attacker> {
        let destinations = Path::ALL.into_iter().map(|path| {
            Ok((
                path,
                mac(&self.server, interface(path.tagging(), Host::Server))?,
            ))
        });
        Attacker::new(
            &self.attacker,
            ATTACKING,
            destinations.collect::<Result<_>>()?,
        )
    }

    /// Where a service of the server is found on a path.
    #[must_use]
    pub fn service(path: Path, port: u16) -> SocketAddr {
        SocketAddr::new(path.address(Host::Server), port)
    }
}

/// The interface with the addresses of a tagging.
fn interface(tagging: Tagging, host: Host) -> &'static str {
    match (tagging, host) {
        (Tagging::Untagged, Host::Server) => UPLINK,
        (Tagging::Untagged, Host::Client) => client_trunk(tagging),
        (_, Host::Attacker) => ATTACKING,
        (Tagging::Vlan, _) => "vlan10",
        (Tagging::Qinq, _) => "qinq20",
    }
}

/// The client's interface on the street, one for each tagging.
fn client_trunk(tagging: Tagging) -> &'static str {
    match tagging {
        Tagging::Untagged => "eth0",
        Tagging::Vlan => "trunk10",
        Tagging::Qinq => "trunk20",
    }
}

/// Gives everybody addresses and the neighbours'.
fn introduce(
    tagging: Tagging,
    server: &Namespace,
    client: &Namespace,
    attacker: &Namespace,
) -> Result<()> {
    let station = |namespace, host| Station {
        namespace,
        interface: interface(tagging, host),
        addresses: tagging.addresses(host).to_vec(),
    };
    let server = station(server, Host::Server);
    let client = station(client, Host::Client);
    let attacker = station(attacker, Host::Attacker);
    for station in [&server, &client] {
        station.assign()?;
    }
    server.knows(&client)?;
    client.knows(&server)?;
    server.knows(&attacker)?;
    if tagging == Tagging::Untagged {
        // Behind tags the attacker has no stack: he sends, and what comes back falls on the floor.
        attacker.assign()?;
        attacker.knows(&server)?;
    }
    Ok(())
}
