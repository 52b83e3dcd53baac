//! The format of Wireshark (draft-ietf-opsawg-pcapng): sections of blocks, each with its own byte
//! order and interfaces. Blocks without a frame are passed over.

use std::{io::Read, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Record,
    octets::{Order, read_body, read_header},
};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Octets around the body of a block: its type, and its length before and behind.
const FRAME_LEN: u32 = 12;

/// A pcapng file that is being read.
#[derive(Debug)]
pub(super) struct PcapNg<R> {
    reader: R,
    order: Order,
    /// Of this section, by number.
    interfaces: Vec<Interface>,
    /// The body of the last block, and its length behind it.
    block: Vec<u8>,
}

/// What is said of an interface.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u16,
    /// Octets kept of a frame, 0 for all.
    snap_len: u32,
    clock: Clock,
}

/// What a time stamp counts.
#[derive(Clone, Copy, Debug)]
struct Clock {
    units_per_second: u128,
    offset_seconds: i64,
}

/// Where a frame lies in its block.
struct Packet {
    interface: u32,
    /// Units of the interface's clock; a simple packet has no time.
    units: u64,
    captured_len: u32,
    wire_len: u32,
    begin: usize,
}

impl<R: Read> PcapNg<R> {
    /// Reads the header of the first section behind its type.
    pub(super) fn new(reader: R) -> Result<Self> {
        let mut pcapng = Self {
            reader,
            order: Order::Little,
            interfaces: Vec::new(),
            block: Vec::new(),
        };
        let mut len = [0; 4];
        let whole = read_header(&mut pcapng.reader, &mut len).context("header of the section")?;
        ensure!(whole, "the file ends behind its first four octets");
        pcapng.section(len).context("header of the section")?;
        Ok(pcapng)
    }

    /// The next frame, `None` at the end of the file.
    pub(super) fn next_record(&mut self) -> Result<Option<Record<'_>>> {
        loop {
            let Some(block_type) = self.next_block()? else {
                return Ok(None);
            };
            let packet = match block_type {
                INTERFACE => {
                    let interface = Interface::read(&self.block, self.order)?;
                    self.interfaces.push(interface);
                    continue;
                }
                ENHANCED_PACKET => self.packet(self.order.u32(&self.block, 0))?,
                OBSOLETE_PACKET => self.packet(self.order.u16(&self.block, 0).into())?,
                SIMPLE_PACKET => self.simple_packet()?,
                _ => continue,
            };
            return self.record(&packet).map(Some);
        }
    }

    /// Reads a block and gives its type.
    fn next_block(&mut self) -> Result<Option<u32>> {
        let mut header = [0; 8];
        if !read_header(&mut self.reader, &mut header)? {
            return Ok(None);
        }
        let [a, b, c, d, len @ ..] = header;
        // The same in either order.
        if u32::from_le_bytes([a, b, c, d]) == SECTION {
            self.section(len).context("section before it")?;
            return Ok(Some(SECTION));
        }
        let block_type = self.order.u32(&header, 0);
        let body = self.body(self.order.u32(&len, 0), FRAME_LEN);
        if matches!(
            block_type,
            ENHANCED_PACKET | OBSOLETE_PACKET | SIMPLE_PACKET
        ) {
            body?;
        } else {
            body.context("block before it")?;
        }
        Ok(Some(block_type))
    }

    /// Begins a section, which has its own byte order, told by its magic number.
    fn section(&mut self, len: [u8; 4]) -> Result<()> {
        let mut magic = [0; 4];
        ensure!(
            read_header(&mut self.reader, &mut magic)?,
            "the file ends inside of it"
        );
        self.order = match magic {
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            other => bail!("a section begins with {other:02x?}: the file is damaged"),
        };
        self.interfaces.clear();
        self.body(self.order.u32(&len, 0), FRAME_LEN + 4)
    }

    /// Reads what follows of a block of `len` octets, of which `around` are not its body.
    fn body(&mut self, len: u32, around: u32) -> Result<()> {
        let body_len = len.checked_sub(around).filter(|body_len| body_len % 4 == 0);
        let body_len = body_len
            .with_context(|| format!("a block says it has {len} octets: the file is damaged"))?;
        read_body(
            &mut self.reader,
            &mut self.block,
            body_len.saturating_add(4),
        )?;
        let again = self.order.u32(&self.block, body_len as usize);
        ensure!(
            again == len,
            "a block begins with length {len} and ends with {again}: damaged"
        );
        self.block.truncate(body_len as usize);
        Ok(())
    }

    fn packet(&self, interface: u32) -> Result<Packet> {
        const HEADER_LEN: usize = 20;
        ensure!(
            self.block.len() >= HEADER_LEN,
            "its block ends in its header: damaged"
        );
        let field = |at| self.order.u32(&self.block, at);
        Ok(Packet {
            interface,
            units: u64::from(field(4)) << 32 | u64::from(field(8)),
            captured_len: field(12),
            wire_len: field(16),
            begin: HEADER_LEN,
        })
    }

    fn simple_packet(&self) -> Result<Packet> {
        const HEADER_LEN: usize = 4;
        ensure!(
            self.block.len() >= HEADER_LEN,
            "its block ends in its header: damaged"
        );
        let wire_len = self.order.u32(&self.block, 0);
        let kept = self
            .interfaces
            .first()
            .map_or(0, |interface| interface.snap_len);
        let captured_len = if kept == 0 {
            wire_len
        } else {
            wire_len.min(kept)
        };
        Ok(Packet {
            interface: 0,
            units: 0,
            captured_len,
            wire_len,
            begin: HEADER_LEN,
        })
    }

    fn record(&self, packet: &Packet) -> Result<Record<'_>> {
        let number = packet.interface;
        let interface = self.interfaces.get(number as usize);
        let interface = interface
            .with_context(|| format!("it came by interface {number}, which is not described"))?;
        let kept = self.block.get(packet.begin..).unwrap_or_default();
        let octets = kept
            .get(..packet.captured_len as usize)
            .with_context(|| format!("its block has fewer than {} octets", packet.captured_len))?;
        Ok(Record {
            link_type: interface.link_type,
            time: interface.clock.time(packet.units),
            octets,
            wire_len: packet.wire_len,
        })
    }
}

impl Interface {
    fn read(block: &[u8], order: Order) -> Result<Self> {
        const OPTIONS: usize = 8;
        const TIME_RESOLUTION: u16 = 9;
        const TIME_OFFSET: u16 = 14;
        ensure!(
            block.len() >= OPTIONS,
            "the description of an interface is too short: damaged"
        );
        let mut clock = Clock {
            units_per_second: 1_000_000,
            offset_seconds: 0,
        };
        let mut options = block.get(OPTIONS..).unwrap_or_default();
        while !options.is_empty() {
            let len = usize::from(order.u16(options, 2));
            let value = options.get(4..4 + len).unwrap_or_default();
            match (order.u16(options, 0), value) {
                (0, _) => break,
                (TIME_RESOLUTION, [resolution]) => {
                    clock.units_per_second = units_per_second(*resolution)?;
                }
                (TIME_OFFSET, [_, _, _, _, _, _, _, _]) => {
                    clock.offset_seconds = order.i64(value, 0);
                }
                _ => {}
            }
            options = options
                .get(4 + len.next_multiple_of(4)..)
                .unwrap_or_default();
        }
        Ok(Self {
            link_type: order.u16(block, 0),
            snap_len: order.u32(block, 4),
            clock,
        })
    }
}

/// The highest bit tells a power of two from a power of ten.
fn units_per_second(resolution: u8) -> Result<u128> {
    let exponent = u32::from(resolution & 0x7f);
    let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(exponent)
        .with_context(|| format!("no clock ticks {base} to the power of {exponent} times a second"))
}

impl Clock {
    fn time(self, units: u64) -> Duration {
        const NANOS: u128 = 1_000_000_000;
        let units = u128::from(units);
        // The rest is a number of units, which has 64 bits, so the product has less than 128.
        let nanos = units % self.units_per_second * NANOS / self.units_per_second;
        let seconds = u64::try_from(units / self.units_per_second).unwrap_or(u64::MAX);
        let seconds = seconds.saturating_add_signed(self.offset_seconds);
        Duration::new(seconds, u32::try_from(nanos).unwrap_or_default())
    }
}
