//! The targets of `tcpguard/fuzz`, driven by libFuzzer.
//!
//! cargo-fuzz builds them and does no more: what a run grows and finds lies under `target/fuzz`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::{
    process::{cannot_start, find_program, is_executable, shown, step},
    run::become_command,
    setup::{self, Record, Version},
    workspace,
};

const CARGO_FUZZ_VERSION: &str = "0.13.2";
/// Where the targets are, and their corpora.
const CRATE: &str = "tcpguard/fuzz";
/// The targets that need nothing but the core, and build without the rest.
const OF_THE_CORE: [&str; 2] = ["parser", "tracker"];
/// Octets of an input: more than any header chain, and enough for a conversation.
const LONGEST: u32 = 4096;
/// How libFuzzer ends if it is told to (`InterruptExitCode`).
const INTERRUPTED: i32 = 72;

/// How long a target is searched, and what becomes of what is found.
#[derive(Args)]
pub(crate) struct Search {
    /// How long it searches
    #[arg(long, value_name = "M", default_value_t = 10)]
    minutes: u32,
    /// Adds inputs that reach what the committed ones do not to them
    #[arg(long)]
    keep: bool,
    /// Only checks this file, as a finding is
    #[arg(value_name = "FILE", conflicts_with_all = ["minutes", "keep"])]
    file: Option<PathBuf>,
}

impl Search {
    pub(super) fn run(&self, target: &str) -> Result<()> {
        let program = build(target)?;
        let mut fuzzer = Command::new(&program);
        // Looking for leaks takes ptrace, which a container may forbid.
        fuzzer.env("ASAN_OPTIONS", "detect_leaks=0");
        if let Some(file) = &self.file {
            fuzzer.arg(file);
            match become_command(fuzzer)? {}
        }
        let folders = Folders::of(target);
        folders.make()?;
        write_seeds(&folders)?;
        fuzzer
            .args([&folders.grown, &folders.committed, &folders.seeds])
            .arg(format!("-artifact_prefix={}/", folders.found.display()))
            .arg(format!("-max_total_time={}", 60 * self.minutes))
            .args([&*format!("-max_len={LONGEST}"), "-print_final_stats=1"])
            .args(["-rss_limit_mb=1024", "-malloc_limit_mb=64"]);
        search(target, fuzzer, &folders)?;
        if self.keep {
            keep(&program, &folders)?;
        }
        Ok(())
    }
}

/// Where the inputs of a target lie.
struct Folders {
    /// What is there by hand.
    seeds: PathBuf,
    /// What runs have added.
    grown: PathBuf,
    /// What was wrong.
    found: PathBuf,
    /// What the tests replay.
    committed: PathBuf,
}

impl Folders {
    fn of(target: &str) -> Self {
        let root = workspace::target_dir().join("fuzz");
        Self {
            seeds: root.join("seeds").join(target),
            grown: root.join("corpus").join(target),
            found: root.join("artifacts").join(target),
            committed: workspace::root().join(CRATE).join("corpus").join(target),
        }
    }

    fn make(&self) -> Result<()> {
        for folder in [&self.seeds, &self.grown, &self.found] {
            fs::create_dir_all(folder)
                .with_context(|| format!("failed to make {}", folder.display()))?;
        }
        Ok(())
    }
}

/// Builds the program of a target with the toolchain that builds for BPF, a nightly if there is one.
fn build(target: &str) -> Result<PathBuf> {
    let toolchain = setup::toolchain()?;
    let host = Version::of(&toolchain.sysroot.join("bin/rustc"))?.host;
    check_tools(&toolchain, &host)?;
    let name = format!("fuzz-{target}");
    let bin = toolchain.sysroot.join("bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([bin.clone()].into_iter().chain(env::split_paths(&path)))?;
    let mut build = Command::new(cargo_fuzz()?);
    build
        .current_dir(workspace::root())
        // It calls the first cargo that it finds.
        .env("PATH", path)
        .env("RUSTC", bin.join("rustc"))
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["build", "--fuzz-dir", CRATE, "--features", "libfuzzer"])
        .args(["--target", &host, "--target-dir"])
        .arg(workspace::target_dir())
        .arg(&name)
        // What runs one input after the other has no use for it, and it takes minutes.
        .env("CARGO_PROFILE_RELEASE_LTO", "off");
    if OF_THE_CORE.contains(&target) {
        build.arg("--no-default-features");
    }
    for outer in ["LD_LIBRARY_PATH", "RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER"] {
        build.env_remove(outer);
    }
    step("building the fuzzer", &mut build)?;
    let release = workspace::target_dir().join(host).join("release");
    Ok(release.join(name))
}

/// What libFuzzer and the address sanitizer need beside a compiler.
fn check_tools(toolchain: &Record, host: &str) -> Result<()> {
    let libraries = toolchain.sysroot.join("lib/rustlib").join(host).join("lib");
    let entries = fs::read_dir(&libraries)
        .with_context(|| format!("failed to look into {}", libraries.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    ensure!(
        names.into_iter().any(|name| name.ends_with("_rt.asan.a")),
        "{} has no address sanitizer: `rustup toolchain install nightly --component rust-src`, then \
         `cargo xtask setup` with TCPGUARD_BPF_SYSROOT naming it",
        toolchain.sysroot.display()
    );
    ensure!(
        find_program("c++").is_some(),
        "libFuzzer needs a C++ compiler, and there is no c++ (Debian: `apt-get install g++`)"
    );
    Ok(())
}

/// cargo-fuzz of this checkout, built first if it is not there.
fn cargo_fuzz() -> Result<PathBuf> {
    let own = workspace::tools_dir().join("bin/cargo-fuzz");
    if !is_executable(&own) {
        let mut install = workspace::cargo_install("cargo-fuzz", CARGO_FUZZ_VERSION);
        step("building cargo-fuzz (about a minute, once)", &mut install)?;
    }
    Ok(own)
}

/// Writes what the project has by hand: the test that holds it also writes it.
fn write_seeds(folders: &Folders) -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo
        .args(["test", "--quiet", "--package", "tcpguard-fuzz"])
        .args(["--test", "seeds"]);
    if let Some(root) = folders.seeds.parent() {
        cargo.env("TCPGUARD_FUZZ_SEEDS", root);
    }
    step("writing what it begins with", &mut cargo)
}

fn search(target: &str, mut fuzzer: Command, folders: &Folders) -> Result<()> {
    eprintln!("==> searching\n    {}", shown(&fuzzer));
    let status = fuzzer.status().with_context(|| cannot_start(&fuzzer))?;
    if status.success() || status.code() == Some(INTERRUPTED) {
        return Ok(());
    }
    let Some(finding) = newest(&folders.found) else {
        bail!("the fuzzer failed ({status}) without a finding");
    };
    let (found, committed) = (finding.display(), folders.committed.display());
    bail!(
        "found {found}\n  again: cargo xtask fuzz {target} {found}\n  \
         repaired, it belongs into {committed} under a name that tells"
    )
}

fn newest(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let modified = |file: &fs::DirEntry| file.metadata().and_then(|it| it.modified()).ok();
    let newest = files.max_by_key(|file| modified(file).unwrap_or(SystemTime::UNIX_EPOCH));
    newest.map(|file| file.path())
}

/// Adds to the committed inputs those that reach code which they do not. By code alone, not by how often it is
/// reached: the tests replay all of them.
fn keep(program: &Path, folders: &Folders) -> Result<()> {
    let mut merge = Command::new(program);
    merge
        .args(["-set_cover_merge=1", "-use_counters=0"])
        .args([&folders.committed, &folders.grown]);
    step("adding to the committed inputs", &mut merge)
}
