//! Where a capture goes: to a file that is there once it is whole, or to stdout.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Error, Result, bail};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::watch::output::Output;

/// How long the last octets may take where nobody reads.
const GRACE: Duration = Duration::from_secs(1);

/// What takes the octets.
pub(super) enum Sink {
    File(Part),
    Stdout(Output),
}

impl Sink {
    /// The file of this name, or stdout for `-`; it begins with the head.
    pub(super) fn open(path: &Path, overwrite: bool, head: &[u8]) -> Result<Self> {
        if path == Path::new("-") {
            let mut stdout = Output::stdout().context("failed to open stdout")?;
            stdout.push(head);
            return Ok(Self::Stdout(stdout));
        }
        Ok(Self::File(Part::create(path, overwrite, head)?))
    }

    /// Writes octets, and waits for whoever reads them.
    pub(super) async fn put(&mut self, octets: &[u8]) -> Result<()> {
        match self {
            Self::File(part) => part.write(octets),
            Self::Stdout(output) => {
                output.push(octets);
                Ok(output.taken().await?)
            }
        }
    }

    /// Makes what was written last, and says where it is.
    pub(super) async fn finish(self) -> Result<String> {
        match self {
            Self::File(part) => part.finish(),
            Self::Stdout(mut output) => {
                if let Ok(taken) = tokio::time::timeout(GRACE, output.taken()).await {
                    taken?;
                }
                Ok("stdout".to_owned())
            }
        }
    }
}

/// A file under another name until it is whole. If it never is, what it has beyond its head stays there.
pub(super) struct Part {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    overwrite: bool,
    /// Octets of the head.
    head: u64,
    is_named: bool,
}

impl Part {
    fn create(path: &Path, overwrite: bool, head: &[u8]) -> Result<Self> {
        if !overwrite && fs::symlink_metadata(path).is_ok() {
            bail!(
                "{} is there already: give another name, or --force to overwrite it",
                path.display()
            );
        }
        let mut temporary = OsString::from(path);
        temporary.push(".part");
        let temporary = PathBuf::from(temporary);
        // Payload is nobody else's business.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary);
        let file = file.with_context(|| {
            format!(
                "failed to create {} (where another capture has left it, move it away)",
                temporary.display()
            )
        })?;
        let mut part = Self {
            path: path.to_owned(),
            temporary,
            file,
            overwrite,
            head: head.len() as u64,
            is_named: false,
        };
        part.write(head)?;
        Ok(part)
    }

    fn write(&mut self, octets: &[u8]) -> Result<()> {
        let written = self.file.write_all(octets);
        written
            .with_context(|| self.unwritten())
            .map_err(|error| self.unfinished(error))
    }

    fn finish(self) -> Result<String> {
        self.finish_by(ANEW)
    }

    fn finish_by(mut self, anew: [Naming; 2]) -> Result<String> {
        if let Err(error) = self.name(anew) {
            return Err(self.unfinished(error));
        }
        self.is_named = true;
        Ok(self.path.display().to_string())
    }

    fn name(&self, anew: [Naming; 2]) -> Result<()> {
        // A file system of a network may tell only now that it is full.
        let written = self.file.sync_all();
        written.with_context(|| self.unwritten())?;
        let named = if self.overwrite {
            fs::rename(&self.temporary, &self.path)
        } else {
            name_anew(&self.temporary, &self.path, anew)
        };
        named.with_context(|| format!("failed to name it {}", self.path.display()))
    }

    fn unwritten(&self) -> String {
        format!("failed to write {}", self.temporary.display())
    }

    /// The error, with what is left of the capture.
    fn unfinished(&self, error: Error) -> Error {
        if !self.has_frames() {
            return error;
        }
        error.context(format!(
            "what was captured is in {}, and stays there",
            self.temporary.display()
        ))
    }

    fn has_frames(&self) -> bool {
        fs::metadata(&self.temporary).is_ok_and(|it| it.len() > self.head)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_named && !self.has_frames() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Gives a file another name, which must be nobody's: somebody may have taken it since the beginning.
type Naming = fn(&Path, &Path) -> io::Result<()>;

/// Best first. NFS, 9p and many a file system of a process know only the second one.
const ANEW: [Naming; 2] = [rename_anew, link_anew];

fn name_anew(from: &Path, to: &Path, [first, second]: [Naming; 2]) -> io::Result<()> {
    match first(from, to) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => second(from, to),
        named => named,
    }
}

fn rename_anew(from: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

fn link_anew(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    // It has its name, whatever becomes of the other one.
    let _ = fs::remove_file(from);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"head";

    /// A folder of its own, and a file to be in it.
    fn place(name: &str) -> (PathBuf, PathBuf) {
        let folder = std::env::temp_dir().join(format!("tcpguard-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.pcapng");
        (folder, path)
    }

    /// What is in a folder, by name.
    fn files(folder: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let file = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        };
        let mut files: Vec<_> = entries.map(file).collect();
        files.sort();
        files
    }

    /// The files are these; nothing is left of them afterwards.
    #[track_caller]
    fn assert_left(folder: &Path, expected: &[(&str, &str)]) {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        assert_eq!(files(folder), expected.iter().map(own).collect::<Vec<_>>());
        fs::remove_dir_all(folder).unwrap();
    }

    fn refuse(_: &Path, _: &Path) -> io::Result<()> {
        Err(ErrorKind::InvalidInput.into())
    }

    #[tokio::test]
    async fn a_file_is_there_once_it_is_whole() {
        let (folder, path) = place("whole");
        let mut sink = Sink::open(&path, false, HEAD).unwrap();
        sink.put(b" one").await.unwrap();
        assert!(!path.exists());
        sink.finish().await.unwrap();
        assert_left(&folder, &[("a.pcapng", "head one")]);
    }

    #[test]
    fn one_without_a_frame_that_is_not_finished_leaves_nothing() {
        let (folder, path) = place("empty");
        drop(Sink::open(&path, false, HEAD).unwrap());
        assert_left(&folder, &[]);
    }

    #[tokio::test]
    async fn one_with_a_frame_that_is_not_finished_stays() {
        let (folder, path) = place("unfinished");
        let mut sink = Sink::open(&path, false, HEAD).unwrap();
        sink.put(b" one").await.unwrap();
        drop(sink);
        assert_left(&folder, &[("a.pcapng.part", "head one")]);
    }

    #[test]
    fn a_file_system_that_cannot_rename_anew_links() {
        let (folder, path) = place("linked");
        let mut part = Part::create(&path, false, HEAD).unwrap();
        part.write(b" one").unwrap();
        part.finish_by([refuse, link_anew]).unwrap();
        assert_left(&folder, &[("a.pcapng", "head one")]);
    }

    #[test]
    fn by_whatever_way_a_name_that_is_taken_is_refused_and_both_files_stay() {
        for ways in [ANEW, [refuse, link_anew]] {
            let (folder, path) = place("taken");
            let mut part = Part::create(&path, false, HEAD).unwrap();
            part.write(b" one").unwrap();
            fs::write(&path, "theirs").unwrap();
            let told = format!("{:#}", part.finish_by(ways).unwrap_err());
            assert!(told.contains("a.pcapng.part, and stays there"), "{told}");
            assert!(told.contains("File exists"), "{told}");
            assert_left(
                &folder,
                &[("a.pcapng", "theirs"), ("a.pcapng.part", "head one")],
            );
        }
    }

    #[test]
    fn what_cannot_be_named_at_all_stays_and_is_told_of() {
        let (folder, path) = place("nameless");
        let mut part = Part::create(&path, false, HEAD).unwrap();
        part.write(b" one").unwrap();
        let told = format!("{:#}", part.finish_by([refuse, refuse]).unwrap_err());
        assert!(told.contains("a.pcapng.part, and stays there"), "{told}");
        assert_left(&folder, &[("a.pcapng.part", "head one")]);
    }

    #[test]
    fn what_was_written_before_the_disk_was_full_stays_and_is_told_of() {
        let (folder, path) = place("full");
        let mut part = Part::create(&path, false, HEAD).unwrap();
        part.write(b" one").unwrap();
        part.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let told = format!("{:#}", part.write(b" two").unwrap_err());
        assert!(told.contains("a.pcapng.part, and stays there"), "{told}");
        assert!(told.contains("No space left"), "{told}");
        drop(part);
        assert_left(&folder, &[("a.pcapng.part", "head one")]);
    }

    #[tokio::test]
    async fn nothing_is_overwritten_unless_that_is_asked_for() {
        let (folder, path) = place("overwritten");
        fs::write(&path, "mine").unwrap();
        let refused = Sink::open(&path, false, HEAD).err().unwrap().to_string();
        assert!(refused.contains("--force"), "{refused}");
        let mut sink = Sink::open(&path, true, HEAD).unwrap();
        sink.put(b" two").await.unwrap();
        sink.finish().await.unwrap();
        assert_left(&folder, &[("a.pcapng", "head two")]);
    }
}
