//! Frames, whole and cut, as an interface or a capture has them.

use tcpguard_common::parse::Link;

#[path = "../../../tcpguard-common/tests/frame/mod.rs"]
mod frame;

/// How many octets of a cut frame are kept, and what it begins with, stand before it.
const HEADER_LEN: usize = 3;

/// Holds all that must hold of a frame against these octets.
pub fn check(octets: &[u8]) {
    let Some(([low, high, link], frame)) = octets.split_first_chunk::<HEADER_LEN>() else {
        return;
    };
    let link = Link::from_raw_ip(u32::from(link & 1));
    let number = u16::from_le_bytes([*low, *high]);
    frame::is_answered(frame, link, number.into());
    frame::is_read_alone(frame, link, octets);
    frame::is_no_other_if_cut(frame, link, number.into());
    frame::is_counted_once(frame, link);
    frame::is_softened_by_policy(frame, link);
    frame::is_plainly_the_same(frame, link);
    frame::is_read_as_it_is_written(frame, link);
    frame::is_read_with_options(frame, link);
}
