//! What the tracker remembers of a connection, asked for over netlink (`ctnetlink`).

use std::{
    fmt,
    net::IpAddr,
    os::fd::{AsRawFd, OwnedFd},
};

use anyhow::{Context, Result, bail};
use nix::{
    libc::{
        AF_INET, AF_INET6, ENOENT, NFNL_SUBSYS_CTNETLINK, NLA_F_NESTED, NLM_F_REQUEST, NLMSG_ERROR,
    },
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv,
        send, socket,
    },
};

use super::super::namespace::Namespace;

// linux/netfilter/nfnetlink_conntrack.h
const IPCTNL_MSG_CT_GET: u16 = 1;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_PROTOINFO: u16 = 4;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_PROTOINFO_TCP: u16 = 1;
const CTA_PROTOINFO_TCP_STATE: u16 = 1;
/// Netlink's and netfilter's header.
const HEADERS: usize = 16 + 4;
const TCP: u8 = 6;

/// Address and port.
pub(super) type End = (IpAddr, u16);

/// State of an entry, in the kernel's spelling and numbering (`enum tcp_conntrack`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tracked {
    /// None yet.
    None,
    /// A SYN was seen.
    SynSent,
    /// A SYN+ACK was seen.
    SynRecv,
    /// The handshake is complete.
    Established,
    /// A FIN was seen.
    FinWait,
    /// An ACK was seen behind it.
    CloseWait,
    /// A second FIN was seen.
    LastAck,
    /// The last ACK was seen.
    TimeWait,
    /// A RST was seen.
    Close,
    /// A SYN of the reply direction was seen.
    SynSent2,
}

impl Tracked {
    const ALL: [(Self, &'static str); 10] = [
        (Self::None, "NONE"),
        (Self::SynSent, "SYN_SENT"),
        (Self::SynRecv, "SYN_RECV"),
        (Self::Established, "ESTABLISHED"),
        (Self::FinWait, "FIN_WAIT"),
        (Self::CloseWait, "CLOSE_WAIT"),
        (Self::LastAck, "LAST_ACK"),
        (Self::TimeWait, "TIME_WAIT"),
        (Self::Close, "CLOSE"),
        (Self::SynSent2, "SYN_SENT2"),
    ];

    /// The name that the kernel prints.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl fmt::Display for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The tracker's table.
pub(super) struct Entries(OwnedFd);

impl Entries {
    /// That of a namespace.
    pub(super) fn of(namespace: &Namespace) -> Result<Self> {
        let socket = namespace
            .within(|| {
                socket(
                    AddressFamily::Netlink,
                    SockType::Raw,
                    SockFlag::SOCK_CLOEXEC,
                    SockProtocol::NetlinkNetFilter,
                )
            })?
            .context("failed to open a netlink socket (the kernel needs nfnetlink)")?;
        connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))
            .context("failed to connect a netlink socket")?;
        Ok(Self(socket))
    }

    /// The state of the entry that segments between these two ends belong to.
    pub(super) fn find(&self, source: End, destination: End) -> Result<Option<Tracked>> {
        let ask = || -> nix::Result<Vec<u8>> {
            let mut answer = vec![0; 4096];
            send(
                self.0.as_raw_fd(),
                &request(source, destination),
                MsgFlags::empty(),
            )?;
            let len = recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty())?;
            answer.truncate(len);
            Ok(answer)
        };
        state(&ask().context("failed to ask the tracker for an entry")?)
    }
}

fn request(source: End, destination: End) -> Vec<u8> {
    let (addresses, family) = match (source.0, destination.0) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let from = attribute(CTA_IP_V4_SRC, &from.octets());
            ([from, attribute(CTA_IP_V4_SRC + 1, &to.octets())], AF_INET)
        }
        (from, to) => {
            let octets = |address| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            let from = attribute(CTA_IP_V6_SRC, &octets(from));
            ([from, attribute(CTA_IP_V6_SRC + 1, &octets(to))], AF_INET6)
        }
    };
    let ports = [
        attribute(CTA_PROTO_NUM, &[TCP]),
        attribute(CTA_PROTO_SRC_PORT, &source.1.to_be_bytes()),
        attribute(CTA_PROTO_DST_PORT, &destination.1.to_be_bytes()),
    ];
    let tuple = [
        nested(CTA_TUPLE_IP, &addresses),
        nested(CTA_TUPLE_PROTO, &ports),
    ];
    message(family, &nested(CTA_TUPLE_ORIG, &tuple))
}

/// `nlmsghdr`, `nfgenmsg` and what is asked.
fn message(family: i32, attributes: &[u8]) -> Vec<u8> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small constants, and a message of some dozen octets"
    )]
    let (len, kind, flags, family) = (
        (HEADERS + attributes.len()) as u32,
        (NFNL_SUBSYS_CTNETLINK as u16) << 8 | IPCTNL_MSG_CT_GET,
        NLM_F_REQUEST as u16,
        family as u8,
    );
    let mut message = len.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]); // sequence number and port
    message.extend([family, 0, 0, 0]); // version and resource
    message.extend(attributes);
    message
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, reason = "some dozen octets")]
    let len = (4 + value.len()) as u16;
    let mut attribute = len.to_ne_bytes().to_vec();
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

fn nested(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, reason = "a flag of sixteen bits")]
    let kind = kind | NLA_F_NESTED as u16;
    attribute(kind, &parts.concat())
}

/// What an answer says.
fn state(answer: &[u8]) -> Result<Option<Tracked>> {
    let kind = word16(answer, 4).context("an answer without a header")?;
    if i32::from(kind) == NLMSG_ERROR {
        let errno = answer.get(16..20).and_then(|octets| octets.try_into().ok());
        return match errno.map(i32::from_ne_bytes) {
            Some(errno) if errno == -ENOENT => Ok(None),
            errno => bail!("the tracker tells no entry: error {errno:?}"),
        };
    }
    let number = find(answer.get(HEADERS..).unwrap_or_default(), CTA_PROTOINFO)
        .and_then(|info| find(info, CTA_PROTOINFO_TCP))
        .and_then(|tcp| find(tcp, CTA_PROTOINFO_TCP_STATE))
        .and_then(|state| state.first())
        .context("an entry without a state")?;
    let named = Tracked::ALL.get(usize::from(*number));
    Ok(Some(named.context("an unknown state")?.0))
}

/// The value of the first attribute of a kind.
fn find(attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = attributes;
    loop {
        let len = usize::from(word16(rest, 0)?);
        let value = rest.get(4..len)?;
        if word16(rest, 2)? & 0x3fff == wanted {
            return Some(value);
        }
        rest = rest.get(len.next_multiple_of(4)..)?;
    }
}

fn word16(octets: &[u8], at: usize) -> Option<u16> {
    let word = octets.get(at..at + 2)?;
    Some(u16::from_ne_bytes(word.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: u16, rest: &[u8]) -> Vec<u8> {
        let mut answer = vec![0; 16];
        answer[4..6].copy_from_slice(&kind.to_ne_bytes());
        answer.extend(rest);
        answer
    }

    #[test]
    fn state_is_found_behind_other_attributes() {
        let tcp = [attribute(7, &[9]), attribute(CTA_PROTOINFO_TCP_STATE, &[3])];
        let info = nested(CTA_PROTOINFO, &[nested(CTA_PROTOINFO_TCP, &tcp)]);
        let rest = [vec![0; 4], attribute(3, &[1, 2, 3]), info].concat();
        assert_eq!(
            state(&answer(0x100, &rest)).unwrap(),
            Some(Tracked::Established)
        );
    }

    #[test]
    fn no_entry_is_no_error_and_any_other_error_is() {
        let refused = |errno: i32| state(&answer(2, &errno.to_ne_bytes()));
        assert_eq!(refused(-ENOENT).unwrap(), None);
        assert!(refused(-1).is_err());
        assert!(state(&answer(0x100, &[0; 4])).is_err());
        assert!(state(&[]).is_err());
    }

    #[test]
    fn states_are_numbered_as_the_kernel_does() {
        for (number, (state, name)) in Tracked::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, number);
            assert_eq!(state.to_string(), name);
        }
    }
}
