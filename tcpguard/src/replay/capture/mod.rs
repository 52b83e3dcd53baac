//! Reading a capture frame by frame, whatever its size.
//!
//! The formats are read here and not by a library: those at hand refuse frames that are longer than
//! the snap length, take pcapng time stamps for nanoseconds, and fail on a comment that is not UTF-8.

mod octets;
mod pcap;
mod pcapng;

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use self::{octets::Order, pcap::Pcap, pcapng::PcapNg};

/// A frame as a capture has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What the frame begins with, a number of the registry of link types.
    pub link_type: u16,
    /// When it was seen, since 1970.
    pub time: Duration,
    /// What was kept of it.
    pub octets: &'a [u8],
    /// Its length on the wire.
    pub wire_len: u32,
}

/// A capture that is being read.
#[derive(Debug)]
pub struct Capture<R>(Format<R>);

#[derive(Debug)]
enum Format<R> {
    Pcap(Pcap<R>),
    PcapNg(PcapNg<R>),
}

impl Capture<BufReader<File>> {
    /// Opens a file and reads what stands before its first frame.
    pub fn open(path: &Path) -> Result<Self> {
        let file =
            File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        Self::new(BufReader::new(file))
            .with_context(|| format!("failed to read {}", path.display()))
    }
}

impl<R: Read> Capture<R> {
    /// Reads what stands before the first frame.
    pub fn new(mut reader: R) -> Result<Self> {
        let mut magic = [0; 4];
        let there = octets::read(&mut reader, &mut magic)?;
        ensure!(there > 0, "the file is empty");
        let (order, fraction_ns) = match magic {
            [0x0a, 0x0d, 0x0d, 0x0a] => {
                return Ok(Self(Format::PcapNg(PcapNg::new(reader)?)));
            }
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, pcap::MICRO),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, pcap::NANO),
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, pcap::MICRO),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, pcap::NANO),
            other => bail!(not_a_capture(other)),
        };
        Ok(Self(Format::Pcap(Pcap::new(reader, order, fraction_ns)?)))
    }

    /// The next frame, `None` at the end of the file.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>> {
        match &mut self.0 {
            Format::Pcap(pcap) => pcap.next_record(),
            Format::PcapNg(pcapng) => pcapng.next_record(),
        }
    }
}

fn not_a_capture(begin: [u8; 4]) -> String {
    let hint = match begin {
        [0x1f, 0x8b, ..] => "it is compressed, unpack it with gunzip first",
        [0x28, 0xb5, 0x2f, 0xfd] => "it is compressed, unpack it with zstd -d first",
        [0xfd, b'7', b'z', b'X'] => "it is compressed, unpack it with xz -d first",
        _ => "make a pcap or pcapng file of it, for instance with editcap",
    };
    format!("not a capture, it begins with {begin:02x?}; {hint}")
}
