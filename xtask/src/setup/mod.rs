//! Makes a machine able to build for BPF.
//!
//! Two things are needed: a Rust compiler with the library's sources in its sysroot, and a
//! bpf-linker whose LLVM is not older than the compiler's. What is there is used as it is; what is
//! missing comes from rustup, from Debian's or Ubuntu's packages and from the crates registry. The
//! outcome is recorded for the build script, and the next set-up only verifies the record.

pub(crate) mod debian;
mod linker;
mod record;
mod report;
mod rustc;
pub(crate) mod schemas;
mod sysroot;
pub(crate) mod test_tools;

use std::{
    env,
    io::{self, Write},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use self::{linker::Linker, rustc::Compiler};
pub(crate) use self::{record::Record, rustc::Version};
use crate::{process, workspace};

pub(crate) const HELP: &str = "\
Environment:
  TCPGUARD_BPF_SYSROOT  a toolchain with library sources, instead of the first that is found
  TCPGUARD_BPF_LINKER   a bpf-linker, instead of the first that is found
  TCPGUARD_BPF_OBJECTS  a folder of ready objects: nothing is built for BPF, nothing needed
  LLVM_PREFIX           where LLVM's development files lie, if not in the usual place";

/// Names a folder of ready objects, for packagers who build them elsewhere.
const OBJECTS: &str = "TCPGUARD_BPF_OBJECTS";

/// Leaves the machine able to build the BPF programs.
pub(crate) fn ensure() -> Result<()> {
    if has_ready_objects()? {
        return Ok(());
    }
    toolchain().map(drop)
}

/// The toolchain for BPF, installed first if it is not there.
pub(crate) fn toolchain() -> Result<Record> {
    let tools = workspace::tools_dir();
    if let Some(record) = Record::read(&tools) {
        match verified(&record) {
            Ok(compiler) => {
                announce(&compiler, &record.linker);
                return Ok(record);
            }
            Err(error) => eprintln!("==> setting up anew: {error:#}"),
        }
    }
    let (compiler, linker) = obtain()?;
    let linker = linker.obtain()?;
    announce(&compiler, &linker);
    let record = Record {
        sysroot: compiler.sysroot,
        linker,
        rustc: compiler.version.line,
    };
    record.write(&tools)?;
    Ok(record)
}

/// Gives a toolchain its clippy, from where the toolchain itself came.
pub(crate) fn ensure_clippy(sysroot: &Path) -> Result<()> {
    if process::is_executable(&sysroot.join("bin/cargo-clippy")) {
        return Ok(());
    }
    if sysroot == Path::new(debian::SYSROOT) {
        let clippy = debian::clippy().context("no package of clippy goes with /usr/bin/rustc")?;
        return debian::install(&[clippy], "installing the packaged compiler's clippy");
    }
    // rustup keeps a toolchain in a folder of its name.
    let toolchain = sysroot.file_name().unwrap_or_default();
    let mut rustup = Command::new("rustup");
    rustup
        .args(["component", "add", "clippy", "--toolchain"])
        .arg(toolchain);
    process::step("adding clippy to the toolchain", &mut rustup)
}

/// Reports what is there and what is missing, and changes nothing.
pub(crate) fn check() -> Result<()> {
    if has_ready_objects()? {
        return Ok(());
    }
    let report = report::Report::of_this_machine();
    // A reader who has seen enough, such as `head`, is no failure.
    let _ = io::stdout().write_all(report.text.as_bytes());
    ensure!(
        report.complete,
        "something is missing (`cargo xtask setup` installs it)"
    );
    Ok(())
}

fn has_ready_objects() -> Result<bool> {
    let Some(folder) = env::var_os(OBJECTS) else {
        return Ok(false);
    };
    let folder = Path::new(&folder);
    ensure!(
        folder.is_dir(),
        "{OBJECTS} names {}, which is no folder",
        folder.display()
    );
    eprintln!(
        "BPF objects: {} ({OBJECTS}), nothing to set up",
        folder.display()
    );
    Ok(true)
}

/// The record, if it holds and nobody asks for something else by now.
fn verified(record: &Record) -> Result<Compiler> {
    for (variable, recorded) in [
        (sysroot::OVERRIDE, &record.sysroot),
        (linker::OVERRIDE, &record.linker),
    ] {
        let asked = env::var_os(variable);
        ensure!(
            asked
                .as_ref()
                .is_none_or(|asked| Path::new(asked) == recorded),
            "{variable} asks for something else than {}",
            recorded.display()
        );
    }
    record.verify()
}

/// Why no compiler will do as things are.
struct Refused {
    reasons: Vec<String>,
    /// Some compiler has its sources, so that only the linker is wanting.
    has_sources: bool,
}

/// The best compiler for which this machine has a linker or can get one.
fn choose() -> Result<(Compiler, Linker), Refused> {
    let (usable, mut reasons) = sysroot::compilers();
    let has_sources = !usable.is_empty();
    for compiler in usable {
        match Linker::find(compiler.version.llvm) {
            Ok(linker) => return Ok((compiler, linker)),
            Err(error) => reasons.push(format!("{}: {error:#}", described(&compiler))),
        }
    }
    Err(Refused {
        reasons,
        has_sources,
    })
}

/// As `choose`, with whatever has to be installed for a compiler: rustup first, then packages.
fn obtain() -> Result<(Compiler, Linker)> {
    linker::named()?;
    let refused = match choose() {
        Ok(found) => return Ok(found),
        Err(refused) => refused,
    };
    let mut reasons = refused.reasons;
    let attempts: &[fn() -> Result<()>] = match env::var_os(sysroot::OVERRIDE) {
        Some(_) => &[],
        None if refused.has_sources && !debian::is_here() => &[],
        None if refused.has_sources => &[debian::read_lists, debian::provide_compiler],
        None => &[
            sysroot::add_sources,
            debian::read_lists,
            debian::provide_compiler,
        ],
    };
    for attempt in attempts {
        match attempt().map(|()| choose()) {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(_)) => {}
            Err(error) => reasons.push(format!("{error:#}")),
        }
    }
    bail!(
        "no Rust compiler here can build for BPF:\n  {}",
        reasons.join("\n  ")
    )
}

fn announce(compiler: &Compiler, linker: &Path) {
    eprintln!(
        "BPF toolchain: {}, {}",
        described(compiler),
        linker.display()
    );
}

fn described(compiler: &Compiler) -> String {
    let (major, minor) = compiler.version.release;
    let llvm = compiler.version.llvm;
    format!(
        "{} (rustc {major}.{minor}, LLVM {llvm})",
        compiler.sysroot.display()
    )
}
