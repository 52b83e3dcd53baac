//! Makes a machine able to build for BPF.
//!
//! Two things are needed: a Rust compiler with the library's sources in its sysroot, and a
//! bpf-linker whose LLVM is not older than the compiler's. What is there is used as it is; what is
//! missing comes from rustup, from Debian's or Ubuntu's packages and from the crates registry. The
//! outcome is recorded for the build script, and the next set-up only verifies the record.

mod debian;
mod linker;
mod record;
mod report;
mod rustc;
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
  TCPGUARD_BPF_OBJECT   a ready object: nothing is built for BPF and nothing needed
  LLVM_PREFIX           where LLVM's development files lie, if not in the usual place";

/// Names a ready object, for packagers who build it elsewhere.
const OBJECT: &str = "TCPGUARD_BPF_OBJECT";

const NO_COMPILER: &str = "no Rust compiler here can build for BPF";

/// Leaves the machine able to build the BPF programs.
pub(crate) fn ensure() -> Result<()> {
    if ready_object()? {
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
    let mut rustup = Command::new("rustup");
    rustup
        .args(["component", "add", "clippy", "--toolchain"])
        .arg(sysroot);
    process::step("adding clippy to the toolchain", &mut rustup)
}

/// Reports what is there and what is missing, and changes nothing.
pub(crate) fn check() -> Result<()> {
    if ready_object()? {
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

fn ready_object() -> Result<bool> {
    let Some(object) = env::var_os(OBJECT) else {
        return Ok(false);
    };
    let object = Path::new(&object);
    ensure!(
        object.is_file(),
        "{OBJECT} names {}, which is no file",
        object.display()
    );
    eprintln!(
        "the BPF object is ready: {} ({OBJECT}), nothing to set up",
        object.display()
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

/// The best compiler for which this machine has a linker or can get one; otherwise the reasons.
fn choose() -> Result<(Compiler, Linker), Vec<String>> {
    let (usable, mut refused) = sysroot::compilers();
    for compiler in usable {
        match Linker::find(compiler.version.llvm) {
            Ok(linker) => return Ok((compiler, linker)),
            Err(error) => refused.push(format!("{}: {error:#}", described(&compiler))),
        }
    }
    Err(refused)
}

/// As `choose`, with whatever has to be installed for a compiler.
fn obtain() -> Result<(Compiler, Linker)> {
    let mut reasons = match choose() {
        Ok(found) => return Ok(found),
        Err(refused) => refused,
    };
    if env::var_os(sysroot::OVERRIDE).is_some() {
        bail!(
            "{} cannot be used: {}",
            sysroot::OVERRIDE,
            reasons.join("; ")
        );
    }
    if let Some(rustup) = sysroot::sources_command() {
        match sysroot::add_sources(rustup) {
            Ok(()) => match choose() {
                Ok(found) => return Ok(found),
                Err(refused) => reasons = refused,
            },
            Err(error) => reasons.push(format!("{error:#}")),
        }
    }
    from_packages().with_context(|| format!("{NO_COMPILER}:\n  {}", reasons.join("\n  ")))
}

fn from_packages() -> Result<(Compiler, Linker)> {
    ensure!(
        debian::is_here(),
        "there is no apt-get here (try `{}`)",
        sysroot::NIGHTLY
    );
    if debian::compiler().is_none() {
        debian::refresh()?;
        // The lists may have been empty, and all that was missing a package of LLVM.
        if let Ok(found) = choose() {
            return Ok(found);
        }
    }
    let packaged = debian::compiler().with_context(|| {
        format!(
            "no packaged compiler is as recent as {} (try `{}`)",
            env!("CARGO_PKG_RUST_VERSION"),
            sysroot::NIGHTLY
        )
    })?;
    debian::install(
        &packaged.packages,
        "installing a compiler with the library's sources",
    )?;
    choose().map_err(|refused| anyhow::anyhow!(refused.join("; ")))
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
