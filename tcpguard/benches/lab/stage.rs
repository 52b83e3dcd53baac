//! A server and its clients, of which nothing is left when the next filter has its turn.

use anyhow::Result;

use super::{
    cpus::Cpus,
    place::{Place, RECEIVING, SENDING, call},
    web::Server,
};

/// So no filter inherits tables and waiting sockets of another one.
pub(crate) struct Stage {
    _web: Server,
    pub(crate) place: Place,
}

impl Stage {
    pub(crate) fn new(cpus: Cpus) -> Result<Self> {
        let place = Place::new(cpus)?;
        // Frames are as large as on a wire, with whatever filter: native XDP would forbid larger ones to the
        // client alone, and what is larger goes around the thread that deals with frames.
        for (namespace, interface) in [(&place.sender, SENDING), (&place.receiver, RECEIVING)] {
            call(namespace, &["ethtool", "-K", interface, "tso", "off"])?;
        }
        // As many connections as a turn may see, each from a port of its own.
        let ports = "echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range";
        call(&place.sender, &["sh", "-c", ports])?;
        Ok(Self {
            _web: Server::start(&place)?,
            place,
        })
    }
}
