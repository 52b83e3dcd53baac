//! The performance: who does what, and when.

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    panic,
    path::Path as FilePath,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use xtask::{
    lab::{
        attack::{Attacker, Scan, Volley},
        client::Client,
        namespace::remove_leftovers,
        network::{Network, UPLINK},
        path::Path,
        tally::Tally,
        web::WebServer,
        witness::Witness,
    },
    process::stop_on_signal,
};

use super::{
    outcome::{CONTROL, End, Outcome, SCANS},
    progress::Progress,
    stage::{Form, Stage},
};

const SCENE: &str = "\
A private network of namespaces; nothing outside of it is touched.

    client    requests over IPv4, IPv6, VLAN, QinQ ---.
                                                      +--- [tcpguard] server
    attacker  NULL, FIN, XMAS, SYN+FIN, SYN+RST ------'
";
/// Where the web server listens, in the middle of the scanned ports.
const WEB_PORT: u16 = 80;
const SCANNED: RangeInclusive<u16> = 1..=1024;
/// A port with nobody behind it: legal SYNs there open nothing.
const CLOSED_PORT: u16 = 9;
/// Fits one segment, as the interfaces of the lab want it behind tags.
const BODY_OCTETS: usize = 1000;
/// Between two requests of a client; there is one client for each path.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two rounds of the attacker, who sends 36 segments in each.
const PACE: Duration = Duration::from_millis(10);
/// How long honest traffic goes on before the guard comes and before the attack begins.
const PRELUDE: Duration = Duration::from_millis(300);
const POLL: Duration = Duration::from_millis(100);

/// Sets everything up, lets it happen, and takes it all away again.
pub(super) fn show(seconds: u16, form: Form, guard: &FilePath) -> Result<Outcome> {
    let stop = stop_on_signal()?;
    remove_leftovers().context("failed to remove what a killed demo has left")?;
    eprintln!("{SCENE}");
    let network = Network::new()?;
    // Declared later, so gone earlier: whatever fails from here on, the network goes last.
    let _web = WebServer::start(&network.server, WEB_PORT, BODY_OCTETS)?;
    let attacker = network.attacker()?;
    let witness = Witness::start(&network.server, UPLINK, attacker.mac())?;
    let clients = clients(&network)?;
    thread::sleep(PRELUDE);
    ensure!(
        !stop.load(Ordering::Relaxed),
        "interrupted before the guard came"
    );
    let mut stage = Stage::start(form, &network.server, guard)?;
    thread::sleep(PRELUDE);
    ensure!(
        !stop.load(Ordering::Relaxed),
        "interrupted before the attack"
    );
    let start = Instant::now();
    let mut progress = (form != Form::Table).then(Progress::new);
    let sent = attack(&attacker, seconds, &stop, || {
        if let Some(progress) = &mut progress {
            progress.tell(&clients, &witness, stage.reading().as_ref());
        }
        stage.stands()
    })?;
    drop(progress);
    let took = start.elapsed();
    let passed = witness.settled();
    let requests = clients
        .into_iter()
        .map(|(path, client)| (path, client.finish()))
        .collect();
    let end = if !stage.stands() {
        End::GuardLeft
    } else if stop.load(Ordering::Relaxed) {
        End::Interrupted
    } else {
        End::Finished
    };
    let guard = stage.stop()?;
    Ok(Outcome {
        took,
        end,
        requests,
        sent,
        passed,
        guard,
    })
}

fn clients(network: &Network) -> Result<Vec<(Path, Client)>> {
    let start = |path: Path| {
        let server: SocketAddr = Network::service(path, WEB_PORT);
        Ok((path, Client::start(&network.client, server, PAUSE)?))
    };
    Path::ALL.into_iter().map(start).collect()
}

/// Attacks for so long, or until it is stopped or nobody stands `guard` any more, which is asked
/// several times a second.
fn attack(
    attacker: &Attacker,
    seconds: u16,
    stop: &AtomicBool,
    mut guard: impl FnMut() -> bool,
) -> Result<Tally> {
    let mut scans = SCANS
        .map(|scan| Scan {
            flags: scan.flags,
            ports: SCANNED,
        })
        .to_vec();
    scans.push(Scan {
        flags: CONTROL,
        ports: CLOSED_PORT..=CLOSED_PORT,
    });
    let duration = Duration::from_secs(seconds.into());
    let rounds = u32::try_from(duration.as_millis() / PACE.as_millis()).unwrap_or(u32::MAX);
    let volley = Volley {
        scans: &scans,
        paths: &Path::ALL,
        rounds,
        pace: PACE,
    };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let attack = scope.spawn(|| attacker.send(&volley, &over));
        let start = Instant::now();
        while !attack.is_finished() {
            // A machine too slow for the pace does not make the demo longer.
            if !guard() || stop.load(Ordering::Relaxed) || start.elapsed() > duration {
                over.store(true, Ordering::Relaxed);
            }
            thread::sleep(POLL);
        }
        attack
            .join()
            .unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    })
}
