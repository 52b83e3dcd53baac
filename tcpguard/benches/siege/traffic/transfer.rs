//! Transfers: long ones in both directions, and slow ones on connections that are half closed.

use std::ops::Range;

use anyhow::Result;
use xtask::lab::traffic::{Flow, Pace};

use super::pairs;
use crate::siege::lab::place::Place;

/// One over each version of IP to each of them.
const LONG: Range<u16> = 89..90;
const SLOW: Range<u16> = 90..94;

/// They have to be whole at the end.
pub(super) struct Transfers(Vec<(&'static str, Flow)>);

impl Transfers {
    pub(super) fn start(place: &Place) -> Result<Self> {
        let (long, slow) = (pairs(place, LONG)?, pairs(place, SLOW)?);
        let long = long
            .iter()
            .map(|pair| ("transfer", Flow::at(Pace::STEADY, pair)));
        let slow = slow
            .iter()
            .map(|pair| ("half closed", Flow::half_closed(pair, Pace::TRICKLE)));
        let flows = long.chain(slow).map(|(kind, flow)| Ok((kind, flow?)));
        flows.collect::<Result<_>>().map(Self)
    }

    /// That have come.
    pub(super) fn octets(&self) -> u64 {
        self.0.iter().map(|(_, flow)| flow.received()).sum()
    }

    pub(super) fn end(self) -> impl Iterator<Item = (&'static str, Result<()>)> {
        let flows = self.0.into_iter();
        flows.map(|(kind, flow)| (kind, flow.finish()))
    }
}
