//! What the benchmarks on a cable share: two hosts, a flood from one to the other, and what may stand
//! between the wire and the stack, a server and its clients, and what the kernel counts.
#![allow(dead_code, reason = "each benchmark takes the part that it needs")]

pub(crate) mod baseline;
pub(crate) mod client;
pub(crate) mod cpus;
pub(crate) mod figures;
pub(crate) mod flood;
pub(crate) mod generator;
pub(crate) mod interrupts;
pub(crate) mod means;
pub(crate) mod meter;
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod spread;
pub(crate) mod stage;
pub(crate) mod web;
