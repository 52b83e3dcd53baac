//! What the benchmarks on a cable share: two hosts, a flood from one to the other, and what may stand
//! between the wire and the stack.
#![allow(dead_code, reason = "each benchmark takes the part that it needs")]

pub(crate) mod baseline;
pub(crate) mod cpus;
pub(crate) mod figures;
pub(crate) mod flood;
pub(crate) mod generator;
pub(crate) mod interrupts;
pub(crate) mod means;
pub(crate) mod place;
pub(crate) mod spread;
