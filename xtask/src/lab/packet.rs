//! Whole frames, to and from one interface.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    ifaddrs::getifaddrs,
    sys::{
        socket::{
            AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send,
            setsockopt, socket,
            sockopt::{RcvBufForce, ReceiveTimeout},
        },
        time::TimeVal,
    },
};

use super::namespace::Namespace;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// How long [`PacketSocket::receive`] waits at most.
const PATIENCE: Duration = Duration::from_millis(100);
/// Room for what arrives while the reader does not run: a tenth of a second at full speed here.
const RECEIVE_BUFFER: usize = 8 << 20;

/// An `AF_PACKET` socket on one interface.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Sends only.
    pub fn sending(namespace: &Namespace, interface: &str) -> Result<Self> {
        open(namespace, interface, None)
    }

    /// Sends, and receives what the stack behind the interface sees: not what XDP has dropped.
    pub fn receiving(namespace: &Namespace, interface: &str) -> Result<Self> {
        let socket = open(namespace, interface, Some(SockProtocol::EthAll))?;
        setsockopt(&socket.0, RcvBufForce, &RECEIVE_BUFFER)
            .context("failed to enlarge a receive buffer")?;
        #[expect(clippy::cast_possible_truncation, reason = "a tenth of a second")]
        let patience = TimeVal::new(0, PATIENCE.as_micros() as i64);
        setsockopt(&socket.0, ReceiveTimeout, &patience)
            .context("failed to set a receive timeout")?;
        Ok(socket)
    }

    /// Sends a frame as it is.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        send(self.0.as_raw_fd(), frame, MsgFlags::empty()).context("failed to send a frame")?;
        Ok(())
    }

    /// The length of the next frame, arriving or leaving; `None` if there was none for a while.
    ///
    /// The kernel has taken off the outermost VLAN tag.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        match recv(self.0.as_raw_fd(), buffer, MsgFlags::empty()) {
            Ok(len) => Ok(Some(len)),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => Ok(None),
            Err(error) => Err(error).context("failed to receive a frame"),
        }
    }
}

/// The Ethernet address of an interface.
pub fn mac(namespace: &Namespace, interface: &str) -> Result<Mac> {
    let address = link_address(namespace, interface)?;
    address
        .addr()
        .with_context(|| format!("{interface} has no Ethernet address"))
}

fn open(
    namespace: &Namespace,
    interface: &str,
    protocol: Option<SockProtocol>,
) -> Result<PacketSocket> {
    let address = link_address(namespace, interface)?;
    let socket = namespace
        .within(|| {
            socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                protocol,
            )
        })?
        .context("failed to open a packet socket (it needs root)")?;
    bind(socket.as_raw_fd(), &address)
        .with_context(|| format!("failed to bind a packet socket to {interface}"))?;
    Ok(PacketSocket(socket))
}

/// The link-layer address of an interface, which `bind` takes as well.
fn link_address(namespace: &Namespace, interface: &str) -> Result<LinkAddr> {
    let find = || {
        getifaddrs().map(|addresses| {
            addresses
                .filter(|address| address.interface_name == interface)
                .find_map(|address| address.address?.as_link_addr().copied())
        })
    };
    namespace
        .within(find)?
        .context("failed to list the interfaces")?
        .with_context(|| format!("no interface {interface} in {}", namespace.name()))
}
