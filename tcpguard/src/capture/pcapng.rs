//! The blocks of a pcapng file: an interface for each that is guarded, and frames with their reason.

use std::{borrow::Cow, mem, time::UNIX_EPOCH};

use anyhow::Result;
use pcap_file::{
    DataLink, Endianness,
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption},
            section_header::{SectionHeaderBlock, SectionHeaderOption},
        },
    },
};
use tcpguard_common::{abi::Hook, evidence::SNAP, parse::Link};

use crate::{
    events,
    evidence::archive::{Place, Sighting},
};

/// Time stamps are in ten to the minus ninth of a second.
const NANOSECONDS: u8 = 9;

/// Blocks that are still to be written.
pub struct Blocks(PcapNgWriter<Vec<u8>>);

impl Blocks {
    /// The head of a file with these interfaces, by their numbers.
    ///
    /// # Errors
    ///
    /// If it cannot be written, as below.
    pub fn new(places: &[Place]) -> Result<Self> {
        let program = concat!("tcpguard ", env!("CARGO_PKG_VERSION"));
        let section = SectionHeaderBlock {
            // Who reads a pipe takes no other.
            endianness: Endianness::native(),
            options: vec![SectionHeaderOption::UserApplication(program.into())],
            ..SectionHeaderBlock::default()
        };
        let mut writer = PcapNgWriter::with_section_header(Vec::new(), section)?;
        for place in places {
            writer.write_pcapng_block(InterfaceDescriptionBlock {
                linktype: match place.link {
                    Link::Ethernet => DataLink::ETHERNET,
                    Link::RawIp => DataLink::RAW,
                },
                snaplen: u32::try_from(SNAP)?,
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Owned(place.name.clone())),
                    InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
                ],
            })?;
        }
        Ok(Self(writer))
    }

    /// Adds a frame.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn packet(&mut self, sighting: &Sighting) -> Result<()> {
        let exhibit = &sighting.exhibit;
        self.0.write_pcapng_block(EnhancedPacketBlock {
            interface_id: u32::try_from(sighting.place)?,
            timestamp: exhibit.time.duration_since(UNIX_EPOCH).unwrap_or_default(),
            original_len: exhibit.octets,
            data: Cow::Borrowed(&exhibit.frame),
            options: vec![
                EnhancedPacketOption::Comment(comment(sighting).into()),
                EnhancedPacketOption::Flags(way(exhibit.hook)),
                EnhancedPacketOption::DropCount(exhibit.skipped),
            ],
        })?;
        Ok(())
    }

    /// All of them as octets.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        mem::take(self.0.get_mut())
    }
}

/// What became of a frame and why, and how its connection stood.
fn comment(sighting: &Sighting) -> String {
    let verdict = events::verdict(sighting);
    match sighting.state() {
        Some(state) => format!("{verdict}, {}", state.as_str()),
        None => verdict,
    }
}

/// Inbound or outbound, as the flags word of a packet numbers them.
const fn way(hook: Hook) -> u32 {
    match hook {
        Hook::Ingress => 1,
        Hook::Egress => 2,
    }
}
