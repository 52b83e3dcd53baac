//! What must hold of whatever comes, as one function a target: it takes any octets, and panics if
//! something is wrong.
//!
//! `cargo xtask fuzz TARGET` lets libFuzzer look for such octets. What it has found so far is in `corpus/`,
//! and each run of the tests holds the same functions against that.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "what does not hold panics"
)]

pub mod parser;
pub mod tracker;

#[cfg(feature = "tools")]
pub mod config;
#[cfg(feature = "tools")]
pub mod events;
#[cfg(feature = "tools")]
pub mod pcap;
