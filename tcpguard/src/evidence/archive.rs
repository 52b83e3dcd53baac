//! What all guards of this network namespace keep, of chosen reasons and interfaces, as it comes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, bail, ensure};
use tcpguard_common::{conn::state::State, parse::Link, policy::ReasonSet, segment::Segment};
use tokio::time::sleep;

use super::{Exhibit, lookout::Lookout};
use crate::{
    found::{self, Found},
    watch::ending::Ending,
};

/// Between two readings. What is kept in this time fits on a shelf.
pub(crate) const POLL: Duration = Duration::from_millis(100);
/// Between two looks whether the guards are still there.
const CHECK: Duration = Duration::from_secs(1);
/// As many looks in a row may fail: what the kernel lists changes meanwhile, and memory may be short.
const FAILURES: u32 = 5;

/// The guards that are read.
pub(crate) struct Archive {
    guards: Vec<Guard>,
    places: Vec<Place>,
    reasons: ReasonSet,
}

/// A guard at work.
struct Guard {
    names: String,
    /// The kernel's number of its table, which stays when its programs are exchanged.
    table: u32,
    lookout: Lookout,
    /// Where its interfaces begin among the places.
    first: usize,
}

/// An interface whose frames are kept.
#[derive(Clone, Debug)]
pub struct Place {
    pub(crate) name: String,
    /// What its frames begin with.
    pub(crate) link: Link,
    is_chosen: bool,
}

impl Place {
    /// Of this name, whose frames are looked at or not.
    #[must_use]
    pub const fn new(name: String, link: Link, is_chosen: bool) -> Self {
        Self {
            name,
            link,
            is_chosen,
        }
    }
}

/// A frame that was objected to, and where.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The number of its [`Place`].
    pub(crate) place: usize,
    pub(crate) exhibit: Exhibit,
    /// What it says as TCP, where enough of it is there.
    pub(crate) segment: Option<Segment>,
}

impl Sighting {
    /// At the interface of its slot, whose frames begin so; nothing is read of a frame whose link is not known.
    #[must_use]
    pub fn new(exhibit: Exhibit, link: Option<Link>) -> Self {
        Self {
            place: exhibit.slot,
            segment: link.and_then(|link| exhibit.segment(link)),
            exhibit,
        }
    }

    /// The state in which it found its connection, if it had one.
    pub(crate) fn state(&self) -> Option<State> {
        self.exhibit.ruling?.before()
    }
}

/// What is wanted of frames that were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    More,
    Enough,
}

/// Why no more is read.
#[derive(Debug)]
pub(crate) enum Over {
    /// It was asked for, or the time is over.
    Ended,
    /// There is enough.
    Enough,
    /// The guard on these interfaces was taken off.
    Gone(String),
    /// Whether the guards are still there cannot be told any more.
    Unseen(Error),
}

impl Over {
    /// Fails if there could have been more.
    pub(crate) fn into_result(self) -> Result<()> {
        match self {
            Self::Ended | Self::Enough => Ok(()),
            Self::Gone(names) => bail!("the guard on {names} was taken off"),
            Self::Unseen(error) => {
                Err(error.context("failed to look whether the guard is still there"))
            }
        }
    }
}

impl Archive {
    /// Of the guards that `command` asks for, on these interfaces or on all.
    pub(crate) fn open(command: &str, interfaces: &[String], reasons: ReasonSet) -> Result<Self> {
        Self::of(&found::at_least_one(command)?, interfaces, reasons)
    }

    /// Of these guards, on these interfaces or on all.
    pub(crate) fn of(guards: &[Found], interfaces: &[String], reasons: ReasonSet) -> Result<Self> {
        let mut archive = Self {
            guards: Vec::new(),
            places: Vec::new(),
            reasons,
        };
        for found in guards {
            let names = found.names().join(", ");
            let added = archive.add(found, interfaces);
            added.with_context(|| format!("cannot read the guard on {names}"))?;
        }
        let is_here = |name: &&String| archive.places.iter().any(|place| place.name == **name);
        if let Some(name) = interfaces.iter().find(|name| !is_here(name)) {
            let guarded: Vec<_> = archive.places.iter().map(|it| &*it.name).collect();
            bail!("no guard on {name}; there is one on {}", guarded.join(", "));
        }
        Ok(archive)
    }

    fn add(&mut self, found: &Found, interfaces: &[String]) -> Result<()> {
        let config = found.config()?;
        ensure!(
            config.evidence != 0,
            "it keeps no frames (of `attach` or `run` of this release each does)"
        );
        self.guards.push(Guard {
            names: found.names().join(", "),
            table: found.table()?,
            lookout: Lookout::new(
                found.evidence()?,
                config.guarded().map(|slot| slot.link()).collect(),
            ),
            first: self.places.len(),
        });
        for (slot, interface) in config.guarded().zip(found.slots(&config)) {
            // One that has gone has left frames.
            let name = match interface {
                Some(interface) => interface.name.clone(),
                None => format!("#{}", slot.index),
            };
            let is_chosen = interfaces.is_empty() || interfaces.contains(&name);
            self.places.push(Place::new(name, slot.link(), is_chosen));
        }
        Ok(())
    }

    /// The names of all that is guarded.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.guards.iter().map(|guard| &*guard.names).collect();
        names.join(", ")
    }

    /// The interfaces, by their numbers.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// What has been kept since the last time, at first all that is still there; in the order of time.
    pub(crate) fn read(&mut self) -> Vec<Sighting> {
        let Self {
            guards,
            places,
            reasons,
        } = self;
        let mut seen = Vec::new();
        for guard in guards {
            let sightings = guard.lookout.read().into_iter();
            seen.extend(sightings.filter_map(|sighting| {
                let place = guard.first + sighting.place;
                let is_chosen = places.get(place)?.is_chosen;
                let is_wanted = reasons.contains(sighting.exhibit.verdict.reason()?);
                (is_chosen && is_wanted).then_some(Sighting { place, ..sighting })
            }));
        }
        seen.sort_by_key(|sighting| sighting.exhibit.time);
        seen
    }

    /// Reads on and on, and hands over what was seen, until the end comes or there is enough. Whoever
    /// takes it may wait; the end does not. Fails only if the taking does.
    pub(crate) async fn follow(
        &mut self,
        ending: &mut Ending,
        mut take: impl AsyncFnMut(&[Place], Vec<Sighting>) -> Result<Wish>,
    ) -> Result<Over> {
        let mut checked = Instant::now();
        let mut failures = 0;
        loop {
            let seen = self.read();
            tokio::select! {
                biased;
                _ = ending.comes() => return Ok(Over::Ended),
                wish = take(&self.places, seen) => if wish? == Wish::Enough {
                    return Ok(Over::Enough);
                },
            }
            if checked.elapsed() >= CHECK {
                if let Some(over) = judge(self.gone(), &mut failures) {
                    return Ok(over);
                }
                checked = Instant::now();
            }
            tokio::select! {
                biased;
                _ = ending.comes() => return Ok(Over::Ended),
                () = sleep(POLL) => {}
            }
        }
    }

    /// A guard that was taken off. Its maps live as long as they are read, and would seem to be those of
    /// one that objects to nothing.
    fn gone(&self) -> Result<Option<String>> {
        let guards = found::guards()?;
        let tables: Vec<_> = guards.iter().filter_map(|it| it.table().ok()).collect();
        let gone = |guard: &&Guard| !tables.contains(&guard.table);
        Ok(self.guards.iter().find(gone).map(|it| it.names.clone()))
    }
}

/// What a look at the guards means, after so many failures in a row.
fn judge(look: Result<Option<String>>, failures: &mut u32) -> Option<Over> {
    match look {
        Ok(None) => *failures = 0,
        Ok(Some(names)) => return Some(Over::Gone(names)),
        Err(_) if *failures < FAILURES => *failures += 1,
        Err(error) => return Some(Over::Unseen(error)),
    }
    None
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn failed() -> Result<Option<String>> {
        Err(anyhow!("no memory"))
    }

    #[test]
    fn looks_that_fail_now_and_then_end_nothing() {
        let mut failures = 0;
        for _ in 0..2 {
            for _ in 0..FAILURES {
                assert!(judge(failed(), &mut failures).is_none());
            }
            assert!(judge(Ok(None), &mut failures).is_none());
        }
    }

    #[test]
    fn looks_that_go_on_failing_end_it_with_their_error() {
        let mut failures = FAILURES;
        let over = judge(failed(), &mut failures).unwrap();
        let told = format!("{:#}", over.into_result().unwrap_err());
        assert!(told.ends_with("is still there: no memory"), "{told}");
    }

    #[test]
    fn a_guard_that_is_found_gone_ends_it_at_once() {
        let over = judge(Ok(Some("eth0".to_owned())), &mut 0).unwrap();
        assert!(matches!(over, Over::Gone(names) if names == "eth0"));
    }
}
