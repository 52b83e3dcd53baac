//! The live table in a real terminal, with keys, another size, and what it leaves behind.
#![expect(
    clippy::unwrap_used,
    reason = "a test whose terminal does not work should stop there"
)]

mod common;

use std::{env, fs, net::SocketAddr, process, time::Duration};

use common::{
    TCPGUARD, done, eventually,
    place::{PORT, lines},
};
use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    forge::{Dice, Forger, blind},
    namespace::Namespace,
    path::Host,
    site::{ETH0, Family, Guarded, Site},
    terminal,
    traffic::{Flow, exchange},
};

/// A terminal that a test looks at.
struct Terminal<'a>(terminal::Terminal<'a>);

impl<'a> Terminal<'a> {
    /// One in which a shell runs these words, and tells what they have left behind.
    fn new(namespace: &'a Namespace, name: &str, words: &str) -> Self {
        let script = format!("{words}; echo ended $?; stty -a; exec cat");
        Self(terminal::Terminal::new(namespace, name, &script).unwrap())
    }

    fn press(&self, keys: &[&str]) {
        self.0.press(keys).unwrap();
    }

    fn resize(&self, width: &str, height: &str) {
        self.0.resize(width, height).unwrap();
    }

    /// The screen as soon as all of this is on it.
    #[track_caller]
    fn shows(&self, texts: &[&str]) -> String {
        let mut last = String::new();
        eventually(&format!("the screen shows {texts:?}"), || {
            last = self.0.screen().unwrap();
            let shows = texts.iter().all(|text| last.contains(text));
            shows.then(|| last.clone())
        })
    }
}

fn run(options: &str) -> String {
    format!("{TCPGUARD} run --iface {ETH0} --max-conns 4096 --interval 100ms {options}")
}

#[test]
fn an_operator_walks_through_the_pages() {
    let site = Site::new(Guarded::Server).unwrap();
    let terminal = Terminal::new(&site.server, "pages", &run(""));
    terminal.shows(&["ENFORCE", "Verdict", "2 connections", "recv/s"]);
    let [line, _] = lines(&site, PORT);
    let mut pair = line.connect(&site.client).unwrap();
    exchange(&mut pair).unwrap();

    let client = site.address(Host::Client, Family::Ipv4).to_string();
    terminal.press(&["2"]);
    terminal.shows(&["Connections 1", &client, "ESTABLISHED", "last heard first"]);
    terminal.press(&["/", "9", "9", "9", "9", "Enter"]);
    terminal.shows(&["Connections 0", "/9999", "no connection passes the filter"]);
    terminal.press(&[
        "/", "BSpace", "BSpace", "BSpace", "BSpace", "8", "0", "Enter",
    ]);
    terminal.shows(&["Connections 1", "/80", &client]);
    terminal.press(&["s"]);
    terminal.shows(&["youngest first"]);
    terminal.press(&["Down", "Enter"]);
    terminal.shows(&["highest ack", "original", "reply", "this host's"]);
    terminal.press(&["?"]);
    terminal.shows(&["Keys", "leave this help"]);
    // Any key leaves the help, and this one nothing more.
    terminal.press(&["q"]);
    terminal.shows(&["highest ack", "Esc back"]);
    terminal.resize("160", "50");
    terminal.press(&["Escape"]);
    terminal.shows(&["marks", "reply-local"]);
    terminal.press(&["1"]);
    terminal.shows(&["SYN-SENT2", "bytes"]);

    terminal.press(&["q"]);
    let left = terminal.shows(&["tcpguard guarded eth0", "ended 0"]);
    assert!(
        left.contains(" icanon") && left.contains(" echo "),
        "raw: {left}"
    );
    exchange(&mut pair).unwrap();
}

#[test]
fn who_is_on_top_is_seen_for_as_long_as_that_lasts() {
    let site = Site::new(Guarded::Server).unwrap();
    let terminal = Terminal::new(&site.server, "top", &run(""));
    terminal.shows(&["Verdict", "3 top"]);
    let [line, _] = lines(&site, PORT);
    let flow = Flow::start(&line.connect(&site.client).unwrap()).unwrap();
    terminal.press(&["3"]);
    let client = site.address(Host::Client, Family::Ipv4).to_string();
    terminal.shows(&["Top over ", &client, "nothing was objected to"]);

    let from = Site::nobody(Family::Ipv4, 1);
    let ends = |n| (SocketAddr::new(from, n), site.service(Family::Ipv4, PORT));
    let nulls = (1..=800).map(|n| blind(ends(n), TcpFlags::NULL, 0, &mut Dice::new(n.into())));
    let forger = Forger::new(&site, Host::Server).unwrap();
    forger.send(nulls, Duration::from_millis(60)).unwrap();
    terminal.shows(&[&client, &from.to_string(), "flags-null"]);
    flow.finish().unwrap();
    terminal.shows(&["no connection moved anything", "nothing was objected to"]);

    terminal.press(&["Tab"]);
    terminal.shows(&["Verdict"]);
    terminal.press(&["3"]);
    terminal.shows(&["measuring"]);
    terminal.press(&["q"]);
    terminal.shows(&["ended 0"]);
}

#[test]
fn a_pinned_guard_is_walked_through_as_well_and_stays() {
    let site = Site::new(Guarded::Server).unwrap();
    let (server, _) = site.guarded();
    done(server, &["attach", "--iface", ETH0, "--max-conns", "4096"]);
    let [_, line] = lines(&site, PORT);
    let mut pair = line.connect(&site.client).unwrap();
    exchange(&mut pair).unwrap();
    let watch = format!("NO_COLOR=1 {TCPGUARD} run --iface {ETH0} --interval 100ms");
    let terminal = Terminal::new(server, "pinned", &watch);
    terminal.shows(&["Verdict"]);
    terminal.press(&["2"]);
    terminal.shows(&["Connections 1", "ESTABLISHED"]);
    let painted = terminal.0.painted_screen().unwrap();
    assert!(painted.contains("\x1b[1m"), "nothing is bold: {painted:?}");
    for color in ["\x1b[31m", "\x1b[32m", "\x1b[33m"] {
        assert!(!painted.contains(color), "{painted:?}");
    }
    terminal.press(&["3"]);
    terminal.shows(&["Top over ", "nothing was objected to"]);
    terminal.press(&["C-c"]);
    terminal.shows(&["ended 0"]);
    assert!(done(server, &["status"]).stdout.contains("tcpguard attach"));
    done(server, &["detach"]);
}

#[test]
fn a_terminal_that_goes_away_takes_no_guard_of_attach_with_it() {
    let site = Site::new(Guarded::Server).unwrap();
    let (server, _) = site.guarded();
    // One with a file as well: with a terminal, it does not take that for a reload.
    let file = env::temp_dir().join(format!("tcpguard-screen-{}.toml", process::id()));
    fs::write(&file, "").unwrap();
    let with_file = run(&format!("--config {}", file.display()));
    let terminal = Terminal::new(server, "gone", &with_file);
    terminal.shows(&["Verdict"]);
    fs::remove_file(file).unwrap();
    drop(terminal);
    // Its own goes with it.
    eventually("the guard is gone", || {
        common::attached(server, ETH0).is_empty().then_some(())
    });
    std::thread::sleep(Duration::from_millis(50));
    done(server, &["attach", "--iface", ETH0, "--max-conns", "4096"]);
    let terminal = Terminal::new(server, "gone", &format!("{TCPGUARD} run --iface {ETH0}"));
    terminal.shows(&["Verdict"]);
    drop(terminal);
    assert_eq!(common::attached(server, ETH0).len(), 2);
    done(server, &["detach"]);
}
