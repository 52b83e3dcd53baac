//! The decision core of tcpguard.
//!
//! ```text
//! frame -> parse -> Segment -> flags -> Verdict -> counters
//!            |
//!            +-> Bypass (passes, counted) or Reason (broken)
//! ```
//!
//! ```
//! use tcpguard_common::{cursor::SliceCursor, judge::judge, parse::Link};
//!
//! let arp = [&[0xff; 12][..], &[0x08, 0x06, 0, 1]].concat();
//! let outcome = judge(&mut SliceCursor::new(&arp), Link::Ethernet);
//! assert_eq!(outcome.verdict.cause(), "not-ip");
//! assert!(!outcome.verdict.is_drop());
//! ```
//!
//! Everything here is pure: no I/O, no clock, no allocation, no map. The kernel programs and the
//! host tools call the same functions, so `tcpguard replay` decides as the kernel does. Modules are
//! listed in reading order.
#![cfg_attr(not(any(test, feature = "craft")), no_std)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![deny(missing_docs)]
#![warn(clippy::indexing_slicing)]
#![expect(
    clippy::inline_always,
    reason = "the verifier carries packet bounds only within one function"
)]

mod branchless;
pub mod cursor;
pub mod wire;

pub mod flags;
pub mod segment;
pub mod seq;

pub mod parse;

pub mod policy;
pub mod ports;
pub mod reason;
pub mod verdict;

pub mod judge;

pub mod conn;
pub mod flow;
pub mod table;

pub mod cookie;
pub mod limit;

pub mod abi;
pub mod counters;
pub mod evidence;

#[cfg(feature = "user")]
mod pod;

#[cfg(feature = "craft")]
pub mod craft;
