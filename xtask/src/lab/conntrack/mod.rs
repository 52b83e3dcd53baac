//! The kernel's own connection tracker, asked about one segment after the other.
//!
//! ```text
//! outside: west ------ west  router  east ------ east :outside
//!                      (forwards, nf_conntrack)
//! ```
//!
//! A segment goes in at one outer end and comes out at the other, so the tracker sees it once, in
//! its direction, as on any router, and confirms the entry that it makes. On its way nft writes what
//! `ct state` says into the TTL or the hop limit: the verdict travels with the frame, thousands in a
//! second. The entry behind it is asked for over netlink. Behind the outer ends is no stack, so that
//! nothing answers, and no frame is dropped but by the tracker itself.

pub mod entry;

use std::{
    cell::Cell,
    fmt::{self, Write as _},
    fs,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tcpguard_common::{
    craft::TcpFrame,
    cursor::SliceCursor,
    flags::TcpFlags,
    parse::{Link, parse},
    segment::Segment,
};

use self::entry::{End, Entries, Tracked};
use super::{
    link::{Station, VethOptions, veth},
    namespace::Namespace,
    packet::{Mac, PacketSocket, mac},
};

/// Nobody has it: what is sent there is seen by packet sockets only.
const NOBODY: Mac = [2, 0, 0, 0, 0, 9];
/// So long may a frame take that was not dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest packet that there can be, and that veth carries.
const MTU: u16 = u16::MAX;
/// Room for the largest frame.
const BUFFER: usize = MTU as usize + 14;

/// An outer end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Where connections are usually opened.
    West,
    /// Where they are usually answered.
    East,
}

impl Side {
    /// The other end.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::West => Self::East,
            Self::East => Self::West,
        }
    }

    const fn interface(self) -> &'static str {
        match self {
            Self::West => "west",
            Self::East => "east",
        }
    }

    /// The addresses behind this end (RFC 5737, RFC 3849). Host 1 is the router.
    #[must_use]
    pub const fn addresses(self, host: u8) -> [IpAddr; 2] {
        let (ipv4, net) = match self {
            Self::West => (Ipv4Addr::new(192, 0, 2, host), 1),
            Self::East => (Ipv4Addr::new(198, 51, 100, host), 2),
        };
        let ipv6 = Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, host as u16);
        [IpAddr::V4(ipv4), IpAddr::V6(ipv6)]
    }
}

/// What `ct state` says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CtState {
    /// It begins a connection, or goes on with one that was never answered.
    New,
    /// It belongs to a connection that both directions have been seen of.
    Established,
    /// It belongs to none.
    Invalid,
    /// The tracker has not looked.
    Untracked,
    /// The tracker dropped it by itself.
    Dropped,
}

impl CtState {
    /// What the router can write into a frame.
    const WRITTEN: [Self; 4] = [Self::New, Self::Established, Self::Invalid, Self::Untracked];

    /// The name as nft knows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Established => "established",
            Self::Invalid => "invalid",
            Self::Untracked => "untracked",
            Self::Dropped => "dropped",
        }
    }

    /// The TTL that stands for it, unlike any that is sent.
    const fn ttl(self) -> u8 {
        101 + self as u8
    }
}

impl fmt::Display for CtState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the tracker made of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its verdict.
    pub verdict: CtState,
    /// The entry afterwards, if there is one.
    pub entry: Option<Tracked>,
}

/// A router between two ends. Dropping it removes everything.
pub struct Conntrack {
    ends: [PacketSocket; 2],
    macs: [Mac; 2],
    entries: Entries,
    markers: Cell<u32>,
    router: Namespace,
    _outside: Namespace,
}

impl Conntrack {
    /// Sets it up; it picks up no connection in the middle.
    pub fn new() -> Result<Self> {
        let router = Namespace::new("router")?;
        let outside = Namespace::new("outside")?;
        for side in [Side::West, Side::East] {
            let name = side.interface();
            let options = VethOptions {
                mtu: Some(MTU.into()),
                ..VethOptions::default()
            };
            veth((&router, name), (&outside, name), options)?;
            let near = Station {
                namespace: &router,
                interface: name,
                addresses: side.addresses(1).to_vec(),
            };
            near.assign()?;
            near.knows_as(&side.addresses(2), NOBODY)?;
        }
        write_rules(&router)?;
        set(&router, "net/ipv4/ip_forward", "1")?;
        set(&router, "net/ipv6/conf/all/forwarding", "1")?;
        let tracker = Self {
            ends: [
                PacketSocket::receiving(&outside, Side::West.interface())?,
                PacketSocket::receiving(&outside, Side::East.interface())?,
            ],
            macs: [
                mac(&router, Side::West.interface())?,
                mac(&router, Side::East.interface())?,
            ],
            entries: Entries::of(&router)?,
            markers: Cell::new(0),
            router,
            _outside: outside,
        };
        tracker.pick_up(false)?;
        Ok(tracker)
    }

    /// Whether connections are picked up in the middle (`nf_conntrack_tcp_loose`).
    pub fn pick_up(&self, loose: bool) -> Result<()> {
        let value = if loose { "1" } else { "0" };
        set(&self.router, "net/netfilter/nf_conntrack_tcp_loose", value)
    }

    /// Sends an Ethernet frame in at `from`, whatever Ethernet addresses it has, and says what the
    /// tracker made of it. It has to be between addresses behind the two ends.
    pub fn observe(&self, from: Side, frame: &[u8]) -> Result<Observed> {
        let verdict = self.verdict(from, &self.addressed(from, frame))?;
        let entry = match ends(frame) {
            Some([source, destination]) => self.entries.find(source, destination)?,
            None => None,
        };
        Ok(Observed { verdict, entry })
    }

    fn addressed(&self, from: Side, frame: &[u8]) -> Vec<u8> {
        let rest = frame.get(12..).unwrap_or_default();
        [&self.macs[from as usize], &NOBODY, rest].concat()
    }

    fn verdict(&self, from: Side, octets: &[u8]) -> Result<CtState> {
        self.ends[from as usize].send(octets)?;
        // What is not dropped is there when the sender comes back, unless the machine is busy.
        if let Some(verdict) = self.arrival(from, octets, &[])? {
            return Ok(verdict);
        }
        // One queue all the way: what a later frame overtakes is lost.
        let marker = self.marker(from);
        self.ends[from as usize].send(&marker)?;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(verdict) = self.arrival(from, octets, &marker)? {
                return Ok(verdict);
            }
        }
        bail!("nothing arrives behind the router any more")
    }

    /// The verdict on the frame, `Dropped` if the marker arrives instead; `None` if neither does for
    /// a while.
    fn arrival(&self, from: Side, octets: &[u8], marker: &[u8]) -> Result<Option<CtState>> {
        let mut buffer = vec![0; BUFFER];
        while let Some(len) = self.ends[from.opposite() as usize].receive(&mut buffer)? {
            let arrived = &buffer[..len];
            if same_packet(arrived, octets) {
                return written(arrived).map(Some);
            }
            if !marker.is_empty() && same_packet(arrived, marker) {
                return Ok(Some(CtState::Dropped));
            }
        }
        Ok(None)
    }

    /// A frame that the tracker has no use for, unlike any other.
    fn marker(&self, from: Side) -> Vec<u8> {
        let number = self.markers.get().wrapping_add(1);
        self.markers.set(number);
        let [source, _] = from.addresses(2);
        let [destination, _] = from.opposite().addresses(2);
        let mut marker = TcpFrame::between(source, destination).with_flags(TcpFlags::NULL);
        marker.ports = (1, 1);
        marker.seq = number;
        self.addressed(from, &marker.build())
    }
}

/// Source and destination of a TCP segment.
fn ends(frame: &[u8]) -> Option<[End; 2]> {
    let mut segment = Segment::EMPTY;
    parse(&mut SliceCursor::new(frame), Link::Ethernet, &mut segment).ok()?;
    Some(segment.ends().map(|end| (end.ip(), end.port())))
}

fn set(namespace: &Namespace, name: &str, value: &str) -> Result<()> {
    let path = format!("/proc/sys/{name}");
    namespace
        .within(|| fs::write(&path, value))?
        .with_context(|| format!("failed to write {value} to {path}"))
}

/// Behind everything else that forwards, so that the TTL stays as it is written.
fn write_rules(router: &Namespace) -> Result<()> {
    let mut rules = String::from(
        "table inet verdicts {\n chain written {\n  type filter hook postrouting priority 300\n",
    );
    for state in CtState::WRITTEN {
        let ttl = state.ttl();
        for field in ["ip ttl", "ip6 hoplimit"] {
            writeln!(rules, "  ct state {state} {field} set {ttl}")?;
        }
    }
    rules.push_str(" }\n}\n");
    let mut child = router
        .command("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("failed to start `nft`; `apt-get install nftables` brings it")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(rules.as_bytes())
            .context("failed to write to `nft`")?;
    }
    let status = child.wait().context("failed to wait for `nft`")?;
    ensure!(
        status.success(),
        "`nft -f -` failed ({status}) on:\n{rules}"
    );
    Ok(())
}

/// Whether both are of one family and the same from the addresses on.
fn same_packet(arrived: &[u8], sent: &[u8]) -> bool {
    let addresses = 14 + if is_ipv6(sent) { 8 } else { 12 };
    arrived.get(12..14) == sent.get(12..14) && arrived.get(addresses..) == sent.get(addresses..)
}

fn is_ipv6(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[0x86, 0xdd])
}

fn written(frame: &[u8]) -> Result<CtState> {
    let ttl = frame.get(if is_ipv6(frame) { 21 } else { 22 });
    CtState::WRITTEN
        .into_iter()
        .find(|state| Some(&state.ttl()) == ttl)
        .with_context(|| format!("the router wrote no verdict, but TTL {ttl:?}"))
}
