//! A kernel of Debian's: found, fetched and unpacked, never installed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::found;
use crate::{process::output, setup::debian, workspace};

/// How the packages of kernels begin.
const PREFIX: &str = "linux-image-";
/// How they end, smallest first: that for virtual machines has all that is needed here.
const FLAVOURS: [&str; 2] = ["-cloud-amd64", "-amd64"];

/// A kernel, unpacked.
pub(super) struct Kernel {
    /// Its `uname -r`.
    pub(super) release: String,
    /// What is ours of it.
    pub(super) folder: PathBuf,
    /// What boots.
    pub(super) image: PathBuf,
    /// The folder that holds `lib/modules`.
    pub(super) base: PathBuf,
}

impl Kernel {
    /// The newest packaged one of a version, fetched if it is not here.
    pub(super) fn provide(version: &str) -> Result<Self> {
        ensure!(
            cfg!(target_arch = "x86_64"),
            "QEMU is told to be a PC, and this machine builds for another"
        );
        let release = newest(version)?;
        let folder = workspace::target_dir().join("kernels").join(&release);
        let unpacked = folder.join("unpacked");
        if !unpacked.exists() {
            let package = format!("{PREFIX}{release}");
            debian::unpack(&[package], &unpacked, "fetching a kernel")?;
        }
        let base = [unpacked.clone(), unpacked.join("usr")]
            .into_iter()
            .find(|base| modules(base, &release).is_dir())
            .with_context(|| format!("{} holds no modules", unpacked.display()))?;
        let mut depmod = Command::new(found("depmod")?);
        output(depmod.arg("--basedir").arg(&base).arg(&release))?;
        Ok(Self {
            image: unpacked.join(format!("boot/vmlinuz-{release}")),
            release,
            folder,
            base,
        })
    }

    /// The files of modules and of what they need, in the order in which they can be loaded.
    pub(super) fn files_of(&self, module: &str) -> Result<Vec<PathBuf>> {
        let mut modprobe = Command::new(found("modprobe")?);
        // What this machine's owner says of modules is not for that one.
        modprobe.args(["--show-depends", "--config", "/dev/null"]);
        modprobe.args(["--set-version", &self.release, "--dirname"]);
        let told = output(modprobe.arg(&self.base).arg(module))?;
        // What is built in has no file.
        let files = told.lines().filter_map(|line| line.strip_prefix("insmod "));
        Ok(files.map(|file| file.trim().into()).collect())
    }
}

/// Where a kernel's modules lie.
pub(super) fn modules(base: &Path, release: &str) -> PathBuf {
    base.join("lib/modules").join(release)
}

fn newest(version: &str) -> Result<String> {
    let releases = || -> Result<_> {
        let names = debian::names(&format!("^{PREFIX}{version}"))?;
        Ok(best(&names, version))
    };
    if let Some(release) = releases()? {
        return Ok(release);
    }
    debian::refresh()?;
    releases()?.with_context(|| {
        format!(
            "no package source of this machine has a kernel {version} (`apt-cache search \
             --names-only '^{PREFIX}[0-9]'` lists what there is)"
        )
    })
}

/// The newest release of a version among packages, of the smallest flavour.
fn best(packages: &[String], version: &str) -> Option<String> {
    FLAVOURS.iter().find_map(|flavour| {
        let releases = packages.iter().filter_map(|package| {
            let release = package.strip_prefix(PREFIX)?;
            let numbers = numbers(release.strip_suffix(flavour)?)?;
            // `6.1` is no prefix of `6.12`, and a package without the third number only points to others.
            let behind = release.strip_prefix(version)?;
            (!behind.starts_with(|c: char| c.is_ascii_digit()) && numbers.len() > 2)
                .then_some((numbers, release))
        });
        releases.max().map(|(_, release)| release.to_owned())
    })
}

/// The numbers of a release without its flavour: `6.1.0-56`, `6.12.117+deb12`.
fn numbers(release: &str) -> Option<Vec<u32>> {
    let release = release.split('+').next()?;
    let numbers = release.split(['.', '-']).map(|number| number.parse().ok());
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_the_smallest_flavour_is_chosen() {
        let packages = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-57-amd64",
            "linux-image-6.1.0-58-rt-amd64",
            "linux-image-6.1.0-58-cloud-amd64-dbg",
            "linux-image-6.12-cloud-amd64",
            "linux-image-6.12.117+deb12-amd64",
        ]
        .map(str::to_owned);
        let best = |version| best(&packages, version);
        assert_eq!(best("6.1").as_deref(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(best("6.1.0-9").as_deref(), Some("6.1.0-9-cloud-amd64"));
        assert_eq!(best("6.12").as_deref(), Some("6.12.117+deb12-amd64"));
        assert_eq!(best("5.10"), None);
    }
}
