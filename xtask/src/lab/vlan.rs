//! VLAN interfaces in user space.
//!
//! Not every kernel has 8021q, and where it has, veth hands the tag over beside the frame, so that
//! XDP would see none. Here two threads put the tags into the frames and take them out:
//!
//! ```text
//! stack - name === name.wire - adds tags, removes tags - trunk - ...
//! ```
//!
//! LIMIT: a segment must fit one frame (`gso_max_segs 1` sees to it); speed is not its purpose.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result};

use super::{
    background::Background,
    link::{VethOptions, veth},
    namespace::Namespace,
    packet::{Mac, PacketSocket, mac},
};

const ETHERNET_LEN: usize = 14;
const ADDRESSES_LEN: usize = 12;
const TAG_LEN: usize = 4;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TAGS: [u16; 2] = [0x8100, 0x88a8];
const TCP: u8 = 6;
/// What fits a frame of 1500 octets behind two tags.
const MTU: u32 = 1492;

/// An interface whose frames travel tagged over another one, until it is dropped.
pub struct Vlan {
    _threads: [Background; 2],
}

impl Vlan {
    /// Makes the interface `name` on top of `trunk`, with the Ethernet address `address` or its own.
    pub fn new(
        namespace: &Namespace,
        trunk: &str,
        name: &str,
        tags: &'static [(u16, u16)],
        address: Option<Mac>,
    ) -> Result<Self> {
        let wire = format!("{name}.wire");
        let options = VethOptions {
            mtu: Some(MTU),
            queues: None,
        };
        veth((namespace, name), (namespace, &wire), options)?;
        namespace.configure(&format!("link set {name} gso_max_segs 1\n"))?;
        if let Some(address) = address {
            let text = address.map(|octet| format!("{octet:02x}")).join(":");
            namespace.configure(&format!("link set {name} address {text}\n"))?;
        }
        let address = mac(namespace, name)?;
        let outside = Arc::new(PacketSocket::receiving(namespace, trunk)?);
        let inside = Arc::new(PacketSocket::receiving(namespace, &wire)?);
        let (from, to) = (Arc::clone(&inside), Arc::clone(&outside));
        let leaving = Background::start("vlan-out", move |stop| {
            relay(&from, &to, stop, |frame| tagged(frame, address, tags));
        })?;
        let arriving = Background::start("vlan-in", move |stop| {
            relay(&outside, &inside, stop, |frame| untagged(frame, address));
        })
        .context("failed to relay")?;
        Ok(Self {
            _threads: [leaving, arriving],
        })
    }
}

fn relay(
    from: &PacketSocket,
    to: &PacketSocket,
    stop: &AtomicBool,
    change: impl Fn(&[u8]) -> Option<Vec<u8>>,
) {
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        let Ok(received) = from.receive(&mut buffer) else {
            return;
        };
        if let Some(frame) = received.and_then(|len| change(&buffer[..len])) {
            // As on any wire, a frame can get lost; TCP notices.
            let _ = to.send(&frame);
        }
    }
}

/// The frame with its tags, if it comes from our interface.
fn tagged(frame: &[u8], address: Mac, tags: &[(u16, u16)]) -> Option<Vec<u8>> {
    if frame.get(6..ADDRESSES_LEN)? != address {
        return None;
    }
    let (addresses, rest) = frame.split_at(ADDRESSES_LEN);
    let mut rest = rest.to_vec();
    complete_checksum(&mut rest);
    let mut tagged = addresses.to_vec();
    for (ether_type, vlan) in tags {
        tagged.extend_from_slice(&ether_type.to_be_bytes());
        tagged.extend_from_slice(&vlan.to_be_bytes());
    }
    tagged.extend_from_slice(&rest);
    Some(tagged)
}

/// The frame without tags, if it is for our interface. One tag the kernel has already taken off.
fn untagged(frame: &[u8], address: Mac) -> Option<Vec<u8>> {
    if frame.get(..6)? != address {
        return None;
    }
    let (addresses, mut rest) = frame.split_at_checked(ADDRESSES_LEN)?;
    while TAGS.contains(&be16(rest, 0)?) {
        rest = rest.get(TAG_LEN..)?;
    }
    Some([addresses, rest].concat())
}

/// Computes the TCP checksum, which the stack left to the hardware. `packet` begins with the
/// `EtherType`; what is not plain TCP stays as it is.
fn complete_checksum(packet: &mut [u8]) {
    let Some((start, end, pseudo_sum)) = tcp_extent(packet) else {
        return;
    };
    let Some(segment) = packet.get_mut(start..end) else {
        return;
    };
    let Some(field) = segment.get_mut(16..18) else {
        return;
    };
    field.fill(0);
    let mut sum = pseudo_sum + sum(segment);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    #[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits")]
    let checksum = !(sum as u16);
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
}

/// Where the TCP segment lies, and the sum over what its checksum covers beside it.
pub(super) fn tcp_extent(packet: &[u8]) -> Option<(usize, usize, u32)> {
    let ip = ETHERNET_LEN - ADDRESSES_LEN;
    let (start, end, protocol, addresses) = match be16(packet, 0)? {
        IPV4 => {
            let header_len = 4 * usize::from(packet.get(ip)? & 0x0f);
            let end = ip + usize::from(be16(packet, ip + 2)?);
            (
                ip + header_len,
                end,
                *packet.get(ip + 9)?,
                packet.get(ip + 12..ip + 20)?,
            )
        }
        IPV6 => {
            let end = ip + 40 + usize::from(be16(packet, ip + 4)?);
            (
                ip + 40,
                end,
                *packet.get(ip + 6)?,
                packet.get(ip + 8..ip + 40)?,
            )
        }
        _ => return None,
    };
    let length = u32::try_from(end.checked_sub(start)?).ok()?;
    (protocol == TCP).then(|| (start, end, sum(addresses) + u32::from(TCP) + length))
}

/// The sum of 16-bit words (RFC 1071), not folded; a frame is too short for it to overflow.
fn sum(octets: &[u8]) -> u32 {
    octets
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum()
}

fn be16(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use tcpguard_common::craft::TcpFrame;

    use super::*;

    const TWO_TAGS: [(u16, u16); 2] = [(0x88a8, 20), (0x8100, 30)];

    #[test]
    fn tags_are_added_and_the_checksum_completed() {
        for mut frame in [TcpFrame::ipv4(), TcpFrame::ipv6()] {
            frame.payload = b"odd".to_vec();
            let mut plain = frame.build();
            let checksum = frame.tcp_offset() + 16;
            plain[checksum] ^= 0x55;
            let expected = frame.with_tags(&TWO_TAGS).build();
            assert_eq!(
                tagged(&plain, [2, 0, 0, 0, 0, 1], &TWO_TAGS),
                Some(expected)
            );
        }
    }

    #[test]
    fn tags_are_removed() {
        let frame = TcpFrame::ipv4();
        let tagged = frame.clone().with_tags(&TWO_TAGS[1..]).build();
        assert_eq!(untagged(&tagged, [2, 0, 0, 0, 0, 2]), Some(frame.build()));
    }

    #[test]
    fn frames_of_others_are_left_alone() {
        let frame = TcpFrame::ipv4().build();
        assert_eq!(tagged(&frame, [9; 6], &TWO_TAGS), None);
        assert_eq!(untagged(&frame, [9; 6]), None);
    }

    #[test]
    fn truncated_frames_do_no_harm() {
        let frame = TcpFrame::ipv6().build();
        for len in 0..frame.len() {
            let _ = tagged(&frame[..len], [2, 0, 0, 0, 0, 1], &TWO_TAGS);
            let _ = untagged(&frame[..len], [2, 0, 0, 0, 0, 2]);
        }
    }
}
