//! The loader of tcpguard and its host tools.

pub mod cli;
pub mod enforce;
pub mod explain;
pub mod object;
pub mod replay;
pub mod run;
pub mod sample;
pub mod watch;
