//! kill -9 at random moments of all that changes a pinned guard, a hundred times, under attack and load.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "what a test relies on fails it by panicking, and says which kills it made"
)]

mod common;

use std::{
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use common::{
    Process, TCPGUARD, attached, done, eventually, pins,
    place::{PORT, brief, objections},
    reading, xdp_program,
};
use nix::sys::signal::Signal;
use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    attack::{Attacker, Scan, Volley},
    forge::Dice,
    line::Line,
    network::{Network, UPLINK},
    path::Path,
    traffic::Flow,
    witness::Witness,
};

const KILLS: usize = 100;
/// Between two of them, in each direction of the connection.
const STRIDE: u64 = 1 << 16;
/// Repeats the kills of another run, by what that has said.
const SEED: &str = "TCPGUARD_SEED";

/// What changes a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Attach,
    Reload,
    Upgrade,
    Detach,
}

impl Change {
    const ALL: [Self; 4] = [Self::Attach, Self::Reload, Self::Upgrade, Self::Detach];
    const fn args(self) -> &'static [&'static str] {
        match self {
            Self::Attach => &["attach", "--iface", UPLINK, "--max-conns", "4096"],
            Self::Reload => &["reload", "--enforce", "flags,handshake,state,window"],
            Self::Upgrade => &["upgrade"],
            Self::Detach => &["detach"],
        }
    }

    /// How long it takes when nobody kills it.
    fn duration(self, network: &Network) -> Duration {
        let start = Instant::now();
        done(&network.server, self.args());
        start.elapsed()
    }
}

/// Segments that no sane stack sends, until it is dropped.
struct Assault {
    stop: Arc<AtomicBool>,
    sending: Option<JoinHandle<()>>,
}

impl Assault {
    fn begin(attacker: Attacker) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let sending = thread::spawn(move || {
            let volley = Volley {
                scans: &[Scan {
                    flags: TcpFlags::NULL,
                    ports: 1..=100,
                }],
                paths: &[Path::Ipv4],
                rounds: u32::MAX,
                pace: Duration::from_micros(500),
            };
            attacker.send(&volley, &told).unwrap();
        });
        Self {
            stop,
            sending: Some(sending),
        }
    }
}

impl Drop for Assault {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic of the thread was printed when it happened.
        let _ = self.sending.take().map(JoinHandle::join);
    }
}

/// A server that is attacked and has a connection, and the guard that comes and goes.
struct Scene {
    network: Network,
    witness: Witness,
    flow: Flow,
    dice: Dice,
    durations: [Duration; 4],
    /// What had come through when the guard was pinned, as long as it is.
    came_through: Option<u64>,
}

impl Scene {
    fn new(seed: u64) -> (Self, Assault) {
        let network = Network::new().unwrap();
        let attacker = network.attacker().unwrap();
        let witness = Witness::start(&network.server, UPLINK, attacker.mac()).unwrap();
        let line = Line::open(&network.server, Network::service(Path::Ipv4, PORT)).unwrap();
        let flow = Flow::start(&line.connect(&network.client).unwrap()).unwrap();
        let assault = Assault::begin(attacker);
        let durations = Change::ALL.map(|change| change.duration(&network));
        let scene = Self {
            network,
            witness,
            flow,
            dice: Dice::new(seed),
            durations,
            came_through: None,
        };
        (scene, assault)
    }

    /// Begins a change, and kills it somewhere between before it does anything and after it has done it
    /// all.
    fn kill(&mut self) -> Change {
        let change = Change::ALL[self.dice.throw() as usize % Change::ALL.len()];
        match (change, self.is_pinned()) {
            (Change::Attach, true) => self.detach(),
            (Change::Reload | Change::Upgrade | Change::Detach, false) => self.attach(),
            (Change::Attach, false) | (Change::Reload | Change::Upgrade | Change::Detach, true) => {
            }
        }
        let whole = self.durations[change as usize];
        let moment = whole * (self.dice.throw() % 1100) / 1000;
        let mut command = self.network.server.command(TCPGUARD);
        let process = Process::spawn(command.args(change.args()));
        thread::sleep(moment);
        process.signal(Signal::SIGKILL);
        drop(process.end());
        change
    }

    /// That there is a whole guard or none, and that it has let nothing through since it was pinned.
    fn check_guard(&mut self, change: Change) {
        let is_pinned = self.is_pinned();
        // The kernel takes off what nobody holds a moment after its process.
        eventually("what judges is there if it is pinned", || {
            let is_judging = xdp_program(&self.network.server, UPLINK).is_some();
            (is_judging == is_pinned).then_some(())
        });
        if matches!(change, Change::Reload | Change::Upgrade) {
            assert!(is_pinned, "it is unprotected");
        }
        if !is_pinned {
            self.came_through = None;
            return;
        }
        assert_eq!(attached(&self.network.server, UPLINK).len(), 2);
        let illegal = self.witness.settled().illegal();
        let before = *self.came_through.get_or_insert(illegal);
        assert_eq!(illegal, before, "it was unprotected for a while");
        let reading = reading(&self.network.server);
        let others = objections(&reading);
        let is_of_attack = |it: &String| it.starts_with("flags-null");
        assert!(others.iter().all(is_of_attack), "{}", brief(&reading));
    }

    fn is_pinned(&self) -> bool {
        // Pins are listed where there are any.
        let Ok(listed) = fs::read_dir(pins(&self.network.server)) else {
            return false;
        };
        let mut names = listed.map(|it| it.unwrap().file_name());
        names.any(|name| name.to_string_lossy().ends_with("-ingress"))
    }

    /// Attaches, over whatever was left.
    fn attach(&mut self) {
        done(&self.network.server, Change::Attach.args());
        self.came_through = Some(self.witness.settled().illegal());
    }

    /// That `detach` leaves nothing, whatever is there.
    fn detach(&mut self) {
        done(&self.network.server, &["detach"]);
        eventually("nothing is attached", || {
            attached(&self.network.server, UPLINK)
                .is_empty()
                .then_some(())
        });
        assert!(!pins(&self.network.server).exists(), "an orphan is pinned");
        self.came_through = None;
    }
}

fn seed() -> u64 {
    let given = env::var(SEED).ok().map(|given| given.parse().unwrap());
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    given.unwrap_or(now.as_secs())
}

#[test]
fn whatever_is_killed_protection_and_connections_go_on_and_no_orphan_stays() {
    let seed = seed();
    eprintln!("{SEED}={seed}");
    let (mut scene, assault) = Scene::new(seed);
    let mut kills = [0; 4];
    for round in 0..KILLS {
        let change = scene.kill();
        kills[change as usize] += 1;
        eprintln!("{round}: {change:?}, pinned: {}", scene.is_pinned());
        scene.check_guard(change);
        scene.flow.advance(STRIDE).unwrap();
        let is_whole = !matches!(change, Change::Reload | Change::Upgrade);
        // Else the next `attach` begins with what this one has left.
        if is_whole && scene.dice.throw().is_multiple_of(2) {
            scene.detach();
        }
    }
    assert!(kills.iter().all(|count| *count > 5), "{kills:?}");
    scene.detach();
    assert!(scene.witness.seen().illegal() > 0, "nobody attacked");
    drop(assault);
    scene.flow.finish().unwrap();
}
