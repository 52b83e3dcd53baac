//! The command line. Verbs change things, nouns read them.

mod guard;
mod help;

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use tcpguard_common::{
    conn::{ruling::Direction, state::State},
    flags::TcpFlags,
};

pub use self::guard::{AttachArgs, GuardArgs, Mode, PolicyArgs, ReloadArgs, RunArgs};
use crate::{enforce::ReasonList, prefix::Prefix, trace::selection::Selection};

/// Connections of each version of IP that a table can be made for.
pub(crate) const MAX_CONNS: RangeInclusive<u32> = 16..=16_000_000;

/// TCP guard at the driver: drops what no sane stack sends, and shows it live
#[derive(Debug, Parser)]
#[command(name = "tcpguard", version)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,

    /// Say more: -v logs each segment that is objected to (to stderr)
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Attach, stream live counters, detach on Ctrl-C or SIGTERM
    #[command(after_help = help::RUN_EXAMPLES)]
    Run(RunArgs),
    /// Attach so that protection outlives this process, and end
    #[command(after_help = help::ATTACH_HELP)]
    Attach(AttachArgs),
    /// Take off what `attach` has attached
    #[command(after_help = help::DETACH_HELP)]
    Detach(DetachArgs),
    /// Put this release's programs in place of those that `attach` has attached, without a gap
    #[command(after_help = help::UPGRADE_HELP)]
    Upgrade(UpgradeArgs),
    /// Change what the guard that `attach` has attached drops, without a gap
    #[command(after_help = help::RELOAD_HELP)]
    Reload(ReloadArgs),
    /// Say what a configuration file comes to, or what is wrong with it
    CheckConfig(CheckConfigArgs),
    /// Tell which interfaces of this network namespace are guarded, since when and by what
    #[command(after_help = help::STATUS_HELP)]
    Status(StatusArgs),
    /// Tell what the guards of this network namespace have counted (needs root)
    #[command(after_help = help::STATS_HELP)]
    Stats(StatsArgs),
    /// Tell the same as text for Prometheus, once (needs root)
    Metrics(MetricsArgs),
    /// List the connections that the guards of this network namespace follow (needs root)
    #[command(after_help = help::CONNS_HELP)]
    Conns(ConnsArgs),
    /// Tell who moves most octets, and of whom most is objected to (needs root)
    #[command(after_help = help::TOP_HELP)]
    Top(TopArgs),
    /// Show single segments that were objected to, as a sample of them is kept (needs root)
    #[command(after_help = help::EVENTS_HELP)]
    Events(EventsArgs),
    /// Write frames that are objected to into a file for Wireshark, with the reason (needs root)
    #[command(after_help = help::CAPTURE_HELP)]
    Capture(CaptureArgs),
    /// Say what happens to a set of flags, and why
    #[command(after_help = help::EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Adjudicate a capture frame by frame, as the guard would
    #[command(after_help = help::REPLAY_EXAMPLES)]
    Replay(ReplayArgs),
    /// Show one connection of a capture with its numbers, and where they do not add up
    #[command(after_help = help::TRACE_EXAMPLES)]
    Trace(TraceArgs),
    /// Print what makes a shell complete tcpguard's commands and options
    #[command(after_help = help::COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them
    #[command(after_help = help::MAN_EXAMPLES)]
    Man(ManArgs),
}

/// What is taken off.
#[derive(Args, Debug)]
pub struct DetachArgs {
    /// Interface of this network namespace; may be given several times; by default all of them
    #[arg(long = "iface", value_name = "IF", conflicts_with = "all")]
    pub interfaces: Vec<String>,
    /// In every network namespace, those that are gone included
    #[arg(long)]
    pub all: bool,
    /// Take other XDP programs off the named interfaces, whoever has attached them
    #[arg(long, requires = "interfaces", conflicts_with = "all")]
    pub foreign: bool,
}

/// Which file is checked.
#[derive(Args, Debug)]
pub struct CheckConfigArgs {
    /// The file, as for --config
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// What is upgraded.
#[derive(Args, Debug)]
pub struct UpgradeArgs {
    /// Interface whose guard is upgraded; may be given several times; by default all of this network
    /// namespace
    #[arg(long = "iface", value_name = "IF")]
    pub interfaces: Vec<String>,
}

/// What is told of what was counted, and how.
#[derive(Args, Debug)]
pub struct StatsArgs {
    /// Interface whose guard is asked; may be given several times; by default all of them
    #[arg(long = "iface", value_name = "IF")]
    pub interfaces: Vec<String>,
    /// Read again each time this has passed, until Ctrl-C; one guard only
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub interval: Option<Duration>,
    /// Stop after this time
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "interval")]
    pub duration: Option<Duration>,
    /// One JSON object a reading
    #[arg(long)]
    pub json: bool,
}

/// Whose metrics are told.
#[derive(Args, Debug)]
pub struct MetricsArgs {
    /// Interface whose guard is asked, if there are several
    #[arg(long = "iface", value_name = "IF")]
    pub interfaces: Vec<String>,
}

/// How it is told what is guarded.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// How readings are shown; without a choice, a terminal gets the live table and a pipe gets lines.
#[derive(Args, Clone, Copy, Debug)]
#[group(multiple = false)]
pub struct OutputArgs {
    /// One JSON object an interval
    #[arg(long)]
    pub json: bool,
    /// One line an interval
    #[arg(long)]
    pub plain: bool,
    /// The live table
    #[arg(long)]
    pub tui: bool,
}

/// Which connections are listed, and how.
#[derive(Args, Debug)]
pub struct ConnsArgs {
    /// Only those in this state, such as ESTABLISHED; several by commas
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = state)]
    pub states: Vec<State>,
    /// Only those with this address, or one of this prefix, on either side
    #[arg(long, value_name = "PREFIX")]
    pub addr: Option<Prefix>,
    /// Only those with this port on either side
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// One JSON object a connection
    #[arg(long)]
    pub json: bool,
    /// List so many at most, and say how many were left out
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// Over which time and whose connections it is told who moves most.
#[derive(Args, Debug)]
pub struct TopArgs {
    /// Only guards on this interface; may be given several times
    #[arg(long = "iface", value_name = "IF")]
    pub interfaces: Vec<String>,
    /// Over this time
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "1s")]
    pub interval: Duration,
    /// So many of each kind at most
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: usize,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Which segments that were objected to are shown, and how.
#[derive(Args, Debug)]
pub struct EventsArgs {
    /// Go on with those that come, until Ctrl-C
    #[arg(long, short)]
    pub follow: bool,
    /// Only for these groups (flags, handshake, state, window) or reasons; several by commas
    #[arg(long = "reason", value_name = "LIST")]
    pub reasons: Option<ReasonList>,
    /// Only of this interface; may be given several times
    #[arg(long = "iface", value_name = "IF")]
    pub interfaces: Vec<String>,
    /// Of those that are there already, only the last so many
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// One JSON object a segment
    #[arg(long)]
    pub json: bool,
}

/// Which frames are captured, and where to.
#[derive(Args, Debug)]
pub struct CaptureArgs {
    /// File to write, in the format pcapng; - is stdout
    #[arg(long, short, value_name = "FILE")]
    pub write: PathBuf,
    /// Overwrite the file if it is there
    #[arg(long)]
    pub force: bool,
    /// Only for these groups (flags, handshake, state, window) or reasons; several by commas
    #[arg(long = "reason", value_name = "LIST")]
    pub reasons: Option<ReasonList>,
    /// Only of this interface; may be given several times
    #[arg(long = "iface", value_name = "IF")]
    pub interfaces: Vec<String>,
    /// Stop after so many frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Stop after this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
}

/// What to explain.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// Flags by name or letter: SYN,FIN or SF; NULL for none
    #[arg(value_name = "FLAGS", value_parser = flags)]
    pub flags: TcpFlags,
    /// On a connection in this state, SYN-SENT to CLOSED, or none: what the tracker does with such a
    /// segment if it carries the numbers that come next
    #[arg(long, value_name = "STATE", value_parser = situation)]
    pub state: Option<Situation>,
    /// Which side sends it; without a choice, both are told of
    #[arg(long, value_enum, requires = "state")]
    pub dir: Option<Side>,
    /// One JSON object, with --state one for each direction
    #[arg(long)]
    pub json: bool,
}

/// The state of the connection that a segment meets; `None` if there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation(pub Option<State>);

/// A side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// That which sent the first SYN
    Orig,
    /// The other one
    Reply,
}

impl From<Side> for Direction {
    fn from(side: Side) -> Self {
        match side {
            Side::Orig => Self::Original,
            Side::Reply => Self::Reply,
        }
    }
}

/// What to adjudicate, and how.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Capture to read, pcap or pcapng
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Who decides: the host's copy of the core, or the very bytecode in the kernel (needs root)
    #[arg(long, value_enum, default_value_t = EngineKind::Host)]
    pub engine: EngineKind,
    /// What becomes of connections whose beginning the capture does not have
    #[arg(long, value_enum, default_value_t = Pickup::Never)]
    pub pickup: Pickup,
    /// One JSON object a frame, with direction and states, and a summary
    #[arg(long)]
    pub json: bool,
}

/// Which shell is to complete.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// Which page of the manual, and where to.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// The command whose page is printed; by default that of tcpguard
    #[arg(value_name = "COMMAND")]
    pub page: Option<String>,
    /// Write all pages to this directory, which must exist
    #[arg(long, value_name = "DIR", conflicts_with = "page")]
    pub dir: Option<PathBuf>,
}

/// What to show of a capture.
#[derive(Args, Debug)]
pub struct TraceArgs {
    /// Capture to read, pcap or pcapng
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Connection to show: its number in the list, or its ends as in '10.0.0.1:1025>10.0.0.2:80'
    #[arg(value_name = "CONN")]
    pub connection: Option<Selection>,
    /// What becomes of connections whose beginning the capture does not have
    #[arg(long, value_enum, default_value_t = Pickup::Never)]
    pub pickup: Pickup,
    /// One JSON object a segment or a connection, and a summary
    #[arg(long)]
    pub json: bool,
}

/// What becomes of a segment in the middle of a connection that was not seen to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pickup {
    /// It belongs to no connection
    Never,
    /// Its connection is taken over from there
    Always,
}

/// Who decides about the frames of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    /// The core in this process
    Host,
    /// The kernel program through `BPF_PROG_TEST_RUN`
    Kernel,
}

fn flags(text: &str) -> Result<TcpFlags, String> {
    text.parse().map_err(|_| {
        format!(
            "not a set of TCP flags: give names ({}), letters (FSRPAUECN) or NULL",
            TcpFlags::NAMES.map(|(_, _, name)| name).join(", ")
        )
    })
}

fn situation(text: &str) -> Result<Situation, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Situation(None));
    }
    state(text)
        .map(|state| Situation(Some(state)))
        .map_err(|error| format!("{error}, or none"))
}

pub(crate) fn state(text: &str) -> Result<State, String> {
    let is_it = |state: &State| state.as_str().eq_ignore_ascii_case(text);
    State::ALL.into_iter().find(is_it).ok_or_else(|| {
        let names = State::ALL.map(State::as_str).join(", ");
        format!("not a state of a connection: give one of {names}")
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; give a time such as 500ms, 10s or 2m"))?;
    if time.is_zero() {
        Err("the time must be more than zero".into())
    } else {
        Ok(time)
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    shortest(duration(text)?)
}

/// A time between two readings, if it is long enough for one.
pub(crate) fn shortest(time: Duration) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(10);
    if time < SHORTEST {
        Err("the shortest interval is 10ms".into())
    } else {
        Ok(time)
    }
}
