//! The format of libpcap (draft-ietf-opsawg-pcap): a header, then one record a frame.

use std::{io::Read, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{
    Record,
    octets::{Order, read_body, read_header},
};

/// Nanoseconds of a unit below the second, by the file's magic number.
pub(super) const MICRO: u64 = 1000;
/// As [`MICRO`].
pub(super) const NANO: u64 = 1;

/// A file of libpcap that is being read.
#[derive(Debug)]
pub(super) struct Pcap<R> {
    reader: R,
    order: Order,
    fraction_ns: u64,
    link_type: u16,
    octets: Vec<u8>,
}

impl<R: Read> Pcap<R> {
    /// Reads the header behind its magic number.
    pub(super) fn new(mut reader: R, order: Order, fraction_ns: u64) -> Result<Self> {
        let mut header = [0; 20];
        let whole = read_header(&mut reader, &mut header).context("header of the file")?;
        ensure!(whole, "the file ends behind its first four octets");
        // The upper half tells of frame check sequences, which lie behind the IP packet.
        let link_type = (order.u32(&header, 16) & 0xffff) as u16;
        Ok(Self {
            reader,
            order,
            fraction_ns,
            link_type,
            octets: Vec::new(),
        })
    }

    /// The next frame, `None` at the end of the file.
    pub(super) fn next_record(&mut self) -> Result<Option<Record<'_>>> {
        let mut header = [0; 16];
        if !read_header(&mut self.reader, &mut header)? {
            return Ok(None);
        }
        let field = |at| self.order.u32(&header, at);
        read_body(&mut self.reader, &mut self.octets, field(8))?;
        let seconds = Duration::from_secs(field(0).into());
        Ok(Some(Record {
            link_type: self.link_type,
            time: seconds + Duration::from_nanos(u64::from(field(4)) * self.fraction_ns),
            octets: &self.octets,
            wire_len: field(12),
        }))
    }
}
