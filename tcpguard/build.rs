//! Builds the kernel programs with a second run of cargo.
//!
//! They need another target, a `core` built from source and compiler flags of their own, which
//! `aya-build` would overwrite. What is needed for that, `cargo xtask setup` finds or installs and
//! writes down; here it is only used.

use std::{
    env,
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};

/// Object file in `OUT_DIR`, program binary, cargo features.
const OBJECTS: [(&str, &str, &[&str]); 3] = [
    // Embedded in the binary.
    ("tcpguard.bpf.o", "tcpguard", &["log"]),
    // For bpftool, libbpf and bpfman, which refuse the map that aya-log brings.
    ("tcpguard-export.bpf.o", "tcpguard", &[]),
    // What the benchmark measures against.
    ("baseline.bpf.o", "baseline", &[]),
];

const HELP: &str = "run `cargo xtask setup`, or set TCPGUARD_BPF_SYSROOT and TCPGUARD_BPF_LINKER, \
                    or set TCPGUARD_BPF_OBJECTS to a folder of ready objects";

fn main() {
    for variable in [
        "TCPGUARD_BPF_SYSROOT",
        "TCPGUARD_BPF_LINKER",
        "TCPGUARD_BPF_OBJECTS",
    ] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    for input in [
        "../tcpguard-ebpf",
        "../tcpguard-common/src",
        "../Cargo.toml",
        "../Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={input}");
    }
    if let Err(error) = provide_objects() {
        println!("cargo::error={error}");
        std::process::exit(1);
    }
}

fn provide_objects() -> Result<(), String> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    if let Some(ready) = env::var_os("TCPGUARD_BPF_OBJECTS") {
        return OBJECTS
            .iter()
            .try_for_each(|(object, ..)| copy(&Path::new(&ready).join(object), &out.join(object)));
    }
    let target_dir = target_dir(&out)?;
    let toolchain = Toolchain::find(&target_dir)?;
    let built = target_dir.join("bpf");
    for (object, binary, features) in OBJECTS {
        toolchain.build(binary, features, &built)?;
        strip(
            &built.join(TARGET).join("release").join(binary),
            &out.join(object),
        )?;
    }
    Ok(())
}

const TARGET: &str = if cfg!(target_endian = "big") {
    "bpfeb-unknown-none"
} else {
    "bpfel-unknown-none"
};

/// What can compile and link for BPF.
struct Toolchain {
    /// A Rust installation with the library's sources.
    sysroot: PathBuf,
    /// bpf-linker, of the same LLVM as the compiler or a newer one.
    linker: PathBuf,
}

impl Toolchain {
    /// From the environment, or from what `cargo xtask setup` wrote down.
    fn find(target_dir: &Path) -> Result<Self, String> {
        let record = target_dir.join("tools/bpf-toolchain");
        println!("cargo::rerun-if-changed={}", record.display());
        let recorded = fs::read_to_string(&record).unwrap_or_default();
        let part = |name: &str, key: &str| {
            let given = env::var(name).ok();
            let line = || {
                recorded
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            };
            let path = given.as_deref().or_else(line).map(PathBuf::from);
            path.filter(|path| path.exists())
                .ok_or_else(|| format!("no {key} to build the kernel programs with: {HELP}"))
        };
        Ok(Self {
            sysroot: part("TCPGUARD_BPF_SYSROOT", "sysroot")?,
            linker: part("TCPGUARD_BPF_LINKER", "linker")?,
        })
    }

    fn build(&self, binary: &str, features: &[&str], target_dir: &Path) -> Result<(), String> {
        let mut cargo = Command::new(self.sysroot.join("bin/cargo"));
        cargo
            .args(["build", "--release", "-Zbuild-std=core", "--package=tcpguard-ebpf"])
            .args(["--bin", binary, "--target", TARGET])
            .args(["--features", &features.join(",")])
            .arg("--target-dir")
            .arg(target_dir)
            .env("RUSTC", self.sysroot.join("bin/rustc"))
            // `build-std` on a stable compiler.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &self.linker)
            .env("CARGO_TARGET_BPFEB_UNKNOWN_NONE_LINKER", &self.linker)
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags()?)
            // The outer build may switch these on; each gives panic paths, which do not verify.
            .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "false")
            .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "false");
        // What the outer run of cargo set for its own compiler.
        for outer in [
            "LD_LIBRARY_PATH",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_WRAPPER",
            "RUSTDOC",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
        ] {
            cargo.env_remove(outer);
        }
        let output = cargo
            .output()
            .map_err(|error| format!("failed to run {cargo:?}: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        eprintln!("{cargo:?}\n{}", String::from_utf8_lossy(&output.stderr));
        Err(format!(
            "failed to build the kernel programs, see above; if a tool is missing, {HELP}"
        ))
    }
}

fn rustflags() -> Result<String, String> {
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    Ok([
        &format!("--cfg=bpf_target_arch=\"{arch}\""),
        // BTF is made from debug information.
        "-Cdebuginfo=2",
        "-Clink-arg=--btf",
        // The default is v1, which has neither 32-bit operations nor their atomics.
        "-Ctarget-cpu=v3",
        // Else each small zeroed array becomes a call of a byte-wise memset.
        "-Clink-arg=--disable-expand-memcpy-in-order",
    ]
    .join("\x1f"))
}

/// The folder that the outer cargo builds into, so that all its profiles share one BPF build.
fn target_dir(out: &Path) -> Result<PathBuf, String> {
    // <target>[/<triple>]/<profile>/build/<package>/out
    let profile = out
        .ancestors()
        .nth(3)
        .ok_or("OUT_DIR is not where cargo puts it")?;
    let mut above = profile.ancestors().skip(1);
    let parent = above.next().ok_or("OUT_DIR is not where cargo puts it")?;
    let triple = variable("TARGET")?;
    let cross = parent.file_name().is_some_and(|name| *name == *triple);
    let target = if cross { above.next() } else { Some(parent) };
    target
        .map(Path::to_path_buf)
        .ok_or_else(|| "OUT_DIR is not where cargo puts it".into())
}

/// Copies an object without what only debuggers read, which is most of it: at each start the loader would go through
/// that as well. BTF has sections of its own, and stays.
fn strip(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: &dyn Display| format!("failed to strip {}: {error}", from.display());
    let whole = fs::read(from).map_err(|error| failed(&error))?;
    let mut object = Builder::read(&*whole).map_err(|error| failed(&error))?;
    for section in &mut object.sections {
        let name = section.name.as_slice();
        let of = name.strip_prefix(b".rel").unwrap_or(name);
        section.delete = of.starts_with(b".debug_");
    }
    object.delete_orphans();
    // LLVM has one section for the names of symbols and of sections, which are two here.
    let names = object.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    object
        .write(&mut stripped)
        .map_err(|error| failed(&error))?;
    fs::write(to, stripped).map_err(|error| failed(&error))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(|_| ()).map_err(|error| {
        format!(
            "failed to copy {} to {}: {error}",
            from.display(),
            to.display()
        )
    })
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("cargo sets {name} for build scripts: {error}"))
}
