//! The guard and what it is measured against, and how either gets its connections: through
//! `BPF_PROG_TEST_RUN`, which makes a frame of another connection of the last one each time.

pub(crate) mod handshake;
pub(crate) mod objects;
pub(crate) mod path;
pub(crate) mod shuffle;
