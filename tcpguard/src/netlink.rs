//! What the kernel says of its interfaces: the few rtnetlink questions that attaching asks.
//!
//! Not from /sys/class/net: that shows the network namespace it was mounted in, not the one this
//! process is in.

use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::programs::ProgramFd;
use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload, NlaBuffer,
    NlasIterator,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage, LinkXdp},
    route::{RouteAttribute, RouteHeader, RouteMessage, RouteType},
    tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// Stands for every interface that a default route leads to. The kernel lets no interface have this name.
const DEFAULT_ROUTE: &str = "default";

/// In place of a program: that there be none.
const NONE: i32 = -1;
/// `XDP_FLAGS_UPDATE_IF_NOEXIST`
const IF_NONE: u32 = 1;
/// `XDP_FLAGS_SKB_MODE`
const GENERIC: u32 = 1 << 1;
/// `XDP_FLAGS_DRV_MODE`
const NATIVE: u32 = 1 << 2;
/// `XDP_FLAGS_REPLACE`
const EXPECTED: u32 = 1 << 4;

/// An interface of this network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// The kernel's number of it.
    pub(crate) index: u32,
    /// Its name.
    pub(crate) name: String,
    /// What its frames begin with, by the kernel's hardware type.
    pub(crate) layer: LinkLayerType,
    /// Numbers of the XDP programs that are attached to it.
    pub(crate) xdp_programs: Vec<u32>,
    /// Whether XDP runs in the network stack and not in the driver.
    pub(crate) is_generic: bool,
    /// Whether it is a port of a bridge or a member of another device, so that frames which arrive
    /// may be for somebody behind it.
    pub(crate) has_controller: bool,
    /// If it is one end of a veth pair, the other one.
    pub(crate) veth_peer: Option<Peer>,
}

/// The other end of a veth pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The kernel's number of it.
    index: u32,
    /// The number by which this network namespace knows that of the peer; nothing if it is the same.
    namespace: Option<i32>,
}

impl Peer {
    /// Whether an XDP program is attached to it.
    ///
    /// # Errors
    ///
    /// If the namespace is none that this process may look into.
    pub(crate) fn has_xdp(self) -> Result<bool> {
        let socket = connect().context("failed to open a netlink socket")?;
        let mut link = LinkMessage::default();
        link.header.index = self.index;
        link.attributes
            .extend(self.namespace.map(LinkAttribute::IfNetnsId));
        send(&socket, RouteNetlinkMessage::GetLink(link), NLM_F_REQUEST)?;
        for answer in receive(&socket)? {
            if let NetlinkPayload::Error(error) = answer.payload {
                bail!("the kernel does not show the other end: {}", error.to_io());
            } else if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) =
                answer.payload
            {
                return Ok(interface(&link).is_some_and(|it| !it.xdp_programs.is_empty()));
            }
        }
        bail!("no answer")
    }
}

impl Interface {
    /// Whether what an XDP program in its driver answers goes out. A veth pair leaves that in a queue unless the
    /// other end has a program as well (`veth_xdp_flush` in the kernel's drivers/net/veth.c).
    pub(crate) fn sends_answers(&self) -> bool {
        self.veth_peer
            .is_none_or(|peer| matches!(peer.has_xdp(), Ok(true)))
    }

    /// Whether all that leaves there also arrives.
    pub(crate) fn is_loopback(&self) -> bool {
        self.layer == LinkLayerType::Loopback
    }
}

/// Every interface of this network namespace.
pub(crate) fn interfaces() -> Result<Vec<Interface>> {
    let mut interfaces = Vec::new();
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    list("interfaces", request, |answer| {
        if let RouteNetlinkMessage::NewLink(link) = answer {
            interfaces.extend(interface(&link));
        }
    })?;
    Ok(interfaces)
}

/// The kernel's numbers of the interfaces that default routes of the main table lead to.
fn default_routes() -> Result<BTreeSet<u32>> {
    let mut indices = BTreeSet::new();
    let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
    list("routes", request, |answer| {
        if let RouteNetlinkMessage::NewRoute(route) = answer
            && is_default(&route)
        {
            indices.extend(ways(&route));
        }
    })?;
    Ok(indices)
}

/// Numbers of the programs that filters of clsact run on what leaves by an interface.
pub(crate) fn egress_filters(interface: &Interface) -> Result<Vec<u32>> {
    let mut request = TcMessage::with_index(interface.index.cast_signed());
    request.header.parent = TcHandle {
        minor: TcHandle::MIN_EGRESS,
        ..TcHandle::CLSACT
    };
    let mut programs = Vec::new();
    let request = RouteNetlinkMessage::GetTrafficFilter(request);
    list("filters", request, |answer| {
        if let RouteNetlinkMessage::NewTrafficFilter(filter) = answer {
            programs.extend(filter_program(&filter));
        }
    })?;
    Ok(programs)
}

/// These interfaces, with what [`DEFAULT_ROUTE`] stands for in its place.
pub(crate) fn named(names: &[String]) -> Result<Vec<String>> {
    if !names.iter().any(|name| name == DEFAULT_ROUTE) {
        return Ok(names.to_vec());
    }
    let routes = default_routes()?;
    let mut found = interfaces()?;
    found.retain(|interface| routes.contains(&interface.index));
    ensure!(
        !found.is_empty(),
        "\"{DEFAULT_ROUTE}\" is no interface now: there is no default route (wait for one, or name the \
         interface)"
    );
    let mut all = Vec::new();
    for name in names {
        if name == DEFAULT_ROUTE {
            all.extend(found.iter().map(|interface| interface.name.clone()));
        } else {
            all.push(name.clone());
        }
    }
    let mut seen = BTreeSet::new();
    all.retain(|name| seen.insert(name.clone()));
    Ok(all)
}

/// Hands all that is answered to a question for a list to `take`.
fn list(
    what: &str,
    request: RouteNetlinkMessage,
    mut take: impl FnMut(RouteNetlinkMessage),
) -> Result<()> {
    let socket = connect().context("failed to open a netlink socket")?;
    let asked = send(&socket, request, NLM_F_REQUEST | NLM_F_DUMP);
    asked.with_context(|| format!("failed to ask for {what}"))?;
    loop {
        let answers = receive(&socket);
        for answer in answers.with_context(|| format!("failed to read the list of {what}"))? {
            if let NetlinkPayload::Done(_) = answer.payload {
                return Ok(());
            } else if let NetlinkPayload::Error(error) = answer.payload {
                bail!("no list of {what}: {}", error.to_io());
            } else if let NetlinkPayload::InnerMessage(message) = answer.payload {
                take(message);
            }
        }
    }
}

/// Why the driver of interface `index` refuses an XDP program in native mode, in its own words.
///
/// `bpf_link_create` gives a number only; the same refusal over netlink comes with a sentence. The
/// program is named by its file descriptor. Attaches nothing: what was refused once is refused
/// again, and if not, `XDP_FLAGS_UPDATE_IF_NOEXIST` spares others and ours is taken off again.
#[must_use]
pub(crate) fn why_native_is_refused(index: u32, program: i32) -> Option<String> {
    let socket = connect().ok()?;
    let set = |program, flags| {
        let xdp = vec![LinkXdp::Fd(program), LinkXdp::Flags(flags)];
        set_xdp(&socket, index, xdp).ok()
    };
    let refusal = set(program, NATIVE | IF_NONE)?;
    if refusal.is_none() {
        let _ = set(NONE, NATIVE);
    }
    sentence(&refusal?)
}

/// Takes a program off that was attached by netlink; never another one that has come in its place.
pub(crate) fn take_off_xdp(interface: &Interface, program: &ProgramFd) -> Result<()> {
    // One of them has to be said, as a driver that knows native XDP is taken to have it.
    let mode = if interface.is_generic {
        GENERIC
    } else {
        NATIVE
    };
    let socket = connect().context("failed to open a netlink socket")?;
    let expected = u32::try_from(program.as_fd().as_raw_fd())?;
    let xdp = vec![
        LinkXdp::Fd(NONE),
        LinkXdp::Flags(mode | EXPECTED),
        LinkXdp::ExpectedFd(expected),
    ];
    match set_xdp(&socket, interface.index, xdp)?.map(|refusal| refusal.to_io()) {
        None => Ok(()),
        Some(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("it is not there any more, and what has come in its place stays")
        }
        Some(error) => Err(error.into()),
    }
}

fn connect() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_ext_ack(true)?;
    socket.set_cap_ack(true)?;
    Ok(socket)
}

fn send(socket: &Socket, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let mut packet = NetlinkMessage::from(message);
    packet.header.flags = flags;
    packet.finalize();
    let mut buffer = vec![0; packet.buffer_len()];
    packet.serialize(&mut buffer);
    socket.send(&buffer, 0).map(|_| ())
}

/// The messages of one datagram.
fn receive(socket: &Socket) -> Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
    let (datagram, _) = socket.recv_from_full()?;
    let mut rest = datagram.as_slice();
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let message = NetlinkMessage::deserialize(rest)?;
        // Messages are aligned to four octets.
        let length = (message.header.length as usize).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
        messages.push(message);
    }
    Ok(messages)
}

fn is_default(route: &RouteMessage) -> bool {
    let header = &route.header;
    header.destination_prefix_length == 0
        && header.table == RouteHeader::RT_TABLE_MAIN
        && header.kind == RouteType::Unicast
}

/// The interfaces that a route leads to; several if it is shared among them.
fn ways(route: &RouteMessage) -> Vec<u32> {
    let mut indices = Vec::new();
    for attribute in &route.attributes {
        if let RouteAttribute::Oif(index) = attribute {
            indices.push(*index);
        } else if let RouteAttribute::MultiPath(hops) = attribute {
            indices.extend(hops.iter().map(|hop| hop.interface_index));
        }
    }
    indices
}

fn interface(link: &LinkMessage) -> Option<Interface> {
    let mut name = None;
    let mut xdp_programs = Vec::new();
    let mut is_generic = false;
    let mut has_controller = false;
    let (mut is_veth, mut peer, mut namespace) = (false, None, None);
    for attribute in &link.attributes {
        if let LinkAttribute::IfName(given) = attribute {
            name = Some(given.clone());
        } else if let LinkAttribute::Xdp(xdp) = attribute {
            xdp_programs.extend(xdp.iter().filter_map(program_id));
            is_generic |= xdp.iter().any(|it| matches!(it, LinkXdp::SkbProgId(_)));
        } else if let LinkAttribute::Controller(_) = attribute {
            has_controller = true;
        } else if let LinkAttribute::LinkInfo(info) = attribute {
            is_veth = info.contains(&LinkInfo::Kind(InfoKind::Veth));
        } else if let LinkAttribute::Link(index) = attribute {
            peer = Some(*index);
        } else if let LinkAttribute::LinkNetNsId(id) = attribute {
            namespace = Some(*id);
        }
    }
    xdp_programs.sort_unstable();
    xdp_programs.dedup();
    let layer = link.header.link_layer_type;
    Some(Interface {
        index: link.header.index,
        name: name?,
        layer,
        xdp_programs,
        is_generic,
        has_controller,
        veth_peer: peer
            .filter(|_| is_veth)
            .map(|index| Peer { index, namespace }),
    })
}

/// The number of an attached program, in whatever mode it is attached.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum of the library is not exhaustive"
)]
fn program_id(attribute: &LinkXdp) -> Option<u32> {
    match attribute {
        LinkXdp::ProgId(id)
        | LinkXdp::DrvProgId(id)
        | LinkXdp::SkbProgId(id)
        | LinkXdp::HwProgId(id) => Some(*id).filter(|id| *id != 0),
        _ => None,
    }
}

/// The number of the program that a filter runs.
fn filter_program(filter: &TcMessage) -> Option<u32> {
    let options = filter.attributes.iter().find_map(|attribute| {
        if let TcAttribute::Options(options) = attribute {
            Some(options)
        } else {
            None
        }
    });
    options?.iter().find_map(|option| {
        if let TcOption::Bpf(TcFilterBpfOption::ProgId(id)) = option {
            Some(*id)
        } else {
            None
        }
    })
}

/// Asks to attach a program or to take it off; the refusal, or `None` if that was done.
fn set_xdp(socket: &Socket, index: u32, xdp: Vec<LinkXdp>) -> Result<Option<ErrorMessage>> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.attributes.push(LinkAttribute::Xdp(xdp));
    send(
        socket,
        RouteNetlinkMessage::SetLink(link),
        NLM_F_REQUEST | NLM_F_ACK,
    )?;
    for answer in receive(socket)? {
        if let NetlinkPayload::Error(error) = answer.payload {
            return Ok(error.code.is_some().then_some(error));
        }
    }
    bail!("no answer");
}

/// The sentence that comes with a refusal (`NLMSGERR_ATTR_MSG`), behind the header it refuses.
fn sentence(refusal: &ErrorMessage) -> Option<String> {
    const HEADER_LEN: usize = 16;
    const MESSAGE: u16 = 1;
    let attributes = refusal.header.get(HEADER_LEN..)?;
    NlasIterator::new(attributes)
        .filter_map(Result::ok)
        .find(|attribute: &NlaBuffer<_>| attribute.kind() == MESSAGE)
        .map(|attribute| {
            let text = String::from_utf8_lossy(attribute.value()).into_owned();
            text.trim_end_matches('\0').to_owned()
        })
}
