//! Octets off a reader, and numbers in the byte order of a capture.

use std::io::{ErrorKind, Read};

use anyhow::{Context as _, Result, bail};

/// More octets than any frame or block of a sane capture has. A length beyond is damage, and no
/// reason to ask for gigabytes of memory.
const LONGEST: u32 = 16 << 20;

/// Which octet of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The lowest.
    Little,
    /// The highest.
    Big,
}

impl Order {
    /// Two octets at `at`, zero if they are not there.
    pub(super) fn u16(self, octets: &[u8], at: usize) -> u16 {
        let field = field(octets, at);
        match self {
            Self::Little => u16::from_le_bytes(field),
            Self::Big => u16::from_be_bytes(field),
        }
    }

    /// Four octets at `at`, zero if they are not there.
    pub(super) fn u32(self, octets: &[u8], at: usize) -> u32 {
        let field = field(octets, at);
        match self {
            Self::Little => u32::from_le_bytes(field),
            Self::Big => u32::from_be_bytes(field),
        }
    }

    /// Eight octets at `at`, zero if they are not there.
    pub(super) fn i64(self, octets: &[u8], at: usize) -> i64 {
        let field = field(octets, at);
        match self {
            Self::Little => i64::from_le_bytes(field),
            Self::Big => i64::from_be_bytes(field),
        }
    }
}

fn field<const N: usize>(octets: &[u8], at: usize) -> [u8; N] {
    octets
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .copied()
        .unwrap_or([0; N])
}

/// Fills `octets` as far as the file goes and says how far that is.
pub(super) fn read(reader: &mut impl Read, octets: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while let Some(rest) = octets.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("failed to read on"),
        }
    }
    Ok(filled)
}

/// Fills `octets`, unless the file ends right here: then `false`.
pub(super) fn read_header(reader: &mut impl Read, octets: &mut [u8]) -> Result<bool> {
    match read(reader, octets)? {
        0 => Ok(false),
        there if there < octets.len() => bail!(cut_off(there, octets.len())),
        _ => Ok(true),
    }
}

/// Makes `octets` the next `len` octets of the file.
pub(super) fn read_body(reader: &mut impl Read, octets: &mut Vec<u8>, len: u32) -> Result<()> {
    if len > LONGEST {
        bail!("its length field says {len} octets, which no frame has: the file is damaged");
    }
    octets.clear();
    // As much memory as octets come, whatever the field says.
    let there = reader.take(len.into()).read_to_end(octets);
    let there = there.context("failed to read on")?;
    if there < len as usize {
        bail!(cut_off(there, len as usize));
    }
    Ok(())
}

fn cut_off(there: usize, wanted: usize) -> String {
    format!("the file ends inside of it, {there} of {wanted} octets are there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_field_alone_takes_no_memory() {
        let mut octets = Vec::new();
        let told = read_body(&mut &[0; 8][..], &mut octets, LONGEST).unwrap_err();
        assert!(told.to_string().contains("8 of 16777216 octets"), "{told}");
        assert!(octets.capacity() < 1024, "{}", octets.capacity());
    }
}
