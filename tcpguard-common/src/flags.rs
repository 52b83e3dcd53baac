//! TCP flags and the allow-list of sets that a sane stack sends.
//!
//! The list is the kernel's `tcp_valid_flags` (`net/netfilter/nf_conntrack_proto_tcp.c`): nine sets of
//! SYN, FIN, RST, ACK and URG. PSH, ECE, CWR, AE and the reserved bits are masked off first, so ECN
//! (RFC 3168), AccECN (RFC 9768) and PSH on any legal set pass.

use core::fmt;

use crate::reason::Reason;

/// The nine flags of a TCP header: the flag octet, and AE (formerly NS) as bit 8.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct TcpFlags(u16);

impl TcpFlags {
    /// No flag at all.
    pub const NULL: Self = Self(0);
    /// No more data from the sender.
    pub const FIN: Self = Self(0x001);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x002);
    /// Reset the connection.
    pub const RST: Self = Self(0x004);
    /// Push function.
    pub const PSH: Self = Self(0x008);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x010);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x020);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x040);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x080);
    /// Accurate ECN (RFC 9768), the bit that was NS in RFC 3540.
    pub const AE: Self = Self(0x100);

    /// How many different sets there are.
    pub const SETS: usize = 512;

    /// Every flag with its letter and its name, from the lowest bit up.
    pub const NAMES: [(Self, char, &'static str); 9] = [
        (Self::FIN, 'F', "FIN"),
        (Self::SYN, 'S', "SYN"),
        (Self::RST, 'R', "RST"),
        (Self::PSH, 'P', "PSH"),
        (Self::ACK, 'A', "ACK"),
        (Self::URG, 'U', "URG"),
        (Self::ECE, 'E', "ECE"),
        (Self::CWR, 'C', "CWR"),
        (Self::AE, 'N', "NS"),
    ];

    /// The sets that pass, by [`TcpFlags::class`].
    const LEGAL: [Self; 9] = [
        Self::SYN,
        Self::SYN.with(Self::URG),
        Self::SYN.with(Self::ACK),
        Self::RST,
        Self::RST.with(Self::ACK),
        Self::FIN.with(Self::ACK),
        Self::FIN.with(Self::ACK).with(Self::URG),
        Self::ACK,
        Self::ACK.with(Self::URG),
    ];

    /// One bit for each class that is legal, so that the test is a shift.
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    const LEGAL_CLASSES: u64 = {
        let mut classes = 0;
        let mut i = 0;
        while i < Self::LEGAL.len() {
            classes |= 1 << Self::LEGAL[i].class();
            i += 1;
        }
        classes
    };

    /// The nine bits, where they lie in octets 12 and 13 of the header.
    pub const MASK: u16 = 0x1ff;

    /// From octets 12 and 13 of the header, or any nine bits; higher bits are dropped.
    #[inline(always)]
    #[must_use]
    pub const fn new(bits: u16) -> Self {
        Self(bits & Self::MASK)
    }

    /// The nine bits.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// These flags and `other`.
    #[inline(always)]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    #[inline(always)]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is set.
    #[inline(always)]
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The flags that say what a segment is: without PSH, ECE, CWR and AE. Below 64.
    #[inline(always)]
    const fn class(self) -> u16 {
        self.0 & 0x037
    }

    /// Whether a sane stack sends this set.
    #[inline(always)]
    #[must_use]
    pub const fn is_legal(self) -> bool {
        (Self::LEGAL_CLASSES >> self.class()) & 1 != 0
    }

    /// Why this set is illegal, under the most telling name; `None` if it is legal.
    #[inline(always)]
    #[must_use]
    pub const fn offence(self) -> Option<Reason> {
        if self.is_legal() {
            return None;
        }
        // The order is the precedence: a SYN that also ends or resets is named after the SYN.
        Some(if self.class() == 0 {
            Reason::FlagsNull
        } else if self.contains(Self::SYN.with(Self::FIN)) {
            Reason::FlagsSynFin
        } else if self.contains(Self::SYN.with(Self::RST)) {
            Reason::FlagsSynRst
        } else if self.contains(Self::FIN.with(Self::RST)) {
            Reason::FlagsFinRst
        } else if self.class() == Self::FIN.with(Self::URG).class() {
            Reason::FlagsXmas
        } else if self.class() == Self::FIN.class() {
            Reason::FlagsFinNoAck
        } else if self.class() == Self::URG.class() {
            Reason::FlagsNoAck
        } else {
            Reason::FlagsOther
        })
    }
}

/// The letters of the set flags in the order FSRPAUECN, `-` if there are none.
impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NULL {
            return f.write_str("-");
        }
        for (flag, letter, _) in Self::NAMES {
            if self.contains(flag) {
                fmt::Write::write_char(f, letter)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpFlags({self})")
    }
}

/// A word that is no flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFlag;

/// From names, `SYN,FIN`, or letters, `SF`, in any case; `NULL`, `none` and `-` are the empty set.
impl core::str::FromStr for TcpFlags {
    type Err = UnknownFlag;

    fn from_str(text: &str) -> Result<Self, UnknownFlag> {
        if ["null", "none", "-"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(text))
        {
            return Ok(Self::NULL);
        }
        by_names(text)
            .or_else(|| by_letters(text))
            .ok_or(UnknownFlag)
    }
}

fn by_names(text: &str) -> Option<TcpFlags> {
    const SEPARATORS: [char; 3] = [',', '+', '|'];
    // AE by itself is the letters of ACK and ECE, as they are printed.
    let is_list = text.contains(SEPARATORS);
    text.split(SEPARATORS)
        .map(str::trim)
        .try_fold(TcpFlags::NULL, |set, word| {
            let word = if is_list && word.eq_ignore_ascii_case("AE") {
                "NS"
            } else {
                word
            };
            let named = TcpFlags::NAMES
                .iter()
                .find(|(_, _, name)| name.eq_ignore_ascii_case(word))?;
            Some(set.with(named.0))
        })
}

fn by_letters(text: &str) -> Option<TcpFlags> {
    if text.is_empty() {
        return None;
    }
    text.chars().try_fold(TcpFlags::NULL, |set, given| {
        let named = TcpFlags::NAMES
            .iter()
            .find(|(_, letter, _)| letter.eq_ignore_ascii_case(&given))?;
        Some(set.with(named.0))
    })
}
