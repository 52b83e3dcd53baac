//! Links pinned under bpffs, which keep programs attached when the process that attached them ends.
//!
//! ```text
//! /sys/fs/bpf/tcpguard/NAMESPACE/INDEX-ingress    a link; INDEX is the kernel's number of the
//!                     /NAMESPACE/INDEX-egress     interface: its name may have a dot, a pin may not
//! ```
//!
//! NAMESPACE is the inode of the network namespace and its cookie, as the inode alone may be that of another tomorrow.
//!
//! Whether something is pinned is asked of this directory and nothing else, so no record can be stale.

use std::{
    fmt,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::programs::links::{FdLink, PinnedLink};
use rustix::{
    fs::{FlockOperation, flock, statfs},
    io::Errno,
    mount::{MountFlags, mount},
    process::geteuid,
};
use tcpguard_common::abi::Hook;

use crate::{link, namespace};

pub(crate) const BPFFS: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC` in `linux/magic.h`.
const BPFFS_MAGIC: i64 = 0xcafe_4a11;
const ROOT: &str = "/sys/fs/bpf/tcpguard";
/// Where maps are handed from one set of programs to the next.
const HANDOVER: &str = "/sys/fs/bpf/tcpguard/handover";

/// The pinned links of all network namespaces. One process has them at a time.
pub(crate) struct Pins {
    root: &'static Path,
    /// Those of this network namespace.
    here: PathBuf,
    /// Held until this is dropped.
    _lock: File,
}

/// A pinned link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    path: PathBuf,
    /// The kernel's number of the interface, in its network namespace.
    pub(crate) index: u32,
    pub(crate) hook: Hook,
}

impl Pins {
    /// Opens them, and mounts bpffs if it is not there. Who has them needs a second or so.
    pub(crate) fn open() -> Result<Self> {
        Self::open_within(Some(Duration::from_secs(10)))
    }

    /// The same, however long another process has them.
    pub(crate) fn open_at_last() -> Result<Self> {
        Self::open_within(None)
    }

    fn open_within(patience: Option<Duration>) -> Result<Self> {
        mount_bpffs()?;
        create(Path::new(ROOT))?;
        let lock = lock(patience)?;
        // What an upgrade has left that was killed.
        remove_handover();
        Ok(Self {
            root: Path::new(ROOT),
            here: directory()?,
            _lock: lock,
        })
    }

    /// Pins a link of this network namespace.
    pub(crate) fn pin(&self, link: FdLink, index: u32, hook: Hook) -> Result<Pin> {
        create(&self.here)?;
        let path = self.here.join(format!("{index}-{}", name(hook)));
        let shown = path.display();
        // What is dropped is a descriptor: the link stays with its file.
        let _ = link
            .pin(&path)
            .with_context(|| format!("failed to pin {shown}"))?;
        Ok(Pin { path, index, hook })
    }

    /// The right to change the guards of this network namespace, until it is dropped: it outlives the lock
    /// where a change is on trial. Nothing where none is pinned.
    ///
    /// # Errors
    ///
    /// If a change is on trial.
    pub(crate) fn sole(&self) -> Result<Option<Sole>> {
        let Ok(here) = File::open(&self.here) else {
            return Ok(None);
        };
        let shown = self.here.display();
        match flock(&here, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => bail!(
                "a change of `tcpguard reload --confirm` is on trial: confirm it, or wait until it is \
                 taken back (`fuser {shown}` tells by which process)"
            ),
            locked => locked.with_context(|| format!("failed to lock {shown}"))?,
        }
        Ok(Some(Sole { _here: here }))
    }

    /// A directory for maps that are handed over.
    pub(crate) fn handover(&self) -> Result<Handover<'_>> {
        create(Path::new(HANDOVER))?;
        Ok(Handover {
            path: Path::new(HANDOVER),
            _pins: self,
        })
    }

    /// Whether a pin is of this network namespace.
    pub(crate) fn is_here(&self, pin: &Pin) -> bool {
        pin.path.starts_with(&self.here)
    }

    /// The pinned links of this network namespace.
    pub(crate) fn here(&self) -> Result<Vec<Pin>> {
        pins(&self.here)
    }

    /// Those of every network namespace, this one and those that are gone included.
    pub(crate) fn everywhere(&self) -> Result<Vec<Pin>> {
        let mut all = Vec::new();
        for namespace in entries(self.root)? {
            all.extend(pins(&namespace)?);
        }
        Ok(all)
    }
}

impl Drop for Pins {
    /// Leaves no empty directory; one that is not empty stays.
    fn drop(&mut self) {
        for namespace in entries(self.root).unwrap_or_default() {
            let _ = fs::remove_dir(namespace);
        }
    }
}

/// The right to change guards. The kernel lets go of it with the process.
pub(crate) struct Sole {
    _here: File,
}

/// Maps on their way from programs to those that take their place. Gone when it is dropped.
pub(crate) struct Handover<'a> {
    /// The directory in which they are pinned.
    pub(crate) path: &'static Path,
    /// Nobody else has it meanwhile.
    _pins: &'a Pins,
}

impl Drop for Handover<'_> {
    fn drop(&mut self) {
        remove_handover();
    }
}

fn remove_handover() {
    for map in entries(Path::new(HANDOVER)).unwrap_or_default() {
        let _ = fs::remove_file(map);
    }
    let _ = fs::remove_dir(HANDOVER);
}

impl Pin {
    /// Opens the link.
    pub(crate) fn link(&self) -> Result<FdLink> {
        let link = PinnedLink::from_pin(&self.path);
        let link = link.with_context(|| format!("failed to open {}", self.path.display()))?;
        Ok(link.into())
    }

    /// Whether it keeps nothing attached: its interface is gone, or somebody has detached it. One that cannot be
    /// opened may keep something.
    pub(crate) fn is_dead(&self) -> bool {
        self.link()
            .is_ok_and(|link| link::is_dead(&link).unwrap_or(false))
    }

    /// Removes it, and with it the last that keeps the program attached.
    pub(crate) fn remove(&self) -> Result<()> {
        let link = self.link();
        fs::remove_file(&self.path)
            .with_context(|| format!("failed to remove {}", self.path.display()))?;
        // The kernel would take the program off in its own time, which under a flood may be much later than this says
        // so. A link that is dead already need not be told, and who is killed in between holds it no more.
        let _ = link.and_then(|link| link::detach_held(&link));
        Ok(())
    }
}

/// Whether the guard on an interface outlives its process: a pin of what only observes is what a killed
/// `attach` has left.
pub(crate) fn is_pinned(pins: &[Pin], index: u32) -> bool {
    let mut pins = pins.iter();
    pins.any(|pin| pin.index == index && pin.hook == Hook::Ingress)
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// The pinned links of this network namespace, for who only looks.
pub(crate) fn listed() -> Result<Vec<Pin>> {
    pins(&directory()?)
}

/// Where the links of the network namespace of this thread are pinned.
///
/// # Errors
///
/// If it is not known (is /proc mounted?), or opens no socket.
pub fn directory() -> Result<PathBuf> {
    Ok(Path::new(ROOT).join(namespace::network()?))
}

/// As the file and the operator name it.
pub(crate) const fn name(hook: Hook) -> &'static str {
    match hook {
        Hook::Ingress => "ingress",
        Hook::Egress => "egress",
    }
}

fn mount_bpffs() -> Result<()> {
    let is_there = || statfs(BPFFS).is_ok_and(|found| found.f_type == BPFFS_MAGIC);
    if is_there() {
        return Ok(());
    }
    // Two at once would mount one upon the other, and hide what is pinned in that.
    let place = File::open(BPFFS).with_context(|| format!("failed to open {BPFFS}"))?;
    let locked = flock(&place, FlockOperation::LockExclusive);
    locked.with_context(|| format!("failed to lock {BPFFS}"))?;
    if is_there() {
        return Ok(());
    }
    if !is_host()? {
        bail!(
            "no bpffs on {BPFFS}, and one that is mounted here might end with this process: enter a \
             network namespace by `nsenter --net=/run/netns/NAME`, which keeps {BPFFS}, and not by \
             `ip netns exec`; on the host itself, `mount -t bpf bpf {BPFFS}`"
        );
    }
    let quiet = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", BPFFS, "bpf", quiet, Some(c"mode=0700"))
        .with_context(|| format!("failed to mount bpffs on {BPFFS}"))
}

/// Whether this process is in the mount namespace of the host. Where nothing is certain it is not.
fn is_host() -> Result<bool> {
    /// `MNT_NS_INIT_INO` in `linux/nsfs.h`: since Linux 6.18 the number is promised.
    const INITIAL: u64 = 0xefff_fff8;
    let own = namespace::inode("self", "mnt")?;
    // Not everybody may look at the first process.
    Ok(own == INITIAL || namespace::inode("1", "mnt").is_ok_and(|host| own == host))
}

/// The root, locked: the kernel lets go of it with the process.
fn lock(patience: Option<Duration>) -> Result<File> {
    const POLL: Duration = Duration::from_millis(20);
    let root = File::open(ROOT).with_context(|| format!("failed to open {ROOT}"))?;
    let start = Instant::now();
    loop {
        match flock(&root, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if patience.is_none_or(|it| start.elapsed() < it) => {
                thread::sleep(POLL);
            }
            Err(Errno::WOULDBLOCK) => bail!(
                "another tcpguard has been attaching or detaching for {:?}: try again, or find it \
                 by `fuser {ROOT}`",
                patience.unwrap_or_default()
            ),
            locked => {
                locked.with_context(|| format!("failed to lock {ROOT}"))?;
                return Ok(root);
            }
        }
    }
}

/// A directory that nobody but root reads, and in which nobody else removes a pin.
fn create(directory: &Path) -> Result<()> {
    let shown = directory.display();
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => return created.with_context(|| format!("failed to create {shown}")),
    }
    let found = fs::symlink_metadata(directory);
    let found = found.with_context(|| format!("failed to look at {shown}"))?;
    let is_ours =
        found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o777 == 0o700;
    ensure!(
        is_ours,
        "{shown} is not a directory of this user's alone (mode 0700), so others could take the \
         guard off: remove it, and attach again"
    );
    Ok(())
}

fn pins(namespace: &Path) -> Result<Vec<Pin>> {
    let mut pins: Vec<_> = entries(namespace)?.into_iter().filter_map(pin).collect();
    pins.sort_by_key(|pin| (pin.index, pin.hook as u8));
    Ok(pins)
}

/// The pin that a file is; `None` of what somebody else has put there.
fn pin(path: PathBuf) -> Option<Pin> {
    let (index, hook) = path.file_name()?.to_str()?.split_once('-')?;
    let hooks = [Hook::Ingress, Hook::Egress];
    let hook = hooks.into_iter().find(|it| name(*it) == hook)?;
    let index = index.parse().ok()?;
    Some(Pin { path, index, hook })
}

/// What is in a directory; nothing in one that is not there.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.and_then(|entries| entries.map(|it| Ok(it?.path())).collect()),
    };
    listed.with_context(|| format!("failed to list {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_tells_its_interface_and_its_hook() {
        let of = |name: &str| pin(Path::new("/sys/fs/bpf/tcpguard/1").join(name));
        let found = of("12-egress").unwrap();
        assert_eq!((found.index, found.hook), (12, Hook::Egress));
        assert_eq!(of("12-ingress").unwrap().hook, Hook::Ingress);
        for other in ["12", "12-", "x-egress", "-ingress", "12-between"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused() {
        let directory = std::env::temp_dir().join(format!("tcpguard-pins-{}", std::process::id()));
        create(&directory).unwrap();
        create(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let refusal = create(&directory).unwrap_err().to_string();
        fs::remove_dir(&directory).unwrap();
        assert!(
            refusal.contains("tcpguard-pins") && refusal.contains("0700"),
            "{refusal}"
        );
    }

    #[test]
    fn what_is_not_there_has_no_entries() {
        assert_eq!(entries(Path::new("/nonexistent")).unwrap().len(), 0);
    }
}
