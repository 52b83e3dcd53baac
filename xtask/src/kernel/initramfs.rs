//! The file system of the machine: nothing but what the tests need.

use std::{
    fs::{self, File, Permissions},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{
    found,
    package::{self, Kernel},
};
use crate::process::{is_executable, output, step};

/// What the machine does instead of booting a system.
const INIT: &str = include_str!("init.sh");

/// Its shell, and all other programs that there are in any system.
const BUSYBOX: &str = "/bin/busybox";

/// What the tests and `init` call beside it.
const PROGRAMS: [&str; 6] = ["ip", "tc", "bpftool", "nsenter", "setpriv", "modprobe"];

/// What distributions do not build into the kernel.
const MODULES: [&str; 6] = ["veth", "macvlan", "tun", "sch_ingress", "cls_bpf", "dummy"];

/// A folder that becomes the root of the machine.
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// An empty one.
    pub(super) fn new(root: &Path) -> Result<Self> {
        if root.exists() {
            fs::remove_dir_all(root)?;
        }
        let tree = Self { root: root.into() };
        for folder in ["/proc", "/sys", "/dev", "/run", "/tmp", "/bin", "/applets"] {
            tree.make_folder(Path::new(folder))?;
        }
        Ok(tree)
    }

    /// What every test needs: `init`, programs and modules.
    pub(super) fn add_system(&mut self, kernel: &Kernel) -> Result<()> {
        self.write("init", INIT)?;
        fs::set_permissions(self.root.join("init"), Permissions::from_mode(0o755))?;
        self.add_as(&found("busybox")?, Path::new(BUSYBOX))?;
        for name in PROGRAMS {
            self.add(&found(name)?)?;
        }
        self.add_modules(kernel)
    }

    fn add_modules(&self, kernel: &Kernel) -> Result<()> {
        let from = package::modules(&kernel.base, &kernel.release);
        let to = package::modules(&self.root, &kernel.release);
        for module in MODULES {
            for file in kernel.files_of(module)? {
                let within = file.strip_prefix(&from);
                let within = within.with_context(|| format!("{} is elsewhere", file.display()))?;
                copy(&file, &to.join(within))?;
            }
        }
        for list in ["modules.builtin", "modules.order"] {
            copy(&from.join(list), &to.join(list))?;
        }
        let mut depmod = Command::new(found("depmod")?);
        output(depmod.arg("--basedir").arg(&self.root).arg(&kernel.release))?;
        self.write("modules", &MODULES.join(" "))
    }

    /// A file, where it is on this machine.
    pub(super) fn add(&self, file: &Path) -> Result<()> {
        self.add_as(file, file)
    }

    /// A file under another name; of a program also its libraries, and no symbols.
    fn add_as(&self, file: &Path, name: &Path) -> Result<()> {
        let inside = self.inside(name);
        if !is_program(file)? {
            return copy(file, &inside);
        }
        make_parent(&inside)?;
        let mut strip = Command::new("strip");
        output(strip.arg("-o").arg(&inside).arg(file))?;
        for library in libraries(file)? {
            copy(&library, &self.inside(&library))?;
        }
        Ok(())
    }

    /// A folder, with all that it is in.
    pub(super) fn make_folder(&self, folder: &Path) -> Result<()> {
        let inside = self.inside(folder);
        fs::create_dir_all(&inside).with_context(|| format!("failed to make {}", inside.display()))
    }

    /// A file of ours, below the root.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let file = self.root.join(name);
        fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))
    }

    /// Packs it as the kernel unpacks it.
    pub(super) fn pack(&self, archive: &Path) -> Result<PathBuf> {
        let mut shell = Command::new("sh");
        shell
            .args([
                "-c",
                "find . -print0 | cpio --null --create --quiet --format=newc",
            ])
            .current_dir(&self.root)
            .stdout(File::create(archive)?);
        step("packing what the machine runs", &mut shell)?;
        Ok(archive.into())
    }

    fn inside(&self, file: &Path) -> PathBuf {
        self.root.join(file.strip_prefix("/").unwrap_or(file))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    make_parent(to)?;
    fs::copy(from, to)
        .with_context(|| format!("failed to copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn make_parent(file: &Path) -> Result<()> {
    let parent = file.parent().context("a file without a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("failed to make {}", parent.display()))
}

/// Whether this machine can run it: ELF, and meant to be run.
fn is_program(file: &Path) -> Result<bool> {
    let mut magic = [0; 4];
    let mut open =
        File::open(file).with_context(|| format!("failed to open {}", file.display()))?;
    // What is shorter is no program.
    let _ = open.read(&mut magic)?;
    Ok(magic == *b"\x7fELF" && is_executable(file))
}

/// The libraries that a program is linked with, and what loads them; a static one has none.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let mut ldd = Command::new("ldd");
    let told = match ldd.arg(program).output() {
        Ok(told) => String::from_utf8_lossy(&told.stdout).into_owned(),
        Err(error) => return Err(error).context("failed to start ldd"),
    };
    Ok(paths(&told))
}

/// The absolute paths in what `ldd` says.
fn paths(told: &str) -> Vec<PathBuf> {
    let words = told.split_whitespace();
    words
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_ldd() {
        let told = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                    \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0e)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f0f)\n";
        let found = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(paths(told), found.map(PathBuf::from));
        assert_eq!(
            paths("\tnot a dynamic executable\n"),
            [""; 0].map(PathBuf::from)
        );
    }
}
