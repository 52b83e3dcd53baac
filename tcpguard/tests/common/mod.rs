//! What the live tests share: the program as a process, and what is attached to an interface.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary takes the part that it needs"
)]

pub(crate) mod place;

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read},
    path::PathBuf,
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use aya::programs::{SchedClassifier, TcAttachType};
use nix::{
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tcpguard::pins;
use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    attack::{Scan, Volley},
    link::{VethOptions, veth},
    namespace::Namespace,
};

/// The program under test.
pub(crate) const TCPGUARD: &str = env!("CARGO_BIN_EXE_tcpguard");
/// The exit status of every error.
pub(crate) const ERROR: Option<i32> = Some(2);
/// So long may anything take that is waited for. A loaded machine is slow, a broken guard is not.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// A process with both its outputs read line by line.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    said: [Arc<Mutex<String>>; 2],
    readers: Vec<JoinHandle<()>>,
}

/// How a process ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts `command`.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self::spawn_into(command, Stdio::piped())
    }

    /// Starts `command` with a stdout that may be for somebody else.
    pub(crate) fn spawn_into(command: &mut Command, stdout: Stdio) -> Self {
        Self::spawn_between(command.stdin(Stdio::null()), stdout)
    }

    /// Starts `command`, which reads what it was given to read.
    pub(crate) fn spawn_reading(command: &mut Command) -> Self {
        Self::spawn_between(command, Stdio::piped())
    }

    fn spawn_between(command: &mut Command, stdout: Stdio) -> Self {
        command.stdout(stdout).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = mpsc::channel();
        let said = <[Arc<Mutex<String>>; 2]>::default();
        let stdout = child.stdout.take();
        let readers = stdout
            .map(|stdout| listen(stdout, &sender, &said[0]))
            .into_iter()
            .chain([listen(child.stderr.take().unwrap(), &sender, &said[1])])
            .collect();
        Self {
            child,
            lines,
            said,
            readers,
        }
    }

    /// Starts `tcpguard run` and waits until it says of each interface that it is guarded.
    pub(crate) fn guard(namespace: &Namespace, interfaces: &[&str], args: &[&str]) -> Self {
        let mut command = namespace.command(TCPGUARD);
        command.arg("run");
        for interface in interfaces {
            command.args(["--iface", interface]);
        }
        let process = Self::spawn(command.args(args));
        for interface in interfaces {
            process.wait_for(&format!("guarding {interface}:"));
        }
        process
    }

    /// The next line, of either output, that contains `text`.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let start = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(start.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("nobody said {text:?}: {:?}", self.said),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without {text:?}: {:?}", self.said)
                }
            }
        }
    }

    /// Its number: the commands in front of it have become it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Ended {
        let status = eventually("the process ends", || self.child.try_wait().unwrap());
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let [stdout, stderr] = self
            .said
            .each_ref()
            .map(|said| said.lock().unwrap().clone());
        Ended {
            status,
            stdout,
            stderr,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only after a test has failed is there anything to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(
    stream: impl Read + Send + 'static,
    sender: &mpsc::Sender<String>,
    said: &Arc<Mutex<String>>,
) -> JoinHandle<()> {
    let (sender, said) = (sender.clone(), Arc::clone(said));
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut said = said.lock().unwrap();
            said.push_str(&line);
            said.push('\n');
            // Lines that nobody waits for are kept as text.
            let _ = sender.send(line);
        }
    })
}

/// Asks until there is an answer.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut ask = ask;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        thread::sleep(POLL);
    }
}

/// Runs a program that must succeed and prints JSON.
#[track_caller]
pub(crate) fn json(command: &mut Command) -> Value {
    let text = stdout(command);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{command:?}: {error}: {text}"))
}

/// Runs a program that must succeed.
#[track_caller]
pub(crate) fn stdout(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} (is it installed?): {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Numbers of the programs on an interface: XDP as `ip` sees it, tcx as the kernel tells, or filters of
/// clsact as `tc` sees them.
pub(crate) fn attached(namespace: &Namespace, interface: &str) -> Vec<u64> {
    let mut ids: Vec<u64> = xdp_program(namespace, interface).into_iter().collect();
    let query = || {
        SchedClassifier::query_tcx(interface, TcAttachType::Egress).map(|(_, programs)| {
            programs
                .iter()
                .map(|program| u64::from(program.id()))
                .collect()
        })
    };
    let tcx: Result<Vec<u64>, _> = namespace.within(query).unwrap();
    // Before Linux 6.6 there is no tcx to ask about.
    ids.extend(tcx.unwrap_or_else(|_| filters(namespace, interface)));
    ids
}

/// Numbers of the programs that filters run on what leaves.
fn filters(namespace: &Namespace, interface: &str) -> Vec<u64> {
    let mut tc = Command::new("tc");
    tc.args(["-n", namespace.name(), "-json", "filter", "show"]);
    let filters = json(tc.args(["dev", interface, "egress"]));
    let filters = filters.as_array().unwrap().iter();
    let ids = filters.filter_map(|filter| filter["options"]["prog"]["id"].as_u64());
    ids.collect()
}

/// That nothing is attached to an interface.
#[track_caller]
pub(crate) fn assert_clean(namespace: &Namespace, interface: &str) {
    let left = attached(namespace, interface);
    assert!(left.is_empty(), "programs {left:?} are on {interface}");
}

/// Number of the XDP program on an interface.
pub(crate) fn xdp_program(namespace: &Namespace, interface: &str) -> Option<u64> {
    let shown = json(Command::new("ip").args([
        "-n",
        namespace.name(),
        "-json",
        "link",
        "show",
        "dev",
        interface,
    ]));
    shown[0]["xdp"]["prog"]["id"].as_u64()
}

/// Five segments without flags, to ports of no matter.
pub(crate) const FIVE_NULLS: Volley<'static> = Volley {
    scans: &[Scan {
        flags: TcpFlags::NULL,
        ports: 1..=20,
    }],
    paths: &[xtask::lab::path::Path::Ipv4],
    rounds: 5,
    pace: Duration::from_millis(1),
};

/// What the only guard of a namespace has counted.
pub(crate) fn reading(namespace: &Namespace) -> Value {
    json(namespace.command(TCPGUARD).args(["stats", "--json"]))
}

/// Runs the program to its end.
pub(crate) fn tcpguard(namespace: &Namespace, args: &[&str]) -> Ended {
    Process::spawn(namespace.command(TCPGUARD).args(args)).end()
}

/// The same, if it succeeds.
#[track_caller]
pub(crate) fn done(namespace: &Namespace, args: &[&str]) -> Ended {
    let ended = tcpguard(namespace, args);
    assert!(ended.status.success(), "{args:?}: {ended:?}");
    ended
}

/// Where the pins of a namespace are.
pub(crate) fn pins(namespace: &Namespace) -> PathBuf {
    let directory = namespace.within(pins::directory).unwrap();
    directory.unwrap()
}

/// Gives this thread and what it starts from now on a bpffs of its own, so that no other test changes its pins, nor
/// it those of any other.
pub(crate) fn own_bpffs() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    for arguments in [
        &["--make-rprivate", "/"][..],
        &["-t", "bpf", "bpf", "/sys/fs/bpf"],
    ] {
        stdout(Command::new("mount").args(arguments));
    }
}

/// A namespace with the interface `guarded`, and its far end `street` in another one.
pub(crate) fn cable() -> (Namespace, Namespace) {
    let (server, street) = (ours("server"), ours("street"));
    let ends = ((&server, "guarded"), (&street, "street"));
    veth(ends.0, ends.1, VethOptions::default()).unwrap();
    (server, street)
}

/// The same with a second one between them, which ends in an interface `other`.
pub(crate) fn two_cables() -> (Namespace, Namespace) {
    let (server, street) = cable();
    let ends = ((&server, "other"), (&street, "east"));
    veth(ends.0, ends.1, VethOptions::default()).unwrap();
    (server, street)
}

/// A new namespace; root is needed from here on.
pub(crate) fn ours(label: &str) -> Namespace {
    Namespace::new(label).unwrap_or_else(|error| panic!("live tests need root: {error:#}"))
}

/// An object that bpftool has loaded, programs and maps pinned in a directory of their own, until
/// it is dropped.
pub(crate) struct Pinned {
    directory: PathBuf,
    mounted: Option<PathBuf>,
}

impl Pinned {
    pub(crate) fn load(object: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tcpguard-test-{}-{number}", process::id());
        let (parent, mounted) = if is_bpffs("/sys/fs/bpf") {
            (PathBuf::from("/sys/fs/bpf"), None)
        } else {
            let parent = env::temp_dir().join(&name);
            fs::create_dir(&parent).unwrap();
            stdout(
                Command::new("mount")
                    .args(["-t", "bpf", "bpf"])
                    .arg(&parent),
            );
            (parent.clone(), Some(parent))
        };
        let pinned = Self {
            directory: parent.join(name),
            mounted,
        };
        let mut load = Command::new("bpftool");
        load.args(["prog", "loadall", object])
            .arg(&pinned.directory);
        stdout(load.arg("pinmaps").arg(&pinned.directory));
        pinned
    }

    /// Where a program or a map is pinned.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A test that failed before may have left nothing to remove.
        let _ = fs::remove_dir_all(&self.directory);
        if let Some(mounted) = &self.mounted {
            let _ = Command::new("umount").arg(mounted).status();
            let _ = fs::remove_dir(mounted);
        }
    }
}

fn is_bpffs(directory: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        (fields.next(), fields.next()) == (Some(directory), Some("bpf"))
    })
}
