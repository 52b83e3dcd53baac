//! Connections between two namespaces whose both ends are in our hands.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    libc,
    sys::{
        socket::{
            AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket,
            sockopt::{Linger, ReuseAddr, SendTimeout},
        },
        time::TimeVal,
    },
};

use super::namespace::Namespace;

/// How long any step of a connection may take: retransmissions wait twice as long each time, and on a
/// cable that loses much a sixth one, after 13 s, is no wonder among thousands of steps.
pub const PATIENCE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_micros(100);

/// Both ends of a connection.
#[derive(Debug)]
pub struct Pair {
    /// The end that connected.
    pub client: TcpStream,
    /// The end that accepted.
    pub server: TcpStream,
}

impl Pair {
    /// Two streams that wait for each other with patience, but not for ever.
    fn new(client: TcpStream, server: TcpStream) -> Result<Self> {
        for stream in [&client, &server] {
            stream.set_nonblocking(false)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
        }
        Ok(Self { client, server })
    }

    /// The addresses of client and server.
    pub fn addresses(&self) -> Result<(SocketAddr, SocketAddr)> {
        Ok((self.client.local_addr()?, self.client.peer_addr()?))
    }
}

/// A place to connect to.
#[derive(Debug)]
pub struct Line {
    listener: TcpListener,
    address: SocketAddr,
}

impl Line {
    /// Listens at an address of the namespace.
    pub fn open(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let listener = namespace
            .within(|| TcpListener::bind(address))?
            .with_context(|| format!("failed to listen at {address}"))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, address })
    }

    /// The same place for those who know it by another address, as behind a translator.
    #[must_use]
    pub fn known_as(self, address: SocketAddr) -> Self {
        Self { address, ..self }
    }

    /// Where it is found.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connects from inside of the namespace.
    pub fn connect(&self, namespace: &Namespace) -> Result<Pair> {
        namespace.within(|| self.connect_here())?
    }

    /// Connects from a port that may have been used a moment ago.
    pub fn connect_from(&self, namespace: &Namespace, local: SocketAddr) -> Result<Pair> {
        let client = namespace.within(|| reach(local, self.address))??;
        self.accept(client)
    }

    /// Connects from the namespace that this thread is in.
    pub(super) fn connect_here(&self) -> Result<Pair> {
        let client = TcpStream::connect_timeout(&self.address, PATIENCE)
            .with_context(|| format!("failed to connect to {}", self.address))?;
        self.accept(client)
    }

    /// Waits for the other end of `client`. Nobody else connects to it; a translator may have
    /// given the client any address.
    fn accept(&self, client: TcpStream) -> Result<Pair> {
        let expected = client.local_addr()?;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.listener.accept() {
                Ok((server, _)) => return Pair::new(client, server),
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(POLL),
                Err(error) => return Err(error).context("failed to accept"),
            }
        }
        bail!(
            "{expected} is connected, but nobody came to {}",
            self.address
        )
    }
}

/// Lets two ends connect to each other at the same time, as neither listens (RFC 9293 section 3.5,
/// figure 7). It takes a long [cable](super::weather) for their
/// SYNs to cross.
pub fn meet(
    (one_namespace, one): (&Namespace, SocketAddr),
    (other_namespace, other): (&Namespace, SocketAddr),
) -> Result<Pair> {
    let ready = Barrier::new(2);
    let go = |from, to| {
        ready.wait();
        reach(from, to)
    };
    let (client, server) = thread::scope(|scope| {
        let far = scope.spawn(|| other_namespace.within(|| go(other, one)));
        let near = one_namespace.within(|| go(one, other));
        (near, far.join())
    });
    let Ok(server) = server else {
        bail!("the thread that connects from {other} panicked")
    };
    Pair::new(client??, server??)
}

/// Connects from one address to the other.
fn reach(from: SocketAddr, to: SocketAddr) -> Result<TcpStream> {
    let family = if to.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    // It bounds connect as well (socket(7)).
    #[expect(clippy::cast_possible_wrap, reason = "some seconds")]
    setsockopt(
        &socket,
        SendTimeout,
        &TimeVal::new(PATIENCE.as_secs() as i64, 0),
    )?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(from))
        .with_context(|| format!("failed to bind to {from}"))?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to))
        .with_context(|| format!("failed to connect from {from} to {to}"))?;
    Ok(socket.into())
}

/// Closes with a reset instead of a FIN.
pub fn abort(stream: TcpStream) -> Result<()> {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, Linger, &at_once).context("failed to prepare a reset")?;
    drop(stream);
    Ok(())
}

/// That the other end has closed, or reset if it must.
pub fn expect_end(stream: &mut TcpStream) -> Result<()> {
    let mut rest = Vec::new();
    match io::Read::read_to_end(stream, &mut rest) {
        Ok(_) => {
            ensure!(
                rest.is_empty(),
                "{} octets came instead of an end",
                rest.len()
            );
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error).context("the end did not come"),
    }
}
