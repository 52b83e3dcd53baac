//! A private network to be attacked in: namespaces, links, honest traffic, attacks, a witness.
//!
//! Used by `cargo xtask demo` and by the live tests. Everything is owned: dropping a [`Namespace`]
//! ends what runs in it and takes its interfaces with it, so that nothing stays behind. Nothing here
//! touches an interface of the host, and it all needs root.
//!
//! It asks of a machine only what any Linux has: `ip` and `nsenter`, veth and macvlan. VLAN is done in
//! user space (see [`vlan`]), for kernels without it and because only so the tag lies in the frame.
//!
//! [`Namespace`]: namespace::Namespace

pub mod attack;
pub mod client;
pub mod conntrack;
pub mod forge;
pub mod guard;
pub mod line;
pub mod link;
pub mod namespace;
pub mod network;
pub mod overhear;
pub mod packet;
pub mod path;
pub mod site;
pub mod tally;
pub mod terminal;
pub mod traffic;
pub mod vlan;
pub mod weather;
pub mod web;
pub mod witness;

pub mod background;
mod iproute;
