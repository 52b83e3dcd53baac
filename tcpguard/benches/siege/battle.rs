//! One turn: a filter, a flood, and what becomes of the traffic behind it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

use super::{
    Plan,
    defence::Defence,
    fault::Fault,
    filter::Filter,
    lab::{
        cpus::{Cpus, come_last},
        generator::Generator,
        means::absorb_answers,
        place::Place,
        stage::Stage,
    },
    limits::Books,
    tap::Tap,
    traffic::{self, Fate},
    wave::Wave,
};

/// What came of it.
pub(crate) struct Turn {
    pub(crate) filter: Filter,
    pub(crate) wave: Option<Wave>,
    /// Frames of the flood a second.
    pub(crate) sent: f64,
    pub(crate) fate: Fate,
    /// Of the flood, behind the filter, while there was one.
    pub(crate) passed: u64,
    /// Of those that were sent.
    pub(crate) share: f64,
    pub(crate) faults: Vec<Fault>,
    /// Whether the guard's counters could be held against the interface's, as it was the same one from its first
    /// frame on.
    pub(crate) is_counted: bool,
    /// What is wrong beside lost connections.
    pub(crate) wrong: Vec<String>,
}

/// A flood as it was.
struct Assault {
    /// Frames a second, and for how long.
    sent: f64,
    lasting: Duration,
    wrong: Vec<String>,
}

pub(crate) fn fight(
    cpus: Cpus,
    filter: Filter,
    wave: Option<Wave>,
    deck: &[Fault],
    plan: &Plan,
) -> Result<Turn> {
    let stage = Stage::new(cpus)?;
    let place = &stage.place;
    let _absorbing = absorb_answers(place)?;
    let _on = filter.put_on(place)?;
    let tap = Tap::open(place)?;
    let books = filter.is_tcpguard().then(|| Books::open(place));
    let mut books = books.transpose()?;
    let mut defence = Defence::new(place, &tap, filter, wave, plan.seed)?;
    let faults = deck.iter().copied().filter(|fault| fault.befalls(filter));
    let faults: Vec<_> = faults.collect();
    let befall = || assault(place, wave, plan.turn, &faults, &mut defence);
    let (assault, fate) = traffic::around(place, befall)?;
    let Assault {
        sent,
        lasting,
        mut wrong,
    } = assault?;
    let passed = tap.passed(wave)? - defence.unguarded;
    if let Some(books) = &mut books {
        wrong.extend(audit(books, &mut defence)?);
        if wave.is_some_and(|wave| wave.flood.is_illegal()) && passed > 0 {
            wrong.push(format!("{passed} frames of the flood have passed"));
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^52 frames")]
    let share = passed as f64 / (sent * lasting.as_secs_f64()).max(1.0);
    Ok(Turn {
        filter,
        wave,
        sent,
        fate,
        passed,
        share,
        faults,
        is_counted: books.is_some() && !defence.is_interrupted,
        wrong,
    })
}

/// What the guard has miscounted, and takes too much of.
fn audit(books: &mut Books<'_>, defence: &mut Defence<'_>) -> Result<Vec<String>> {
    let loader = defence.check().context("the loader at the end")?;
    let mut wrong: Vec<_> = loader.into_iter().collect();
    wrong.extend(books.check_memory().context("the maps at the end")?);
    if !defence.is_interrupted {
        wrong.extend(books.check_counters().context("the counters at the end")?);
    }
    Ok(wrong)
}

/// Frames a second: more are lost on the cable, and good ones with them, whatever the filter.
const MOST: u32 = 1_000_000;

/// The flood, and faults at equal distances while it goes on.
fn assault(
    place: &Place,
    wave: Option<Wave>,
    lasting: Duration,
    deck: &[Fault],
    defence: &mut Defence<'_>,
) -> Result<Assault> {
    let generator = wave.map(|wave| Generator::new(place, wave.origin.program()));
    let generator = generator.transpose()?;
    let frame = wave.map(|wave| wave.flood.frame_over(wave.family));
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let (sent, wrong) = thread::scope(|scope| {
        let both = generator.as_ref().zip(frame.as_ref());
        let flooding = both.map(|(generator, frame)| {
            scope.spawn(|| {
                come_last()?;
                generator.send_until(&stop, place, frame, MOST)
            })
        });
        let wrong = suffer(lasting, deck, defence);
        stop.store(true, Ordering::Relaxed);
        (flooding.map(thread::ScopedJoinHandle::join), wrong)
    });
    let lasting = start.elapsed();
    let sent = match sent {
        None => 0.0,
        Some(joined) => joined
            .map_err(|_| anyhow!("the flood has panicked"))?
            .context("the flood")?,
    };
    Ok(Assault {
        sent,
        lasting,
        wrong,
    })
}

/// Throws faults one after the other, and says which of them did what they must not.
fn suffer(lasting: Duration, deck: &[Fault], defence: &mut Defence<'_>) -> Vec<String> {
    let start = Instant::now();
    let number = u32::try_from(deck.len()).unwrap_or(u32::MAX);
    let mut wrong = Vec::new();
    for (due, fault) in (1..).zip(deck) {
        let due = lasting * due / (number + 1);
        thread::sleep(due.saturating_sub(start.elapsed()));
        if let Err(error) = defence.suffer(*fault) {
            wrong.push(format!("{}: {error:#}", fault.name()));
        }
    }
    thread::sleep(lasting.saturating_sub(start.elapsed()));
    wrong
}
