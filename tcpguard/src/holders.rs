//! Who holds a link of the kernel's: processes that have it open, and files in bpffs.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process,
};

use aya::programs::links::{FdLink, LinkInfo, PinnedLink};

use crate::{link, pins::BPFFS};

/// Keeps a link, so that it outlives its process or is made anew.
pub(crate) enum Holder {
    Process { name: String, id: u32 },
    File(PathBuf),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { name, id } => write!(f, "{name} (process {id})"),
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

/// All that can be seen from here: not who is in another PID namespace, or in another bpffs.
pub(crate) fn holders(link: &LinkInfo) -> Vec<Holder> {
    let mut holders = processes(link.id());
    files(Path::new(BPFFS), link, &mut holders);
    holders
}

/// Other processes; one that ends meanwhile holds nothing any more.
fn processes(link: u32) -> Vec<Holder> {
    let ids = entries(Path::new("/proc")).into_iter();
    let ids = ids.filter_map(|path| path.file_name()?.to_str()?.parse().ok());
    let others = ids.filter(|id: &u32| *id != process::id());
    let holder = |id: u32| {
        let process = PathBuf::from(format!("/proc/{id}"));
        link::descriptor_in(&process, link).map(|_| Holder::Process {
            name: fs::read_to_string(process.join("comm")).map_or_else(
                |_| "a program".to_owned(),
                |name| name.trim_end().to_owned(),
            ),
            id,
        })
    };
    others.filter_map(holder).collect()
}

fn files(directory: &Path, link: &LinkInfo, holders: &mut Vec<Holder>) {
    for path in entries(directory) {
        // Directories of bpffs may be reached by symbolic links as well.
        let kind = fs::symlink_metadata(&path).map(|it| it.file_type());
        if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
            files(&path, link, holders);
        } else if kind.is_ok_and(|kind| kind.is_file()) && is_pin(&path, link) {
            holders.push(Holder::File(path));
        }
    }
}

/// Whether a file is that link. It may be a map or a program: those have numbers of their own, and no
/// program where a link has one.
fn is_pin(path: &Path, link: &LinkInfo) -> bool {
    let pinned = PinnedLink::from_pin(path).map(FdLink::from);
    let info = pinned.and_then(|pinned| pinned.info());
    info.is_ok_and(|it| (it.id(), it.program_id()) == (link.id(), link.program_id()))
}

/// Nothing, if it cannot be read.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}
