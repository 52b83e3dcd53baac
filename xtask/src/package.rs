//! The Debian package of any build of the program: the released one, or the one under test.
//!
//! What is in it stands in `tcpguard/Cargo.toml`, for cargo-deb. Some of that only the program itself
//! can write, so a folder is laid out as cargo would have built into it, and cargo-deb is sent there.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::process::output;

/// Completions by shell, as each of them wants its file to be called.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "tcpguard"),
    ("fish", "tcpguard.fish"),
    ("zsh", "_tcpguard"),
];

/// What a package is made of, and where.
#[derive(Clone, Copy, Debug)]
pub struct Packing<'a> {
    /// The cargo-deb that makes it.
    pub cargo_deb: &'a Path,
    /// The program that goes in.
    pub program: &'a Path,
    /// A folder to work in. What is there is removed.
    pub folder: &'a Path,
    /// Further arguments of cargo-deb.
    pub args: &'a [&'a str],
}

/// Makes a package, and says where it lies: inside the folder.
pub fn deb(packing: Packing<'_>) -> Result<PathBuf> {
    let Packing {
        cargo_deb,
        program,
        folder,
        args,
    } = packing;
    lay_out(program, folder).with_context(|| format!("cannot prepare {}", folder.display()))?;
    let mut command = Command::new(cargo_deb);
    command
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../tcpguard/Cargo.toml"),
        ])
        .args(["--no-build", "--output"])
        .arg(folder)
        .args(args)
        .env("CARGO_TARGET_DIR", folder)
        .env("PATH", path_with_cargo()?);
    output(&mut command)?;
    let made = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut made = made.filter(|path| path.extension().is_some_and(|it| it == "deb"));
    made.next().context("cargo-deb has made no package")
}

/// Puts the program, and what it writes, where cargo-deb looks for what cargo has built.
fn lay_out(program: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let built = folder.join("release");
    let (man, completions) = (built.join("man"), built.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir(&completions)?;
    fs::copy(program, built.join("tcpguard"))?;
    output(Command::new(program).args(["man", "--dir"]).arg(&man))?;
    // Pages of the manual are compressed by policy, and without a date so that all builds are alike.
    let mut gzip = Command::new("gzip");
    gzip.args(["--best", "--no-name", "--recursive"]);
    output(gzip.arg(&man))?;
    for (shell, name) in COMPLETIONS {
        let written = output(Command::new(program).args(["completions", shell]))?;
        fs::write(completions.join(name), written)?;
    }
    Ok(())
}

/// Root's own PATH need not lead to cargo, which cargo-deb asks about the workspace.
fn path_with_cargo() -> Result<OsString> {
    let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from(env!("CARGO")), PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = cargo.parent().map(Path::to_path_buf).into_iter();
    Ok(env::join_paths(folders.chain(env::split_paths(&path)))?)
}
