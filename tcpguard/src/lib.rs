//! The loader of tcpguard and its host tools.

pub mod object;
