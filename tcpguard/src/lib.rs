//! The loader of tcpguard and its host tools.

mod announcement;
pub mod cli;
pub mod clock;
pub mod conns;
pub mod enforce;
pub mod engine;
pub mod explain;
pub mod flows;
pub mod guard;
mod log;
pub mod manual;
mod netlink;
pub mod object;
pub mod pinned;
mod pins;
mod preflight;
mod programs;
pub mod replay;
pub mod run;
pub mod sample;
pub mod status;
pub mod trace;
pub mod tracking;
pub mod watch;
