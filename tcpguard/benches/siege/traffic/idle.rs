//! Connections on which nothing is said, but that the other end is asked each second whether it is still there.

use std::ops::Range;

use anyhow::{Context as _, Result};
use nix::sys::socket::{
    setsockopt,
    sockopt::{KeepAlive, TcpKeepCount, TcpKeepIdle, TcpKeepInterval},
};
use xtask::lab::{
    line::{PATIENCE, Pair},
    traffic::exchange,
};

use super::pairs;
use crate::siege::lab::place::Place;

/// One over each version of IP to each of them.
const PORTS: Range<u16> = 81..89;

/// They have to answer at the end.
pub(super) struct Idle(Vec<Pair>);

impl Idle {
    pub(super) fn start(place: &Place) -> Result<Self> {
        let pairs = pairs(place, PORTS)?;
        for stream in pairs.iter().flat_map(|pair| [&pair.client, &pair.server]) {
            let patience = u32::try_from(PATIENCE.as_secs())?;
            setsockopt(stream, KeepAlive, &true)?;
            setsockopt(stream, TcpKeepIdle, &1)?;
            setsockopt(stream, TcpKeepInterval, &1)?;
            setsockopt(stream, TcpKeepCount, &patience)?;
        }
        Ok(Self(pairs))
    }

    pub(super) fn end(self) -> impl Iterator<Item = (&'static str, Result<()>)> {
        let ends = self.0.into_iter().map(|mut pair| exchange(&mut pair));
        ends.map(|end| ("idle", end.context("with keepalives meanwhile")))
    }
}
