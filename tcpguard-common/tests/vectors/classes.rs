//! Flag sets by what they say: the allow-list and the names of all others, written down by hand.

use tcpguard_common::reason::Reason::{
    self, FlagsFinNoAck, FlagsFinRst, FlagsNoAck, FlagsNull, FlagsOther, FlagsSynFin, FlagsSynRst,
    FlagsXmas,
};

/// Every set of URG 0x20, ACK 0x10, RST 0x04, SYN 0x02 and FIN 0x01, with what is wrong with it.
pub(crate) const CLASSES: [(u16, Option<Reason>); 32] = [
    (0x00, Some(FlagsNull)),
    (0x01, Some(FlagsFinNoAck)),
    (0x02, None),
    (0x03, Some(FlagsSynFin)),
    (0x04, None),
    (0x05, Some(FlagsFinRst)),
    (0x06, Some(FlagsSynRst)),
    (0x07, Some(FlagsSynFin)),
    (0x10, None),
    (0x11, None),
    (0x12, None),
    (0x13, Some(FlagsSynFin)),
    (0x14, None),
    (0x15, Some(FlagsFinRst)),
    (0x16, Some(FlagsSynRst)),
    (0x17, Some(FlagsSynFin)),
    (0x20, Some(FlagsNoAck)),
    (0x21, Some(FlagsXmas)),
    (0x22, None),
    (0x23, Some(FlagsSynFin)),
    (0x24, Some(FlagsOther)),
    (0x25, Some(FlagsFinRst)),
    (0x26, Some(FlagsSynRst)),
    (0x27, Some(FlagsSynFin)),
    (0x30, None),
    (0x31, None),
    (0x32, Some(FlagsOther)),
    (0x33, Some(FlagsSynFin)),
    (0x34, Some(FlagsOther)),
    (0x35, Some(FlagsFinRst)),
    (0x36, Some(FlagsSynRst)),
    (0x37, Some(FlagsSynFin)),
];

/// What is wrong with nine flag bits: PSH, ECE, CWR and AE are no matter.
pub(crate) fn offence(bits: u16) -> Option<Reason> {
    let class = bits & 0x037;
    let (_, offence) = CLASSES
        .iter()
        .find(|(bits, _)| *bits == class)
        .expect("32 classes");
    *offence
}
