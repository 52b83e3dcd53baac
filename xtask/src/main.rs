//! `cargo xtask`: everything that is done to tcpguard, from an empty machine to a finished object.
//!
//! One file a task; this one only dispatches. The crate must not depend on `tcpguard`, which cannot
//! be compiled before `setup` has been here.

mod bench;
mod check;
mod demo;
mod dist;
mod fuzz;
mod kernel;
mod object;
mod privilege;
mod run;
mod setup;
mod siege;
mod test;
mod workspace;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use xtask::process;

#[derive(Parser)]
#[command(
    bin_name = "cargo xtask",
    about = "Sets up, builds, runs and tests tcpguard"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Makes this machine able to build the BPF programs
    #[command(after_help = setup::HELP)]
    Setup {
        /// Report what is there and what is missing; change nothing, exit 1 if something is missing
        #[arg(long)]
        check: bool,
    },
    /// Sets up, builds and runs `tcpguard run ARGS` as root: `cargo xtask run -- --iface eth0`
    Run {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Shows tcpguard on a private network that is attacked, and judges what it did
    #[command(after_help = demo::HELP)]
    Demo(demo::DemoArgs),
    /// Sets up, installs the tools that the tests call, and runs every test
    Test {
        /// On a kernel of Debian's in QEMU, the newest of this version: the object, both engines and both hooks, or
        /// the test targets of tcpguard that are named: `cargo xtask test --kernel 6.1 live_life`
        #[arg(long, value_name = "VERSION")]
        kernel: Option<String>,
        /// Arguments of `cargo test`: `cargo xtask test -- --test kernel_load`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Checks format, lints (host and BPF), documentation and dependencies
    Check,
    /// Exports the BPF object that libbpf, bpftool and bpfman can load
    Object {
        /// Folder for the object; `target/dist` unless told
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Makes what a release hands out: a static program and a Debian package, in `target/dist`
    Dist,
    /// Measures with the benchmarks `packet_path`, `receiver`, `traffic` and `footprint` what the filter costs, as root
    Bench {
        /// One of them, if not all, and its arguments: --rounds N, --quick, --json
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Searches by chance, for as long as one likes, for what is wrong: `cargo xtask fuzz tracker`
    #[command(after_help = fuzz::HELP)]
    Fuzz {
        #[command(subcommand)]
        target: fuzz::Target,
    },
    /// Legitimate connections through floods and faults, behind tcpguard and other filters: none may be lost
    Siege(siege::SiegeArgs),
    /// Runs one test binary, as root where its name says so; cargo calls this
    #[command(hide = true)]
    Runner {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Setup { check: true } => setup::check(),
        Task::Setup { check: false } => setup::ensure(),
        Task::Run { args } => run::run(&args),
        Task::Demo(args) => demo::run(&args),
        Task::Test {
            kernel: Some(version),
            args,
        } => kernel::run(&version, &args),
        Task::Test { kernel: None, args } => test::run(&args),
        Task::Check => check::run(),
        Task::Object { out } => object::run(out),
        Task::Dist => dist::run(),
        Task::Bench { args } => bench::run(&args),
        Task::Fuzz { target } => fuzz::run(&target),
        Task::Siege(args) => siege::run(&args),
        Task::Runner { command } => test::run_binary(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
