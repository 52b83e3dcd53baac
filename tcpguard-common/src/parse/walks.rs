//! Ways through headers of which nobody knows how many there are: VLAN tags, IPv6 extension headers.

use super::{NOT_IP, take, take_or};
use crate::{
    cursor::{Cursor, Walk},
    reason::Reason,
    verdict::{Bypass, Verdict},
    wire::{
        ethernet,
        ipv6::{self, ExtensionHeader, NextHeader},
    },
};

/// A way through VLAN tags.
#[derive(Clone, Copy)]
pub(super) struct Tags {
    /// What follows.
    ether_type: u16,
    /// How many VLANs were named.
    vlans: u16,
    /// Why it has ended before its end.
    ended: Option<Verdict>,
}

impl Tags {
    /// From before the first one.
    #[inline(always)]
    pub(super) const fn before(ether_type: u16) -> Self {
        Self {
            ether_type,
            vlans: 0,
            ended: None,
        }
    }

    /// What follows the tags that were looked at.
    #[inline(always)]
    pub(super) fn ether_type(self) -> Result<u16, Verdict> {
        match self.ended {
            Some(verdict) => Err(verdict),
            None => Ok(self.ether_type),
        }
    }

    #[inline(always)]
    fn pass(&mut self, cursor: &mut impl Cursor) -> Result<(), Verdict> {
        let tag = take_or::<{ ethernet::TAG_LEN }, _>(cursor, NOT_IP)?;
        self.ether_type = ethernet::inner_ether_type(tag);
        if ethernet::names_vlan(tag) {
            self.vlans += 1;
        }
        if usize::from(self.vlans) > ethernet::MAX_VLANS {
            return Err(Verdict::bypass(Bypass::VlanDepth));
        }
        Ok(())
    }
}

impl Walk for Tags {
    #[inline(always)]
    fn step<C: Cursor>(&mut self, cursor: &mut C) -> bool {
        self.ended = self.pass(cursor).err();
        self.ended.is_none() && ethernet::is_tag(self.ether_type)
    }
}

/// A way through IPv6 extension headers.
#[derive(Clone, Copy)]
pub(super) struct Chain {
    /// Octets that were passed.
    pub(super) octets: u32,
    /// The number of what follows.
    next_header: u8,
    /// Whether it led into the first of several fragments.
    pub(super) is_fragment: bool,
    /// Why it has ended before its end.
    ended: Option<Verdict>,
}

impl Chain {
    /// From the fixed header.
    #[inline(always)]
    pub(super) const fn new(next_header: u8) -> Self {
        Self {
            octets: 0,
            next_header,
            is_fragment: false,
            ended: None,
        }
    }

    /// Whether another extension header follows.
    #[inline(always)]
    pub(super) fn goes_on(self) -> bool {
        !matches!(self.next(), NextHeader::Tcp | NextHeader::Other)
    }

    /// Whether it led to a TCP header.
    #[inline(always)]
    pub(super) fn end(self) -> Result<(), Verdict> {
        match (self.ended, self.next()) {
            (Some(verdict), _) => Err(verdict),
            (None, NextHeader::Tcp) => Ok(()),
            (None, NextHeader::Other) => Err(Verdict::bypass(Bypass::NotTcp)),
            (None, NextHeader::Fragment | NextHeader::Authentication | NextHeader::Extension) => {
                Err(Verdict::bypass(Bypass::ExtensionChain))
            }
        }
    }

    #[inline(always)]
    fn next(self) -> NextHeader {
        NextHeader::new(self.next_header)
    }

    #[inline(always)]
    fn pass(&mut self, cursor: &mut impl Cursor) -> Result<(), Verdict> {
        let kind = self.next();
        let extension = ExtensionHeader(take::<{ ipv6::EXTENSION_LEN }, _>(cursor)?);
        self.next_header = extension.next_header();
        if kind == NextHeader::Fragment {
            match extension.fragment_offset() {
                0 => self.is_fragment = extension.more_fragments(),
                // It would overwrite the flags of the first fragment (RFC 3128).
                1 if self.next() == NextHeader::Tcp => {
                    return Err(Verdict::dropped(Reason::TinyFragment));
                }
                _ => return Err(Verdict::bypass(Bypass::Fragment)),
            }
        }
        let len = extension.len(kind);
        cursor.skip(len - ipv6::EXTENSION_LEN);
        #[expect(clippy::cast_possible_truncation, reason = "at most 2048")]
        let len = len as u32;
        self.octets += len;
        Ok(())
    }
}

impl Walk for Chain {
    #[inline(always)]
    fn step<C: Cursor>(&mut self, cursor: &mut C) -> bool {
        self.ended = self.pass(cursor).err();
        self.ended.is_none() && self.goes_on()
    }
}
