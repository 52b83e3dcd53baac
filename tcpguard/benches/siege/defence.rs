//! A guard at work, and how each fault befalls it.

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use xtask::{
    lab::{
        forge::Dice,
        guard::Guard,
        line::PATIENCE,
        link::{VethOptions, has_xdp, veth},
    },
    process::output,
};

use super::{
    fault::Fault,
    filter::{Filter, GUARDING, LITTLE, ROOM},
    lab::{
        means::{ATTACH, TCPGUARD, tcpguard},
        place::{Place, RECEIVING},
        process::Process,
    },
    tap::Tap,
    wave::Wave,
};

/// What stands before the server, tcpguard or not.
pub(crate) struct Defence<'a> {
    place: &'a Place,
    tap: &'a Tap<'a>,
    wave: Option<Wave>,
    dice: Dice,
    /// `tcpguard run --watch`, which a guard needs no more than that there is somebody who looks.
    watcher: Option<Guard>,
    /// Frames of the flood that have passed meanwhile, and all that pass there without tcpguard.
    pub(crate) unguarded: u64,
    /// Whether there was a while without a guard.
    pub(crate) is_interrupted: bool,
}

const RELOAD: [&str; 3] = ["reload", "--iface", RECEIVING];
/// Two policies of which each lets pass all good traffic, and none of the flood.
const POLICIES: [[&str; 2]; 2] = [["--inbound", "ports=80-99"], ["--inbound", "open"]];
const SECOND: &str = "second";

impl<'a> Defence<'a> {
    pub(crate) fn new(
        place: &'a Place,
        tap: &'a Tap<'a>,
        filter: Filter,
        wave: Option<Wave>,
        seed: u64,
    ) -> Result<Self> {
        let ends = ((&place.receiver, SECOND), (&place.receiver, "second-end"));
        veth(ends.0, ends.1, VethOptions::default())?;
        let watcher = filter.is_tcpguard().then(|| watch(place)).transpose()?;
        Ok(Self {
            place,
            tap,
            wave,
            dice: Dice::new(seed),
            watcher,
            unguarded: 0,
            is_interrupted: false,
        })
    }

    /// One fault. An error is that something has not come of it that has to.
    pub(crate) fn suffer(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KillWatcher => self.kill_watcher(),
            Fault::KillOwner => self.kill_owner(),
            Fault::KillReload => self.kill_reload(),
            Fault::Reload => POLICIES.iter().try_for_each(|policy| self.reload(policy)),
            Fault::Upgrade => self.tcpguard(&["upgrade", "--iface", RECEIVING]),
            Fault::SecondInterface => self.guard_second(),
            Fault::LinkDown => self.interrupt(Place::down_and_up),
            Fault::Memory => self.reload_without_memory(),
            Fault::Clock => self.reload_on_another_day(),
            Fault::LittleRoom => self.give_little_room(),
        }?;
        let is_guarded = self.watcher.is_none() || has_xdp(&self.place.receiver, RECEIVING)?;
        ensure!(is_guarded, "nothing is attached");
        Ok(())
    }

    /// What is wrong with who watches, at the end.
    pub(crate) fn check(&mut self) -> Result<Option<String>> {
        const MOST: f64 = 64.0 * 1024.0 * 1024.0;
        let Some(watcher) = &mut self.watcher else {
            return Ok(None);
        };
        watcher.fresh_reading()?;
        let own = Process(watcher.id()).own()?;
        Ok((own > MOST).then(|| format!("the loader has {own} octets of memory")))
    }

    fn tcpguard(&self, words: &[&str]) -> Result<()> {
        tcpguard(&self.place.receiver, words).map(drop)
    }

    fn reload(&self, policy: &[&str]) -> Result<()> {
        self.tcpguard(&[&RELOAD, policy].concat())
    }

    fn kill_watcher(&mut self) -> Result<()> {
        if let Some(watcher) = self.watcher.take() {
            watcher.kill()?;
        }
        self.watcher = Some(watch(self.place)?);
        Ok(())
    }

    /// Whatever a reload has come to, the guard is there, and the next one succeeds.
    fn is_whole(&self) -> Result<()> {
        ensure!(
            has_xdp(&self.place.receiver, RECEIVING)?,
            "the guard is gone"
        );
        self.reload(&POLICIES[1])
    }

    fn kill_reload(&mut self) -> Result<()> {
        const LONGEST: u32 = 200;
        let mut command = self.place.receiver.command(TCPGUARD);
        command.args(RELOAD).args(POLICIES[0]);
        let mut reload = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        thread::sleep(Duration::from_millis((self.dice.throw() % LONGEST).into()));
        reload.kill()?;
        reload.wait()?;
        self.is_whole()
    }

    fn reload_without_memory(&mut self) -> Result<()> {
        const LEAST: u32 = 8 << 20;
        let limit = format!("--as={}", LEAST + self.dice.throw() % (4 * LEAST));
        let mut command = self.place.receiver.command("prlimit");
        command
            .args([&limit, TCPGUARD])
            .args(RELOAD)
            .args(POLICIES[0]);
        // How it ends, its memory decides.
        let _ = output(&mut command);
        self.is_whole()
    }

    /// The machine's own clock is not ours to change. What the programs go by cannot step; and a namespace gives
    /// one process other clocks than all the rest has.
    fn reload_on_another_day(&self) -> Result<()> {
        let mut command = self.place.receiver.command("unshare");
        command.args([
            "--time",
            "--monotonic",
            "86400",
            "--boottime",
            "86400",
            TCPGUARD,
        ]);
        output(command.args(RELOAD).args(POLICIES[1])).map(drop)
    }

    fn guard_second(&self) -> Result<()> {
        self.tcpguard(&["attach", "--iface", SECOND, "--max-conns", LITTLE])?;
        self.tcpguard(&["detach", "--iface", SECOND])
    }

    /// Between the guards there is none, and after each the connections are known again.
    fn kill_owner(&mut self) -> Result<()> {
        self.replace(|place| {
            let owner = Guard::start_quietly(&place.receiver, TCPGUARD, RECEIVING, GUARDING)?;
            owner.kill()?;
            until_off(place)
        })
    }

    fn give_little_room(&mut self) -> Result<()> {
        const LASTING: Duration = Duration::from_millis(500);
        self.replace(|place| {
            let little = GUARDING
                .iter()
                .map(|word| if *word == ROOM { LITTLE } else { word });
            let words: Vec<_> = ATTACH.into_iter().chain(little).collect();
            tcpguard(&place.receiver, &words)?;
            thread::sleep(LASTING);
            take_off(place)
        })
    }

    /// Takes the guard off, and after something else puts another one on.
    fn replace(&mut self, meanwhile: impl FnOnce(&Place) -> Result<()>) -> Result<()> {
        // It ends with its guard.
        drop(self.watcher.take());
        self.interrupt(|place| {
            take_off(place)?;
            meanwhile(place)?;
            tcpguard(&place.receiver, &[&ATTACH[..], GUARDING].concat()).map(drop)
        })?;
        self.watcher = Some(watch(self.place)?);
        Ok(())
    }

    /// Something in which there is a while without a guard: what passes then is held against nobody. That is so when
    /// a link comes up, too, as veth takes frames off it a moment before it has the program again.
    fn interrupt(&mut self, work: impl FnOnce(&Place) -> Result<()>) -> Result<()> {
        /// Until what has passed is counted.
        const SETTLE: Duration = Duration::from_millis(50);
        self.is_interrupted = true;
        let before = self.tap.passed(self.wave)?;
        work(self.place)?;
        thread::sleep(SETTLE);
        self.unguarded += self.tap.passed(self.wave)? - before;
        Ok(())
    }
}

fn take_off(place: &Place) -> Result<()> {
    tcpguard(&place.receiver, &["detach", "--iface", RECEIVING])?;
    until_off(place)
}

/// The kernel takes a program off a moment after the last file has gone that held it.
fn until_off(place: &Place) -> Result<()> {
    const MOMENT: Duration = Duration::from_millis(10);
    let start = Instant::now();
    while has_xdp(&place.receiver, RECEIVING)? {
        ensure!(start.elapsed() < PATIENCE, "the programs stay attached");
        thread::sleep(MOMENT);
    }
    Ok(())
}

fn watch(place: &Place) -> Result<Guard> {
    let args = ["--watch", "--interval", "100ms"];
    Guard::start_quietly(&place.receiver, TCPGUARD, RECEIVING, args)
}
