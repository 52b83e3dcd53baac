//! Where a capture goes: to a file that is there once it is whole, or to stdout.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use crate::watch::output::Output;

/// How long the last octets may take where nobody reads.
const GRACE: Duration = Duration::from_secs(1);

/// What takes the octets.
pub(super) enum Sink {
    File(Part),
    Stdout(Output),
}

impl Sink {
    /// The file of this name, or stdout for `-`.
    pub(super) fn open(path: &Path, overwrite: bool) -> Result<Self> {
        if path == Path::new("-") {
            let stdout = Output::stdout().context("failed to open stdout")?;
            return Ok(Self::Stdout(stdout));
        }
        Ok(Self::File(Part::create(path, overwrite)?))
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

/// A file under another name until it is whole, which goes with its owner if it never is.
pub(super) struct Part {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    overwrite: bool,
}

impl Part {
    fn create(path: &Path, overwrite: bool) -> Result<Self> {
        if !overwrite && fs::symlink_metadata(path).is_ok() {
            bail!(exists(path));
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
                "failed to create {} (where another capture was killed, remove it)",
                temporary.display()
            )
        })?;
        Ok(Self {
            path: path.to_owned(),
            temporary,
            file,
            overwrite,
        })
    }

    fn write(&mut self, octets: &[u8]) -> Result<()> {
        let written = self.file.write_all(octets);
        written.with_context(|| format!("failed to write {}", self.temporary.display()))
    }

    fn finish(self) -> Result<String> {
        let flags = if self.overwrite {
            RenameFlags::empty()
        } else {
            // Somebody else may have made one meanwhile.
            RenameFlags::NOREPLACE
        };
        match renameat_with(CWD, &self.temporary, CWD, &self.path, flags) {
            Ok(()) => Ok(self.path.display().to_string()),
            Err(Errno::EXIST) => bail!(exists(&self.path)),
            Err(error) => {
                Err(error).with_context(|| format!("failed to name {}", self.path.display()))
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Of a whole one nothing is left under this name.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn exists(path: &Path) -> String {
    format!(
        "{} is there already: give another name, or --force to overwrite it",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tcpguard-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[tokio::test]
    async fn a_file_is_there_once_it_is_whole() {
        let folder = folder("whole");
        let path = folder.join("a.pcapng");
        let mut sink = Sink::open(&path, false).unwrap();
        sink.put(b"one").await.unwrap();
        assert!(!path.exists());
        sink.finish().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn one_that_is_not_finished_leaves_nothing() {
        let folder = folder("unfinished");
        let mut sink = Sink::open(&folder.join("a.pcapng"), false).unwrap();
        sink.put(b"one").await.unwrap();
        drop(sink);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn nothing_is_overwritten_unless_that_is_asked_for() {
        let folder = folder("overwritten");
        let path = folder.join("a.pcapng");
        let late = Sink::open(&path, false).unwrap();
        fs::write(&path, "mine").unwrap();
        let refused = late.finish().await.unwrap_err().to_string();
        assert!(refused.contains("--force"), "{refused}");
        assert!(Sink::open(&path, false).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let mut sink = Sink::open(&path, true).unwrap();
        sink.put(b"two").await.unwrap();
        sink.finish().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        fs::remove_dir_all(folder).unwrap();
    }
}
